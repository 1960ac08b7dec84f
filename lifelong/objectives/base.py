"""What an encoder is trained for: a loss out of a batch of histories."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from lifelong.core.types import Batch, History, ItemVectors


class Net(Protocol):
    """What an objective may ask of the network of a task."""

    causal: bool

    @property
    def items(self) -> ItemVectors:
        """The vectors of item rows."""
        ...

    @property
    def head(self) -> Any:
        """The task's head; one of items has vectors(index, items), bias and index_of(rows)."""
        ...

    def states(self, history: History, hidden_BL: Tensor | None = None) -> Tensor:
        """One state per position, (B, L, D); 0 at pads. hidden_BL (bool): True at p where event p + 1 is hidden."""
        ...

    def users_at(self, states_BLD: Tensor, batch: Batch) -> Tensor:
        """What the head reads at the batch's points, (N, W)."""
        ...

    def vectors(self, states_BLD: Tensor, history: History) -> Tensor:
        """User vectors (B, U), as `represent` gives them: the last state, and what is made of the past beyond the window."""
        ...

    def answer_loss(self, users_ND: Tensor, batch: Batch) -> Tensor:
        """The head's mean loss at the batch's N points."""
        ...


class Objective(nn.Module, ABC):
    """Base of all objectives. What an objective trains for itself (a predictor) are its own parameters: they are trained with a
    task, kept in the state of an unfinished training, and never sealed."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the objective."""

    points: str | None
    """What the data must supervise: "events" (each target event, from what lies before it) or "users" (one label a user,
    read at the end of a window); None: the windows alone are looked at, whatever is asked there."""
    causal: bool | None = None
    """Whether it needs an encoder that sees only the past (True), or both sides (False); None: either."""
    asks_head: bool = True
    """Whether the head's loss is part of it; if not, a head that answers nothing will do."""
    asks_candidates: bool = True
    """Whether the head's own loss is asked, which scores its candidates, or the whole catalogue; if not, vectors of these need
    not be made for a training step."""

    compares: bool = False
    """Whether users of a batch are compared with each other: then the loss of one user alone says nothing."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The scalar to minimise for one batch."""

    def equip(self, width: int) -> None:
        """Make what it trains for itself, for user vectors of that width, out of torch's global generator; before any loss."""

    def need(self, encoder: nn.Module) -> None:
        """Raises ConfigError where an encoder cannot be trained so; asked before training."""
        return

    def end_epoch(self) -> dict[str, float]:
        """What there is to tell of the epoch that has ended. Raises LifelongError where its training cannot be of use."""
        return {}
