"""One class of a few for each user: a linear layer, softmax and cross-entropy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import need
from lifelong.core.types import Classified, ItemVectors, Negatives, Outcome, Seen
from lifelong.heads.base import Head, Known
from lifelong.heads.layers.wide import Wide
from lifelong.heads.losses.weights import balanced

if TYPE_CHECKING:
    from lifelong.heads.layers.fitting import Solved


class Classification(Head):
    """P(class) = softmax(dropout(user vector) @ W + b), as in CLUE section IV; Conure's released code uses one random wrong
    class as a negative instead, which measures little for more than two classes."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

        dropout: float = 0.2
        """Share of the user vector's entries dropped while training."""
        label_smoothing: float = 0.0
        """Share of the target spread over all classes."""
        weighting: Literal["none", "balanced"] = "none"
        """balanced: each class weighs the same in the loss, by its share in the batch's targets."""

        solved: bool = True
        """Whether a task that stands on another begins with the logistic regression on its parent's user vectors."""
        wide: bool = False
        """Whether each item of the past counts by itself, too (layers/wide.py). Mean AUC of eight profile labels .704 against
        .688 without, macro-F1 .341 against .337, for 4 bytes an item and class. Fitted where the head is solved."""

        def __post_init__(self) -> None:
            need(self, "dropout", 0 <= self.dropout < 1, "lie in [0, 1)")
            need(self, "label_smoothing", 0 <= self.label_smoothing < 1, "lie in [0, 1)")
            if self.wide and not self.solved:
                raise ValueError(
                    "wide without solved: the wide path is fitted where the head is solved; leave one of them out"
                )

    answers: ClassVar[str] = "classes"
    objective: ClassVar[str] = "supervised"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "auc")

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options = config
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, len(catalogue))
        self.wide: Wide | None = None
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def widen(self, rows: int) -> None:
        """Make the wide path, where there is to be one."""
        if self.options.wide:
            self.wide = Wide(rows, len(self.output.bias))

    @property
    def needs_seen(self) -> bool:
        """The wide path reads the items themselves."""
        return self.wide is not None

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """Logits (B, C)."""
        logits_BC: Tensor = self.output(self.dropout(users_BD))
        return logits_BC if self.wide is None or seen is None else logits_BC + self.wide(seen)

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Cross-entropy, mean over the points."""
        logits_NC = self.scores(users_ND, items, seen)
        weight_C = balanced(targets_N, logits_NC.shape[1]) if self.options.weighting == "balanced" else None
        return F.cross_entropy(logits_NC, targets_N, weight_C, label_smoothing=self.options.label_smoothing)

    @property
    def solvable(self) -> bool:
        """By a convex fit."""
        return self.options.solved

    @property
    def starts_alone(self) -> bool:
        """The wide path is fitted, whatever else the task begins with."""
        return self.wide is not None

    @torch.no_grad()
    def solve(self, train: Known, valid: Known) -> None:
        """Logistic regression, its penalty chosen on validation users (heads/layers/fitting.py); together with the wide path,
        where there is one (heads/layers/wide_fitting.py)."""
        found = self._solved(train, valid) if self.wide is None else self._solved_with(self.wide, train, valid)
        self.output.weight.copy_(found.weight_CW)
        self.output.bias.copy_(found.bias_C)

    def _solved(self, train: Known, valid: Known) -> "Solved":
        from lifelong.heads.layers.fitting import solve_classes  # scikit-learn takes a second to import

        given = (train.users_NW, train.targets_N, valid.users_NW, valid.targets_N)
        return solve_classes(*given, len(self.output.bias), weighting=self.options.weighting)

    def _solved_with(self, wide: Wide, train: Known, valid: Known) -> "Solved":
        from lifelong.heads.layers.wide_fitting import solve_wide

        rows, classes = len(wide.table_VC1), len(self.output.bias)
        found, idf_V, weight_CV = solve_wide(train, valid, rows, classes, weighting=self.options.weighting)
        wide.take(idf_V, weight_CV)
        return found

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Probabilities and right classes."""
        return Classified(self.probabilities(scores_NC).cpu().numpy(), targets_N.cpu().numpy())
