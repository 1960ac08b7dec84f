"""A user's past as a bag of distinct items: what the long-term path and wide heads read."""

import torch
from torch import Tensor


def bag(past_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted rows (B, S) and weights (B, S) float32: alike at one of each distinct row, 0 elsewhere, of length 1 a user.

    >>> bag(torch.tensor([[0, 7, 5, 7, 8, 9]]))
    (tensor([[0, 5, 7, 7, 8, 9]]), tensor([[0.0000, 0.5000, 0.5000, 0.0000, 0.5000, 0.5000]]))
    """
    rows_BS = past_BS.sort(dim=1).values
    first_BS = rows_BS != 0
    first_BS[:, 1:] &= rows_BS[:, 1:] != rows_BS[:, :-1]
    count_B1 = first_BS.sum(dim=1, keepdim=True).clamp(min=1)
    return rows_BS, torch.where(first_BS, count_B1.float().rsqrt(), 0.0)
