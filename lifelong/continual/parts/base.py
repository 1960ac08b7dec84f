"""What a task may put into a slot of the encoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lifelong.core.config import plain


class Part(nn.Module, ABC):
    """A small module (B, L, D) -> (B, L, D), trained with its task and stored with it.

    It starts as the identity, so that a task begins as its parent, and leaves padded positions to the encoder, which zeroes
    them after every sublayer.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the part."""

    def __init__(self, config: Any, width: int) -> None:
        super().__init__()
        self.config = config
        self.width = width

    @property
    def reads_source(self) -> bool:
        """Whether `forward` is given, as its second argument, what the sublayer before the slot was given."""
        return False

    def spec(self) -> dict[str, Any]:
        """Name and options, from which registry.make_config finds it again; its tensors are stored beside."""
        return {"name": type(self).__module__.rpartition(".")[2], **plain(self.config)}

    @abstractmethod
    def forward(self, states_BLD: Tensor, source_BLD: Tensor | None = None) -> Tensor:
        """The states as the task wants them."""
