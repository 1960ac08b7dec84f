"""From a user's window of item vectors to one state per position; an encoder knows nothing about tasks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.core.errors import DataError


class Encoder(nn.Module, ABC):
    """Base of all encoders. The item vectors come from outside; scaling, positions and dropout are the encoder's own.

    Its parameters fall into three sorts by their form: weights of nn.Embedding are rows, others of two or more dimensions
    are weights that tasks may claim, those of one dimension are norms and biases, private to a task. A `Slot` stands
    wherever a task may insert something. There is no BatchNorm and no buffer that training changes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the encoder."""

        width: int = 64
        """Width of item vectors and states."""
        item_std: float | None = None
        """Deviation of fresh item vectors; nothing: width^-0.5, vectors of length 1, quickest on large catalogues in a few
        epochs (Complete Journey). 0.02, the papers', is better on small ones trained for long (MovieLens-100k)."""

        def __post_init__(self) -> None:
            if self.width < 1:
                raise ValueError(f"width is {self.width}; it must be at least 1")
            if self.item_std is not None and not self.item_std > 0:
                raise ValueError(f"item_std is {self.item_std}; it must be above 0")

    causal: ClassVar[bool]
    """Whether the state of a position depends on events up to that position only."""

    def __init__(self, config: Config, length: int) -> None:
        """`length` is the longest window in events. Raises ValueError below 1."""
        super().__init__()
        if length < 1:
            raise ValueError(f"length is {length}; a window holds at least 1 event")
        self.width, self.length = config.width, length
        self.item_std = config.item_std or config.width**-0.5

    @abstractmethod
    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """States (B, L, D), float32, of left-padded windows of L <= length events; exactly 0 where not valid_BL (bool).

        What stands at padded positions of vectors_BLD never matters. Raises DataError where the window does not fit.
        """

    def check_window(self, vectors_BLD: Tensor) -> None:
        """Raises DataError where a window is longer or wider than this encoder."""
        _, length, width = vectors_BLD.shape
        if length > self.length or width != self.width:
            fits = f"at most {self.length} events of width {self.width}"
            raise DataError(f"a window of {length} events of width {width} does not fit an encoder of {fits}; cut it")


def zero_pads(states_BLD: Tensor, valid_BL: Tensor) -> Tensor:
    """`states_BLD` with exactly +0 where not valid_BL: a choice, never a product, so NaN and -0 cannot come through."""
    return torch.where(valid_BL[:, :, None], states_BLD, 0.0)
