"""One class of a few that have an order, such as age bands: one score for each user, and thresholds between the classes."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import need
from lifelong.core.types import Classified, ItemVectors, Negatives, Outcome, Seen
from lifelong.heads.base import Head, Known
from lifelong.heads.losses.weights import balanced

PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""On half the squared weights of standardised columns, beside the mean loss of a user."""


class Ordinal(Head):
    """P(class > k) = sigmoid(dropout(user vector) . w - threshold k), thresholds in order: the cumulative link model
    (proportional odds, McCullagh 1980), trained by its likelihood.

    CORAL (Cao et al. 2020) is the same model trained by the sum of C - 1 binary losses; its thresholds come out in order at the
    optimum alone, and until then a class can have a probability below 0. CORN (Shi et al. 2021) learns a direction for each
    threshold. Linear heads on the SVD of TF-IDF items, 5 folds, log loss: MovieLens-100k age softmax 1.479, CORN 1.487, CORAL
    1.428, this 1.431; Complete Journey age 1.539, 1.536, 1.455, 1.454; AUC .746, .768, .762, .762 and .645, .662, .688, .685.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

        order: list[str] | None = None
        """The classes from the least to the greatest; left out: by the first number in each, `<` and `under` before it."""
        weighting: Literal["none", "balanced"] = "none"
        """balanced: each class weighs the same in the loss, by its share in the batch's targets."""
        dropout: float = 0.2
        """Share of the user vector's entries dropped while training."""
        solved: bool = True
        """Whether a task that stands on another begins with the ordinal regression on its parent's user vectors."""

        def __post_init__(self) -> None:
            need(self, "dropout", 0 <= self.dropout < 1, "lie in [0, 1)")
            if self.order is not None and (len(self.order) < 2 or len(set(self.order)) != len(self.order)):
                raise ValueError(f"order must name at least two classes, each once, not {self.order}")

    answers: ClassVar[str] = "classes"
    objective: ClassVar[str] = "supervised"
    metrics: ClassVar[tuple[str, ...]] = ("auc", "within_one", "accuracy", "macro_f1", "mae")

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options = config
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, 1, bias=False)
        nn.init.normal_(self.output.weight, std=0.02)
        self.lowest = nn.Parameter(torch.zeros(1))
        self.log_gaps = nn.Parameter(torch.zeros(max(0, len(catalogue) - 2)))
        self._start_from(torch.ones(len(catalogue)))

    def prepare(self, targets_N: Tensor) -> None:
        """Start where everybody gets each class with its share of the training targets."""
        if self.options.weighting == "none":
            self._start_from(torch.bincount(targets_N, minlength=len(self.log_gaps) + 2).clamp(min=1))

    @torch.no_grad()
    def _start_from(self, counts_C: Tensor) -> None:
        thresholds_c = torch.logit(counts_C.double().cumsum(0)[:-1] / counts_C.sum())
        self.lowest.copy_(thresholds_c[:1])
        self.log_gaps.copy_(thresholds_c.diff().log())

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """ln P(class) (B, C); whose softmax is P."""
        return self._scores(users_BD)

    def _scores(self, users_BD: Tensor) -> Tensor:
        """sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)): no difference of nearly equal numbers is taken."""
        gaps_c = self.log_gaps.exp()
        thresholds_c = torch.cat([self.lowest, self.lowest + gaps_c.cumsum(0)])
        above_Bc = self.output(self.dropout(users_BD)) - thresholds_c
        at_least_BC = F.pad(F.logsigmoid(above_Bc), (1, 0))
        at_most_BC = F.pad(F.logsigmoid(-above_Bc), (0, 1))
        return at_least_BC + at_most_BC + F.pad(torch.log(-torch.expm1(-gaps_c)), (1, 1))

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """-ln P(right class), mean over the points."""
        return self._loss(users_ND, targets_N)

    def _loss(self, users_ND: Tensor, targets_N: Tensor) -> Tensor:
        scores_NC = self._scores(users_ND)
        weight_C = balanced(targets_N, scores_NC.shape[1]) if self.options.weighting == "balanced" else None
        return F.nll_loss(scores_NC, targets_N, weight_C)

    @property
    def solvable(self) -> bool:
        """By a smooth fit of few numbers."""
        return self.options.solved

    def solve(self, train: Known, valid: Known) -> None:
        """The penalised likelihood's maximum on standardised columns, the penalty chosen on validation users."""
        mean_W, deviation_W = train.users_NW.mean(0), train.users_NW.std(0, correction=0)
        deviation_W = torch.where(deviation_W > 1e-6, deviation_W, torch.inf)  # a column that never varies: weight 0
        train_NW, valid_NW = ((known.users_NW - mean_W) / deviation_W for known in (train, valid))
        fitted = copy.deepcopy(self).cpu().eval()
        nn.init.zeros_(fitted.output.weight)
        best, lowest_loss = fitted.state_dict(), torch.inf
        for penalty in PENALTIES:  # from the greatest on, each from where the one before ended
            fitted._fit(train_NW, train.targets_N, penalty)
            with torch.no_grad():
                loss = float(fitted._loss(valid_NW, valid.targets_N))
            if loss < lowest_loss:
                best, lowest_loss = copy.deepcopy(fitted.state_dict()), loss
        best["output.weight"] /= deviation_W
        best["lowest"] += best["output.weight"] @ mean_W
        self.load_state_dict(best)

    def _fit(self, users_NW: Tensor, targets_N: Tensor, penalty: float) -> None:
        optimizer = torch.optim.LBFGS(self.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self._loss(users_NW, targets_N) + penalty / 2 * self.output.weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Probabilities and right classes."""
        return Classified(self.probabilities(scores_NC).cpu().numpy(), targets_N.cpu().numpy())
