"""What an encoder is trained for: a loss out of a batch of histories."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from lifelong.core.types import Batch, History


class Net(Protocol):
    """What an objective may ask of the network of a task."""

    causal: bool

    def states(self, history: History, hidden_BL: Tensor | None = None) -> Tensor:
        """One state per position, (B, L, D); 0 at pads. hidden_BL (bool): True at p where event p + 1 is hidden."""
        ...

    def answer_loss(self, users_ND: Tensor, batch: Batch) -> Tensor:
        """The head's mean loss at the batch's N points."""
        ...


class Objective(ABC):
    """Base of all objectives. `points` says what the data must supervise: "events" (each target event, from what lies before
    it) or "users" (one label a user, read at the end of a window)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the objective."""

    points: ClassVar[str]
    causal: ClassVar[bool | None] = None
    """Whether it needs an encoder that sees only the past (True), or both sides (False); None: either."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The scalar to minimise for one batch."""
