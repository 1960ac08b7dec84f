"""The answering layer of a task: scores out of user vectors, their loss, and what they are measured by."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.core.types import ItemVectors, Negatives, Outcome, Seen


@dataclass(frozen=True)
class Known:
    """Users whose right answers are known: users_NW float32, what the head is given of each; targets_N as Head.loss has them;
    seen: what lies before, where the head needs it."""

    users_NW: Tensor
    targets_N: Tensor
    seen: Seen | None = None


class Head(nn.Module, ABC):
    """Turns user vectors (B, D) into scores (B, C) over the task's own frozen catalogue of C items or classes.

    `rows_C` are the catalogue's rows in the item table, or None where the catalogue is of classes or of items that the
    encoder does not read. `items` below is the item table as the task's view renders it, or what encodes items by their
    content: items(rows) looks vectors up, items.weight is all of them, (V, D), or None where they are made as they are asked
    for.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the head."""

    repeats: bool = True
    """Whether an answer may be an item that the user already had."""
    answers: ClassVar[str]
    """What a score is about: "items"; "classes", of which one is right; "labels", of which any are; a "number", which it is;
    "vectors", of which it is one entry."""
    objective: ClassVar[str]
    """The objective that trains it where a task names none."""
    metrics: ClassVar[tuple[str, ...]]
    """What it is measured by where a task names none; the first one selects."""

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__()
        self.config, self.width = config, width

    @classmethod
    def reads_past(cls, rows_C: Tensor | None) -> bool:
        """Whether it is given all of the user vector, the long-term path's half, too: every head but one of items that are
        read, whose vectors are as wide as a state.

        The next drug product from groceries (Complete Journey, one seed), NDCG@10 by the state alone in 3 epochs, scratch in
        6, and by all of it in 5 and 10: conure .035 .083, probe .035 .082, scratch .039 .094; popularity .033.
        """
        return cls.answers != "items" or rows_C is None

    def prepare(self, targets_N: Tensor) -> None:
        """Be told the right answers of training, once, before it begins; what is kept of them is a buffer of the head's."""

    def widen(self, rows: int) -> None:
        """Be told how many rows the item table has, once, before it gets any values; for what the head keeps of each item."""

    def probabilities(self, scores_NC: Tensor) -> Tensor:
        """What is said of each score (N, C), float32: the probability of each class or label; anything else as it is.

        Its bits do not depend on who else is asked: torch's sigmoid has one formula for eight values at a time and another for
        the rest, exp and quotients have one for all.
        """
        if self.answers == "labels":
            return torch.exp(-scores_NC).add_(1.0).reciprocal_()
        return scores_NC.softmax(dim=1) if self.answers == "classes" else scores_NC

    def read(self, given_NU: Tensor) -> Tensor:
        """User vectors (N, read_width), which it scores, out of what it is given, (N, width): the same unless it says so."""
        return given_NU

    @property
    def read_width(self) -> int:
        """How wide what it scores is."""
        return self.width

    @property
    def needs_seen(self) -> bool:
        """Whether loss and scores must be told what lies before each point."""
        return not self.repeats

    def looks_up(self, targets_N: Tensor, negatives: Negatives | None) -> Tensor | None:
        """The rows of the item table (M,) int64 that the loss will ask for, so that what encodes items does so once a step."""
        return None

    @abstractmethod
    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """Scores (B, C), float32; higher means more likely. seen: what lies before, where the head needs it."""

    @abstractmethod
    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Mean loss (scalar) of N points with the right answers targets_N: places in the catalogue, int64; of labels 1 where it
        holds, float32 (N, C); of numbers the number, float32.

        seen: what lies before each point, where the head needs it.
        """

    @property
    def solvable(self) -> bool:
        """Whether `solve` can find its parameters."""
        return False

    @property
    def starts_alone(self) -> bool:
        """Whether `solve` is of use to a task that stands on no other, too."""
        return False

    def solve(self, train: Known, valid: Known) -> None:
        """Take the parameters that fit best on fixed user vectors; a task that stands on another begins there. Only where
        `solvable`."""

    @abstractmethod
    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """What the metrics look at."""
