"""Any of several labels for each user, such as interests or categories: a linear layer, one sigmoid a label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import need
from lifelong.core.types import ItemVectors, Labelled, Negatives, Outcome, Seen
from lifelong.heads.base import Head, Known


class MultiLabel(Head):
    """P(label) = sigmoid(dropout(user vector) . w + b) for each label by itself, trained by binary cross-entropy.

    b starts at the log odds of the label's share of the training users, so that rare labels do not begin with a shock to the
    encoder (as the prior of Lin et al., ICCV 2017, section 3.3).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

        separator: str = " "
        """What stands between two labels in one column; a list column has a space."""
        weighting: Literal["none", "balanced"] = "none"
        """balanced: those who have a label weigh as much as those who have not, so that more of a rare one is found; its
        probabilities are too high then."""
        dropout: float = 0.2
        """Share of the user vector's entries dropped while training."""
        solved: bool = True
        """Whether a task that stands on another begins with logistic regressions on its parent's user vectors."""

        def __post_init__(self) -> None:
            need(self, "dropout", 0 <= self.dropout < 1, "lie in [0, 1)")
            if not self.separator:
                raise ValueError("separator is empty; write the character between two labels")

    answers: ClassVar[str] = "labels"
    objective: ClassVar[str] = "supervised"
    metrics: ClassVar[tuple[str, ...]] = ("auc", "map", "micro_f1")

    weight_C: Tensor

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options = config
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, len(catalogue))
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)
        self.register_buffer("weight_C", torch.ones(len(catalogue)))

    @torch.no_grad()
    def prepare(self, targets_NC: Tensor) -> None:
        """Take each label's share of the training users."""
        odds_C = (targets_NC.double().sum(0) + 0.5) / ((1 - targets_NC.double()).sum(0) + 0.5)
        if self.options.weighting == "balanced":
            self.weight_C.copy_(1 / odds_C)
        else:
            self.output.bias.copy_(odds_C.log())

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
        """Binary cross-entropy, mean over points and labels; targets_N is float32 (N, C)."""
        return F.binary_cross_entropy_with_logits(self.scores(users_ND, items), targets_N, pos_weight=self.weight_C)

    @property
    def solvable(self) -> bool:
        """By convex fits."""
        return self.options.solved

    @torch.no_grad()
    def solve(self, train: Known, valid: Known) -> None:
        """A logistic regression for each label, its penalty chosen on validation users (heads/layers/fitting.py)."""
        from lifelong.heads.layers.fitting import solve_labels  # scikit-learn takes a second to import

        found = solve_labels(
            train.users_NW, train.targets_N, valid.users_NW, valid.targets_N, weighting=self.options.weighting
        )
        self.output.weight.copy_(found.weight_CW)
        self.output.bias.copy_(found.bias_C)

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Probabilities and the labels that hold."""
        return Labelled(self.probabilities(scores_NC).cpu().numpy(), targets_N.cpu().numpy())
