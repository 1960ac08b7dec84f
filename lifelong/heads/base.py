"""The answering layer of a task: scores out of user vectors, their loss, and what they are measured by."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from lifelong.core.types import Negatives, Outcome, Seen


class Head(nn.Module, ABC):
    """Turns user vectors (B, D) into scores (B, C) over the task's own frozen catalogue of C items or classes.

    `rows_C` are the catalogue's rows in the item table, or None where the catalogue is of classes or of items that the
    encoder does not read. `items` below is the item table as the task's view renders it: items(rows) looks vectors up,
    items.weight is all of them, (V, D).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the head."""

    repeats: bool = True
    """Whether an answer may be an item that the user already had."""
    answers: ClassVar[str]
    """What a score is about: "items" or "classes"."""
    objective: ClassVar[str]
    """The objective that trains it where a task names none."""
    metrics: ClassVar[tuple[str, ...]]
    """What it is measured by where a task names none; the first one selects."""

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__()
        self.config = config

    @property
    def needs_seen(self) -> bool:
        """Whether loss and scores must be told what lies before each point."""
        return not self.repeats

    @abstractmethod
    def scores(self, users_BD: Tensor, items: nn.Embedding, seen: Seen | None = None) -> Tensor:
        """Scores (B, C), float32; higher means more likely. seen: what lies before, where the head needs it."""

    @abstractmethod
    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: nn.Embedding,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Mean loss (scalar) of N points with the right answers targets_N.

        seen: what lies before each point, where the head needs it.
        """

    @abstractmethod
    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """What the metrics look at."""
