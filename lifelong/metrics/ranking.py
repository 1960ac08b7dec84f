"""Ranks and top lists over the full catalogue, the same on every run whatever is tied.

Shapes: N cases, C items of the catalogue, S excluded items a case, K places of a list.
"""

import torch
from torch import Tensor

CELLS = 1 << 22
"""Scores compared at a time; bounds what a comparison needs beside the scores (counting a bool tensor widens it)."""


def ranks(scores_NC: Tensor, targets_N: Tensor, excluded_NS: Tensor | None = None) -> Tensor:
    """The rank of each case's right item, int64 (N,), 1 = best: 1 + the number of other items not scored below it.

    Ties count against the model, and so does NaN: a NaN target ranks last, a NaN item ranks before the target.
    excluded_NS int64, -1 = none: items taken out before ranking (bought before, where repeats are not wanted).
    The target itself is never taken out, and an item may stand in a row more than once.

    >>> ranks(torch.tensor([[.9, .5, .5, .1]]), torch.tensor([2]))
    tensor([3])
    >>> ranks(torch.tensor([[.9, .5, .5, .1]]), torch.tensor([2]), torch.tensor([[0, 0, 2, -1]]))
    tensor([2])
    """
    rows = max(1, CELLS // max(1, scores_NC.shape[1]))
    parts = []
    for start in range(0, len(scores_NC), rows):
        part = slice(start, start + rows)
        parts.append(_ranks(scores_NC[part], targets_N[part], None if excluded_NS is None else excluded_NS[part]))
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)


def _ranks(scores_NC: Tensor, targets_N: Tensor, excluded_NS: Tensor | None) -> Tensor:
    target_N1 = scores_NC.gather(1, targets_N[:, None])
    ranks_N = scores_NC.shape[1] - (scores_NC < target_N1).sum(1)  # "not below" instead of "above or equal": NaN counts
    if excluded_NS is None or excluded_NS.shape[1] == 0:
        return ranks_N
    excluded_NS = excluded_NS.sort(1).values
    gone_NS = (excluded_NS >= 0) & (excluded_NS != targets_N[:, None])
    gone_NS[:, 1:] &= excluded_NS[:, 1:] != excluded_NS[:, :-1]
    ahead_NS = ~(scores_NC.gather(1, excluded_NS.clamp(min=0)) < target_N1)
    return ranks_N - (gone_NS & ahead_NS).sum(1)


def top_k(scores_NC: Tensor, k: int, excluded_NS: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The K = min(k, C) best items of each case as (values_NK, index_NK), by score downwards, then index upwards.

    Also at the last place the lowest index of a tie wins. NaN and excluded items (-1 = none) score -inf: a value of
    -inf in the answer is no recommendation, there were fewer than k left.

    >>> top_k(torch.tensor([[.5, .9, .5, .5]]), 3)[1]
    tensor([[1, 0, 2]])
    """
    items = scores_NC.shape[1]
    k = min(k, items)
    scores_NC = scores_NC.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    if excluded_NS is not None and excluded_NS.shape[1]:
        floor_NS = torch.where(excluded_NS < 0, torch.inf, -torch.inf).to(scores_NC.dtype)
        scores_NC = scores_NC.scatter_reduce(1, excluded_NS.clamp(min=0), floor_NS, "amin")
    values_NK, index_NK = scores_NC.topk(min(k + 1, items), dim=1)
    if k < items:
        tied_N = (
            values_NK[:, k - 1] == values_NK[:, k]
        )  # topk may then have kept any of the tied: look at the whole row
        index_NK = index_NK[:, :k]
        index_NK[tied_N] = scores_NC[tied_N].sort(dim=1, descending=True, stable=True).indices[:, :k]
    index_NK = index_NK.sort(dim=1).values
    values_NK, order_NK = scores_NC.gather(1, index_NK).sort(dim=1, descending=True, stable=True)
    return values_NK, index_NK.gather(1, order_NK)
