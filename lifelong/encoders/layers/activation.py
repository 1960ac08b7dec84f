"""SiLU and sigmoid whose bits do not depend on the number of threads."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

GRAIN = 32768
"""From so many values on torch divides a pointwise operation among threads."""


def silu(values: Tensor) -> Tensor:
    """x sigmoid(x), any shape, float32. On the CPU made of exp; elsewhere torch's own.

    torch computes sigmoid, silu and the tanh form of gelu eight values at a time and what is left over at the end of each
    thread's share by another formula: with three threads other values are left over, and come out with other last bits. Its
    exp has one formula for all, and so have sums and quotients.
    """
    if values.device.type != "cpu":
        return F.silu(values)
    made: Tensor = _Silu.apply(values)  # type: ignore[no-untyped-call]
    return made


def sigmoid_(values: Tensor) -> Tensor:
    """sigmoid(values) in their own place, without a gradient; float32 on the CPU."""
    if values.numel() < GRAIN:
        return values.sigmoid_()
    return values.neg_().exp_().add_(1.0).reciprocal_()


class _Silu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        gate = values.neg().exp_().add_(1.0).reciprocal_()
        made = values * gate
        ctx.save_for_backward(gate, made)
        return made

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        gate, made = ctx.saved_tensors
        return torch.sub(1.0, gate).mul_(made).add_(gate).mul_(upstream[0])
