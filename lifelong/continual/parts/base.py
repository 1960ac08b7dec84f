"""What a task may put into a slot of the encoder."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import plain
from lifelong.core.errors import ConfigError
from lifelong.core.slot import Kind, Opening

Bend = Literal["relu", "gelu"]
"""What stands between the two maps of a bottleneck. Not gelu's tanh form, whose last bits depend on the number of threads."""
BENDS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class Part(nn.Module, ABC):
    """A small module (B, L, D) -> (B, L, D), trained with its task and stored with it.

    It starts as the identity, so that a task begins as its parent, and leaves padded positions to the encoder, which zeroes
    them after every sublayer.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the part."""

    behind: ClassVar[Kind] = "sublayer"
    """Which sort of slot it can sit in."""
    usual: ClassVar[Literal["each", "last"]] = "each"
    """Behind which sublayers of a block its paper has it."""

    def __init__(self, config: Any, width: int) -> None:
        """`width` of the slot. Raises ConfigError where the options do not fit it."""
        super().__init__()
        self.config = config
        self.width = width

    @classmethod
    def fitting(cls, config: Any, opening: Opening) -> "Part":
        """The part for a slot. Raises ConfigError where it is none that this part can sit in."""
        cls.check_opening(opening)
        return cls(config, opening.width)

    @classmethod
    def check_opening(cls, opening: Opening) -> None:
        """Raises ConfigError where a slot is of a sort that this part cannot sit in."""
        if opening.kind != cls.behind:
            name = cls.__module__.rpartition(".")[2]
            raise ConfigError(f"a {name} stands behind a {cls.behind}, and this slot behind a {opening.kind}")

    @property
    def reads_source(self) -> bool:
        """Whether `forward` is given, as its second argument, what the sublayer before the slot was given."""
        return False

    @property
    def numbers(self) -> int:
        """How many numbers it trains, and its task stores."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def spec(self) -> dict[str, Any]:
        """Name and options, from which registry.make_config finds it again; its tensors are stored beside."""
        return {"name": type(self).__module__.rpartition(".")[2], **plain(self.config)}

    @abstractmethod
    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """The states as the task wants them."""


class Bottleneck(Part):
    """Base of parts with two linear maps, down to width / share and up again; `up` starts at zero, so nothing is added yet."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        share: int = 4
        """The bottleneck is width / share, at least 1."""

        def __post_init__(self) -> None:
            if self.share < 1:
                raise ValueError(f"share is {self.share}; the bottleneck is width / share, so it must be at least 1")

    bend: Bend = "gelu"

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.down = nn.Linear(width, max(1, width // config.share))
        self.up = nn.Linear(max(1, width // config.share), width)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def correction(self, seen_BLD: Tensor) -> Tensor:
        """What is added to the states, (B, L, D), for what is seen there."""
        return self.up(BENDS[self.bend](self.down(seen_BLD)))
