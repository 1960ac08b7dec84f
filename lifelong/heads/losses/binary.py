"""Binary cross-entropy of the right item against drawn ones: each is a yes or a no of its own.

N points, K drawn items a point.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.heads.losses.pairwise import uniform_negatives


def binary_loss(right_N: Tensor, wrong_NK: Tensor, counts_NK: Tensor) -> Tensor:
    """mean of -ln sigmoid(right) + mean of -ln sigmoid(-wrong), two means that are summed, a scalar (SASRec, Kang & McAuley,
    ICDM 2018, section III.E; MoRec, Yuan et al., SIGIR 2023, whose code averages the two sides apart).

    counts_NK: the drawn items that are negatives; without any the second mean is 0. 0 for no point at all.
    """
    wrong = torch.where(counts_NK, F.softplus(wrong_NK), 0.0).sum() / counts_NK.sum().clamp(min=1)
    return F.softplus(-right_N).sum() / max(1, len(right_N)) + wrong


def some_negatives(targets_N: Tensor, size: int, taken_NS: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """`count` entries of the catalogue a point, each uniformly from all but its target and what is taken (-1 = nothing).

    Returns index_NK and bool found_NK, False where every one of a few draws was taken: it never draws without end, as code
    does that draws until a free one is found.
    """
    targets_M = targets_N.repeat_interleave(count)
    taken_MS = None if taken_NS is None else taken_NS.repeat_interleave(count, dim=0)
    index_M, found_M = uniform_negatives(targets_M, size, taken_MS)
    return index_M.view(-1, count), found_M.view(-1, count)
