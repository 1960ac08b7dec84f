"""The right one of a batch's own answers or views: softmax of cosines, in which duplicates of the right one do not compete."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_VALUES = 1 << 22
"""Scores at once: 16 MiB, however many points and items a batch has."""


def right_item(users_ND: Tensor, items_UD: Tensor, right_N: Tensor, temperature: float) -> Tensor:
    """-log(e^(own) / sum over all points' right items of e^(theirs)), mean over N points; scores are cosines / temperature.

    items_UD: the U distinct right items; right_N: which of them is each point's. Right items of other points compete as often
    as they stand in the batch, but for those that are the point's own: they are no negatives. UniSRec's public code sets
    their scores to 0 instead, and so adds 1 to the sum for each of them. Gradients are made in the forward pass, part by part,
    so there is no gradient of the gradient.
    """
    often_U = torch.bincount(right_N, minlength=len(items_UD)).clamp(min=1).to(users_ND.dtype).log()
    users_ND, items_UD = F.normalize(users_ND, dim=1) / temperature, F.normalize(items_UD, dim=1)
    return _RightItem.apply(users_ND, items_UD, often_U, right_N)  # type: ignore[no-untyped-call]


class _RightItem(torch.autograd.Function):
    """Cross-entropy of users @ items.T + the log of how often an item stands in the batch, one's own counted once."""

    @staticmethod
    def forward(ctx: Any, users_ND: Tensor, items_UD: Tensor, often_U: Tensor, right_N: Tensor) -> Tensor:
        grads = torch.empty_like(users_ND), torch.zeros_like(items_UD)
        total, step = users_ND.new_zeros(()), max(1, MOST_VALUES // max(1, len(items_UD)))
        for first in range(0, len(users_ND), step):
            users_nD, right_n1 = users_ND[first : first + step], right_N[first : first + step, None]
            scores_nU = torch.addmm(often_U, users_nD, items_UD.T)
            scores_nU.scatter_add_(1, right_n1, -often_U[right_n1])
            logs_nU = scores_nU.log_softmax(dim=1)
            total -= logs_nU.gather(1, right_n1).sum()
            slopes_nU = logs_nU.exp_().scatter_add_(1, right_n1, torch.full_like(users_nD[:, :1], -1.0))
            torch.mm(slopes_nU, items_UD, out=grads[0][first : first + step])
            grads[1].addmm_(slopes_nU.T, users_nD)
        ctx.save_for_backward(*grads)
        ctx.points = max(1, len(users_ND))
        return total / ctx.points

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        users, items = (grad * (upstream[0] / ctx.points) for grad in ctx.saved_tensors)
        return users, items, None, None


def right_view(users_MD: Tensor, again_MD: Tensor, right_M: Tensor, temperature: float) -> Tensor:
    """-log(e^(own other view) / sum over all other views), mean over M users; users with the same right item are left out."""
    scores_MM = F.normalize(users_MD, dim=1) @ F.normalize(again_MD, dim=1).T / temperature
    own_M = torch.arange(len(scores_MM), device=scores_MM.device)
    alike_MM = (right_M[:, None] == right_M) & (own_M[:, None] != own_M)
    return F.cross_entropy(scores_MM.masked_fill(alike_MM, -torch.inf), own_M, reduction="sum") / max(1, len(own_M))
