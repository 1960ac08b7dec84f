"""A user's past as a bag of distinct items: what the long-term path and wide heads read."""

import torch
from torch import Tensor


def bag(past_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted rows (B, S) and weights (B, S) float32: alike at one of each distinct row, 0 elsewhere, of length 1 a user.

    >>> bag(torch.tensor([[0, 7, 5, 7, 8, 9]]))
    (tensor([[0, 5, 7, 7, 8, 9]]), tensor([[0.0000, 0.5000, 0.5000, 0.0000, 0.5000, 0.5000]]))
    """
    rows_BS = past_BS.sort(dim=1).values
    first_BS = _firsts(rows_BS)
    count_B1 = first_BS.sum(dim=1, keepdim=True).clamp(min=1)
    return rows_BS, torch.where(first_BS, count_B1.float().rsqrt(), 0.0)


def newcomers(past_BS: Tensor) -> Tensor:
    """Bool (B, S): True where a row stands for the first time among its user's columns; 0 never does.

    >>> newcomers(torch.tensor([[0, 7, 5, 7, 8]])).long()
    tensor([[0, 1, 1, 0, 1]])
    """
    rows_BS, order_BS = past_BS.sort(dim=1, stable=True)
    return torch.zeros_like(past_BS, dtype=torch.bool).scatter_(1, order_BS, _firsts(rows_BS))


def _firsts(sorted_BS: Tensor) -> Tensor:
    """Bool (B, S): the first of each run of equal rows but 0."""
    first_BS = sorted_BS != 0
    first_BS[:, 1:] &= sorted_BS[:, 1:] != sorted_BS[:, :-1]
    return first_BS
