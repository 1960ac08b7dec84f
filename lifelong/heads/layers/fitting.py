"""A linear head fitted to fixed user vectors, in closed form or by a convex fit: where a task begins, in about a second.

N training users, M validation users, W width of a user vector, C classes, labels or one number.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""C, the inverse penalty on weights of standardised columns; 128 columns and some hundred users choose 0.001 to 0.03."""
PENALTIES = tuple(10.0**power for power in range(-4, 3))
"""Penalty of a ridge regression, as a share of N."""
ITERATIONS = 400
Weighting = Literal["none", "balanced"]
Numbers = np.ndarray


@dataclass(frozen=True)
class Solved:
    """scores = vectors_NW @ weight_CW.T + bias_C, float32: standardisation is folded in.

    c: the strength that was chosen; score: what it was chosen by on validation users, higher is better.
    """

    weight_CW: Tensor
    bias_C: Tensor
    c: float
    score: float


def solve_classes(
    train_NW: Tensor,
    targets_N: Tensor,
    valid_MW: Tensor,
    valid_targets_M: Tensor,
    classes: int,
    *,
    weighting: Weighting = "none",
    strengths: Iterable[float] = STRENGTHS,
) -> Solved:
    """Multinomial logistic regression on standardised columns; the strength with the least log loss on validation users.

    `balanced` weighs classes alike, in the fit and in that log loss. The log loss of some eighty users chooses with far less
    chance in it than their macro-F1 does (tests/heads/test_fitting.py). A class without a training user gets weights of zero
    and the bias of half a user. Raises ValueError for no training user.
    """
    targets, valid_targets = targets_N.numpy(), valid_targets_M.numpy()
    need_users(len(targets))
    scale = Scale.of(train_NW)
    train, valid = scale.apply(train_NW), scale.apply(valid_MW)
    counts_C = np.bincount(targets, minlength=classes)
    weigh_C = class_weights(counts_C, weighting)

    def score(weight_CW: Numbers, bias_C: Numbers) -> float:
        return -log_loss(valid @ weight_CW.T + bias_C, valid_targets, weigh_C)

    c, weight_CW, bias_C, found = best_of(path(train, targets, counts_C, strengths, weighting), score)
    return folded(weight_CW, bias_C, scale, c, found)


def solve_labels(
    train_NW: Tensor,
    targets_NC: Tensor,
    valid_MW: Tensor,
    valid_targets_MC: Tensor,
    *,
    weighting: Weighting = "none",
    strengths: Iterable[float] = STRENGTHS,
) -> Solved:
    """One logistic regression a label (targets 0 or 1), each with a strength of its own; logits of the probabilities.

    c is the median strength, score the mean one. Raises ValueError for no training user.
    """
    need_users(len(targets_NC))
    solved = [
        solve_classes(train_NW, train_N.long(), valid_MW, valid_M.long(), 2, weighting=weighting, strengths=strengths)
        for train_N, valid_M in zip(targets_NC.T, valid_targets_MC.T, strict=True)
    ]
    return Solved(
        torch.stack([one.weight_CW[1] - one.weight_CW[0] for one in solved]),
        torch.stack([one.bias_C[1] - one.bias_C[0] for one in solved]),
        float(np.median([one.c for one in solved])),
        float(np.mean([one.score for one in solved])),
    )


def solve_number(
    train_NW: Tensor,
    targets_N: Tensor,
    valid_MW: Tensor,
    valid_targets_M: Tensor,
    *,
    penalties: Iterable[float] = PENALTIES,
) -> Solved:
    """Ridge regression on standardised columns by one eigendecomposition; the penalty with the least squared validation error.

    c is that penalty, as a share of N. Raises ValueError for no training user.
    """
    need_users(len(targets_N))
    scale = Scale.of(train_NW)
    train, valid, wanted = scale.apply(train_NW), scale.apply(valid_MW), valid_targets_M.double().numpy()
    mean = float(targets_N.double().mean())
    eigen_W, vectors_WW = np.linalg.eigh(train.T @ train / len(train))
    right_W = vectors_WW.T @ (train.T @ (targets_N.double().numpy() - mean)) / len(train)
    best: tuple[float, float, Numbers] | None = None
    for penalty in penalties:
        weight_W = vectors_WW @ (right_W / (np.maximum(eigen_W, 0.0) + penalty))
        score = -float(np.mean((valid @ weight_W + mean - wanted) ** 2)) if len(wanted) else 0.0
        if best is None or score > best[0]:
            best = (score, penalty, weight_W)
    assert best is not None
    return folded(best[2][None], np.array([mean]), scale, best[1], best[0])


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each column over training users; a column that does not vary counts as deviation 1."""

    mean_W: Numbers
    deviation_W: Numbers

    @classmethod
    def of(cls, train_NW: Tensor) -> "Scale":
        """That of these vectors."""
        train = train_NW.double().numpy()
        mean_W, deviation_W = train.mean(0), train.std(0)
        still_W = deviation_W <= 1e-6 * np.maximum(np.abs(mean_W), 1e-6)
        return cls(mean_W, np.where(still_W, np.inf, deviation_W))  # infinite: its weight becomes exactly 0

    def apply(self, vectors_NW: Tensor) -> Numbers:
        """Standardised, float64."""
        return (vectors_NW.double().numpy() - self.mean_W) / self.deviation_W


def need_users(users: int) -> None:
    """Raises ValueError for none."""
    if not users:
        raise ValueError("there is no training user to fit a head to")


def path(
    train: Numbers, targets: Numbers, counts_C: Numbers, strengths: Iterable[float], weighting: Weighting
) -> Iterator[tuple[float, Numbers, Numbers]]:
    """(strength, weights, bias) with growing strength, each fit beginning where the one before ended; of one class alone its
    share, and no weights."""
    if np.count_nonzero(counts_C) == 1:
        yield 0.0, np.zeros((len(counts_C), train.shape[1])), np.log(np.maximum(counts_C, 0.5) / len(targets))
        return
    weights = "balanced" if weighting == "balanced" else None
    model = LogisticRegression(class_weight=weights, max_iter=ITERATIONS, warm_start=True)
    for strength in sorted(strengths):
        model.set_params(C=strength).fit(train, targets)
        yield strength, *_all_classes(model.coef_, model.intercept_, counts_C)


def best_of(
    fits: Iterator[tuple[float, Numbers, Numbers]], score: Callable[[Numbers, Numbers], float]
) -> tuple[float, Numbers, Numbers, float]:
    """The fit with the highest score, and that score; of equal ones the one with the greatest penalty."""
    scored = [(*fit, score(*fit[1:])) for fit in fits]
    return max(scored, key=lambda one: one[3])


def class_weights(counts_C: Numbers, weighting: Weighting) -> Numbers:
    """What a user of each class weighs."""
    return 1 / np.maximum(counts_C, 1) if weighting == "balanced" else np.ones(len(counts_C))


def _all_classes(weight: Numbers, bias: Numbers, counts_C: Numbers) -> tuple[Numbers, Numbers]:
    """One row a class. Of two classes scikit-learn keeps the difference alone; of absent ones it knows nothing."""
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    present = np.flatnonzero(counts_C)
    weight_CW = np.zeros((len(counts_C), weight.shape[1]))
    bias_C = np.full(len(counts_C), bias.min() - np.log(2 * counts_C[present].min()))  # half a user
    weight_CW[present], bias_C[present] = weight, bias
    return weight_CW, bias_C


def log_loss(logits_MC: Numbers, targets_M: Numbers, weigh_C: Numbers) -> float:
    """Mean log loss, each user weighted by its class; 0 without users."""
    if not len(targets_M):
        return 0.0
    top_M1 = logits_MC.max(1, keepdims=True)
    total_M = np.log(np.exp(logits_MC - top_M1).sum(1)) + top_M1[:, 0]
    loss_M = total_M - logits_MC[np.arange(len(targets_M)), targets_M]
    return float(np.average(loss_M, weights=weigh_C[targets_M]))


def folded(weight_CW: Numbers, bias_C: Numbers, scale: Scale, c: float, score: float) -> Solved:
    """For vectors as they come."""
    folded_CW = weight_CW / scale.deviation_W
    bias_C = bias_C - folded_CW @ scale.mean_W
    return Solved(torch.from_numpy(folded_CW).float(), torch.from_numpy(bias_C).float(), c, score)
