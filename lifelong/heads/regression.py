"""A number of each user, such as how many coupons or how much is spent: a linear layer on the target's own scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import need
from lifelong.core.types import Estimated, ItemVectors, Negatives, Outcome, Seen
from lifelong.heads.base import Head, Known


class Regression(Head):
    """prediction = mean + scale (dropout(user vector) . w + b), mean and scale those of the training targets.

    They are kept with the head, so that answers come in the label's own units and the loss does not depend on them.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

        loss: Literal["huber", "mse"] = "huber"
        """huber: squared up to one standard deviation of the targets and linear beyond, so that a few huge ones (spend, counts)
        do not decide everything (Huber 1964); mse: squared everywhere, for the mean itself."""
        dropout: float = 0.2
        """Share of the user vector's entries dropped while training."""
        solved: bool = True
        """Whether a task that stands on another begins with the ridge regression on its parent's user vectors."""

        def __post_init__(self) -> None:
            need(self, "dropout", 0 <= self.dropout < 1, "lie in [0, 1)")

    answers: ClassVar[str] = "number"
    objective: ClassVar[str] = "supervised"
    metrics: ClassVar[tuple[str, ...]] = ("spearman", "r2", "mae", "rmse")

    mean: Tensor
    scale: Tensor

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options = config
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, 1)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def prepare(self, targets_N: Tensor) -> None:
        """Take mean and scale from the training targets; a scale of 0 counts as 1."""
        scale = targets_N.double().std(correction=0)
        self.mean.fill_(targets_N.double().mean())
        self.scale.fill_(scale if scale > 0 else 1.0)

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """The predicted numbers (B, 1), in the label's own units."""
        return self.output(self.dropout(users_BD)) * self.scale + self.mean

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Huber or squared loss of the standardised numbers, mean over the points."""
        standard_N, wanted_N = self.output(self.dropout(users_ND))[:, 0], (targets_N - self.mean) / self.scale
        if self.options.loss == "mse":
            return F.mse_loss(standard_N, wanted_N)
        return F.huber_loss(standard_N, wanted_N)

    @property
    def solvable(self) -> bool:
        """In closed form."""
        return self.options.solved

    @torch.no_grad()
    def solve(self, train: Known, valid: Known) -> None:
        """Ridge regression, its penalty chosen on validation users (heads/layers/fitting.py)."""
        from lifelong.heads.layers.fitting import solve_number  # scikit-learn takes a second to import

        found = solve_number(train.users_NW, train.targets_N, valid.users_NW, valid.targets_N)
        self.output.weight.copy_(found.weight_CW / self.scale.cpu())
        self.output.bias.copy_((found.bias_C - self.mean.cpu()) / self.scale.cpu())

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Predicted and right numbers."""
        return Estimated(scores_NC[:, 0].cpu().numpy(), targets_N.cpu().numpy())
