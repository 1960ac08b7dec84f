"""One class of a few for each user: a linear layer, softmax and cross-entropy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.types import Classified, ItemVectors, Negatives, Outcome, Seen
from lifelong.heads.base import Head
from lifelong.heads.losses.weights import balanced


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

    answers: ClassVar[str] = "classes"
    objective: ClassVar[str] = "supervised"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "auc")

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options = config
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, len(catalogue))
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """Logits (B, C)."""
        return self.output(self.dropout(users_BD))

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Cross-entropy, mean over the points."""
        logits_NC = self.scores(users_ND, items)
        weight_C = balanced(targets_N, logits_NC.shape[1]) if self.options.weighting == "balanced" else None
        return F.cross_entropy(logits_NC, targets_N, weight_C, label_smoothing=self.options.label_smoothing)

    @property
    def solvable(self) -> bool:
        """By a convex fit."""
        return self.options.solved

    def solve(self, users_NW: Tensor, targets_N: Tensor, valid_NW: Tensor, valid_targets_N: Tensor) -> None:
        """Logistic regression, its penalty chosen on validation users (heads/layers/fitting.py)."""
        from lifelong.heads.layers.fitting import solve_classes  # scikit-learn takes a second to import

        classes, weighting = len(self.output.bias), self.options.weighting
        found = solve_classes(users_NW, targets_N, valid_NW, valid_targets_N, classes, weighting=weighting)
        with torch.no_grad():
            self.output.weight.copy_(found.weight_CW)
            self.output.bias.copy_(found.bias_C)

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Probabilities and right classes."""
        return Classified(self.probabilities(scores_NC).cpu().numpy(), targets_N.cpu().numpy())
