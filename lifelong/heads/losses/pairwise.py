"""Pairwise losses: the right item should score above a drawn one; uniform draws (BPR) or draws of the hardest (LambdaFM).

N points, C catalogue entries, S entries that may not be drawn for a point, M candidates. Draws come from torch's generator,
which the training loop seeds for each epoch as it does for dropout.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TRIES = 4
"""Uniform draws of a point; the first that may be a negative counts."""
CANDIDATES = 128
"""Entries that LambdaFM ranks in a batch."""


def pairwise_loss(right_N: Tensor, wrong_N: Tensor, counts_N: Tensor) -> Tensor:
    """Mean of -ln sigmoid(right - wrong) over the points that count, a scalar (BPR-Opt, Rendle et al., UAI 2009, without its
    L2 term: AdamW decays the weights). 0 where none counts."""
    loss_N = F.softplus(wrong_N - right_N)
    return torch.where(counts_N, loss_N, 0.0).sum() / counts_N.sum().clamp(min=1)


def uniform_negatives(targets_N: Tensor, size: int, taken_NS: Tensor | None) -> tuple[Tensor, Tensor]:
    """One entry of the catalogue a point, uniformly from all but its target and what is taken (-1 = nothing).

    Returns index_N and bool found_N, False where every one of TRIES draws was taken.
    """
    drawn_NT = torch.randint(max(1, size - 1), (len(targets_N), TRIES), device=targets_N.device)
    drawn_NT = drawn_NT + (drawn_NT >= targets_N[:, None])  # past the target, which cannot be drawn so
    free_NT = drawn_NT < size
    if taken_NS is not None:
        free_NT = free_NT & ~(drawn_NT[:, :, None] == taken_NS[:, None, :]).any(dim=2)
    first_N1 = free_NT.int().argmax(dim=1, keepdim=True)
    return drawn_NT.gather(1, first_N1)[:, 0].clamp(max=size - 1), free_NT.any(dim=1)


@torch.no_grad()
def hard_negatives(
    targets_N: Tensor, size: int, taken_NS: Tensor | None, score: Callable[[Tensor], Tensor], rho: float
) -> tuple[Tensor, Tensor]:
    """One entry of the catalogue a point, the likelier the higher the model ranks it: LambdaFM's dynamic sampler (Yuan et al.,
    CIKM 2016, algorithm 2). score(index_M) gives the scores (N, M) of some entries.

    M candidates are drawn uniformly for the whole batch, one product, where the paper draws them anew for each point. Each
    point ranks those that are neither its target nor taken, and takes the one at rank r with probability ~ exp(-r / (rho m)).
    Returns index_N and bool found_N, False where no candidate was left.

    Of the paper's other two samplers, the static one ranks by popularity and stays the same while the model learns, and the
    rank-aware one draws until it finds a violation, which takes the longer the better the model is.
    """
    index_M = torch.randint(size, (CANDIDATES,), device=targets_N.device)
    taken_NM = _is_taken(index_M, targets_N, size, taken_NS)
    order_NM = score(index_M).masked_fill(taken_NM, -torch.inf).argsort(dim=1, descending=True)
    left_N = (~taken_NM).sum(dim=1)
    place_N = truncated_exponential(left_N, rho)
    return index_M[order_NM.gather(1, place_N[:, None])[:, 0]], left_N > 0


def _is_taken(index_M: Tensor, targets_N: Tensor, size: int, taken_NS: Tensor | None) -> Tensor:
    """Bool (N, M): whether a candidate is the point's target or taken, in memory of N (M + S) + C."""
    place_C1 = torch.full((size + 1,), len(index_M), device=index_M.device)
    place_C1[index_M] = torch.arange(len(index_M), device=index_M.device)  # of equal candidates, the place of one
    barred_NS = targets_N[:, None] if taken_NS is None else torch.cat([targets_N[:, None], taken_NS], dim=1)
    barred_NM1 = torch.zeros(len(targets_N), len(index_M) + 1, dtype=torch.bool, device=index_M.device)
    barred_NM1.scatter_(1, place_C1[barred_NS], True)  # -1, nothing, is the last place
    return barred_NM1[:, place_C1[index_M]]


def truncated_exponential(size_N: Tensor, rho: float) -> Tensor:
    """A whole number r in [0, size) for each point, P(r) ~ exp(-r / (rho size)); int64 (N,), 0 where size is 0.

    By inverting the distribution function of the exponential cut off at size, and rounding down, which keeps the ratios.
    """
    uniform_N = torch.rand(size_N.shape, device=size_N.device)
    scaled_N = -rho * torch.log1p(-uniform_N * -torch.expm1(torch.tensor(-1.0 / rho)).to(size_N.device))
    return torch.minimum((scaled_N * size_N).long(), (size_N - 1).clamp(min=0))
