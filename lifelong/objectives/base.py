"""What an encoder is trained for: a loss out of a batch of histories."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from lifelong.core.types import Batch, History, Negatives


class Net(Protocol):
    """What an objective may ask of the network of a task."""

    causal: bool

    def states(self, history: History) -> Tensor:
        """One state per position, (B, L, D); padded positions are 0."""
        ...

    def answer_loss(self, users_ND: Tensor, targets_N: Tensor, negatives: Negatives | None) -> Tensor:
        """The head's mean loss at N points."""
        ...


class Objective(ABC):
    """Base of all objectives. `points` says what the data must supervise: "events" (each target event, from what lies before
    it) or "users" (one label a user, read at the end of a window)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the objective."""

    points: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The scalar to minimise for one batch."""
