"""Top lists and ranks over a catalogue that comes block by block: the answers of the whole, in the memory of one block.

Shapes: N cases, c items of one block, C items of all, S excluded items a case, K places of a list, G groups of a block.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from lifelong.metrics.ranking import top_k

GROUP = 64
"""Neighbours of which only the largest is looked at first."""


def top_k_of_blocks(blocks: Iterable[Tensor], k: int, excluded_NS: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`ranking.top_k` of scores (N, c) float32 that come block after block in catalogue order: (values_NK, index_NK).

    The same values and indices as of the whole, ties and NaN included, for any cut into blocks. Excluded places are set to
    -inf in the blocks themselves. Raises ValueError where there is no block.

    >>> top_k_of_blocks([torch.tensor([[.5, .9]]), torch.tensor([[.5, .7]])], 3)[1]
    tensor([[1, 3, 0]])
    """
    best: tuple[Tensor, Tensor] | None = None
    first = 0
    for scores_Nc in blocks:
        _exclude(scores_Nc, excluded_NS, first)
        values_NK, index_NK = _best_of_block(scores_Nc, k)
        found = (values_NK, index_NK + first)
        best = found if best is None else _merged(best, found, k)
        first += scores_Nc.shape[1]
    if best is None:
        raise ValueError("there is no block of scores to rank")
    return best


def ranks_of_blocks(
    blocks: Iterable[Tensor], targets_N: Tensor, right_N: Tensor, excluded_NS: Tensor | None = None
) -> Tensor:
    """`ranking.ranks` of scores (N, c) that come block after block, int64 (N,); right_N are the targets' own scores.

    right_N must hold the very bits that the blocks hold, or a target may rank behind itself. The blocks are written over; one
    has at most 2^24 items.

    >>> blocks = [torch.tensor([[.9, .5]]), torch.tensor([[.5, .1]])]
    >>> ranks_of_blocks(blocks, torch.tensor([2]), torch.tensor([.5]))
    tensor([3])
    """
    ranks_N, first = torch.zeros_like(targets_N), 0
    gone_NS = None if excluded_NS is None else _others_once(excluded_NS, targets_N)
    for scores_Nc in blocks:
        below_Nc = scores_Nc.lt_(right_N[:, None])  # ones as float32, which add up many times faster than bools
        ranks_N += below_Nc.shape[1] - below_Nc.sum(1).long()  # "not below" instead of "above or equal": NaN counts
        if gone_NS is not None:
            row_M, place_M = _inside(gone_NS, first, below_Nc.shape[1])
            ranks_N.index_add_(0, row_M, below_Nc[row_M, place_M].long() - 1)
        first += below_Nc.shape[1]
    return ranks_N


def _best_of_block(scores_Nc: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """top_k of one block. The k best items lie in the k groups with the largest maxima, the first of a tie: each group that
    comes before an item's group holds an item that comes before it. So K maxima pick what is looked at item by item."""
    groups = scores_Nc.shape[1] // GROUP
    if 4 * k >= groups:
        return top_k(scores_Nc, k)
    maxima_NG = _maxima(scores_Nc, groups)
    rest = scores_Nc[:, groups * GROUP :]
    if bool(maxima_NG.isnan().any() | rest.isnan().any()):
        scores_Nc = scores_Nc.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        maxima_NG = _maxima(scores_Nc, groups)
    picked_NK = top_k(maxima_NG, k)[1].sort(1).values
    within = torch.arange(GROUP, device=scores_Nc.device)
    index = (picked_NK[:, :, None] * GROUP + within).flatten(1)
    tail = torch.arange(groups * GROUP, scores_Nc.shape[1], device=scores_Nc.device).expand(len(index), -1)
    index = torch.cat([index, tail], 1)
    values_NK, place_NK = top_k(scores_Nc.gather(1, index), k)
    return values_NK, index.gather(1, place_NK)


def _maxima(scores_Nc: Tensor, groups: int) -> Tensor:
    return scores_Nc[:, : groups * GROUP].unflatten(1, (groups, GROUP)).amax(2)


def _merged(before: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor], k: int) -> tuple[Tensor, Tensor]:
    """Both lists are in order, and what came before has the lower indices: a stable sort settles ties."""
    values = torch.cat([before[0], found[0]], 1)
    values, order = values.sort(dim=1, descending=True, stable=True)
    return values[:, :k], torch.cat([before[1], found[1]], 1).gather(1, order[:, :k])


def _exclude(scores_Nc: Tensor, excluded_NS: Tensor | None, first: int) -> None:
    if excluded_NS is not None and excluded_NS.shape[1]:
        row_M, place_M = _inside(excluded_NS, first, scores_Nc.shape[1])
        scores_Nc[row_M, place_M] = -torch.inf


def _inside(index_NS: Tensor, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Row and place in the block of those that lie in it."""
    row_M, column_M = ((index_NS >= first) & (index_NS < first + count)).nonzero(as_tuple=True)
    return row_M, index_NS[row_M, column_M] - first


def _others_once(excluded_NS: Tensor, targets_N: Tensor) -> Tensor:
    """Each excluded item once, the target never; -1 elsewhere."""
    sorted_NS = excluded_NS.sort(1).values
    out_NS = sorted_NS == targets_N[:, None]
    out_NS[:, 1:] |= sorted_NS[:, 1:] == sorted_NS[:, :-1]
    return sorted_NS.masked_fill(out_NS, -1)
