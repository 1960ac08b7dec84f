"""Class weights: rare classes may weigh as much as common ones."""

import torch
from torch import Tensor


def balanced(targets_N: Tensor, classes: int) -> Tensor:
    """What a point of each class weighs (C,), float32, so that every class among the targets weighs the same in all."""
    counts_C = torch.bincount(targets_N, minlength=classes).clamp(min=1)
    return len(targets_N) / (classes * counts_C).float()
