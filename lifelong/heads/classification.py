"""One class of a few for each user: a linear layer, softmax and cross-entropy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.types import Classified, Negatives, Outcome, Seen
from lifelong.heads.base import Head


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

    def scores(self, users_BD: Tensor, items: nn.Embedding, seen: Seen | None = None) -> Tensor:
        """Logits (B, C)."""
        return self.output(self.dropout(users_BD))

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: nn.Embedding,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Cross-entropy, mean over the points."""
        logits_NC = self.scores(users_ND, items)
        weight_C = _balance(targets_N, logits_NC.shape[1]) if self.options.weighting == "balanced" else None
        return F.cross_entropy(logits_NC, targets_N, weight_C, label_smoothing=self.options.label_smoothing)

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Probabilities and right classes."""
        return Classified(scores_NC.softmax(dim=1).cpu().numpy(), targets_N.cpu().numpy())


def _balance(targets_N: Tensor, classes: int) -> Tensor:
    counts_C = torch.bincount(targets_N, minlength=classes).clamp(min=1)
    return len(targets_N) / (classes * counts_C).float()
