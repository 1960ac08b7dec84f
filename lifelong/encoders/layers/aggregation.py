"""HSTU's layer: every earlier event adds to a state by its own weight, without a softmax that shares one out."""

import torch
from torch import Tensor, nn

from lifelong.core.slot import Slot
from lifelong.encoders.base import zero_pads
from lifelong.encoders.layers.activation import silu
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.transformer import NORM_EPS, linear


class Aggregation(nn.Module):
    """U, V, Q, K = silu(f1(norm(x))); x + drop(slot(f2(norm(silu(Q K + bias) V) * U))), pads zeroed.

    Zhai et al. (ICML 2024), equations 1 to 3. Their sum is divided by the length; the norm that follows takes that out again.
    f1 is one matrix (4 D, D), f2 (D, D). `distance` is the bias of an event so many positions earlier, one for all heads.
    """

    def __init__(self, width: int, heads: int, length: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.sum_norm = nn.LayerNorm(width, NORM_EPS), nn.LayerNorm(width, NORM_EPS)
        self.inputs, self.output = linear(width, 4 * width), linear(width, width)
        self.distance = nn.Parameter(0.02 * torch.randn(length))
        self.slot, self.dropout = Slot(width), Dropout(dropout)

    def forward(self, states_BLD: Tensor, valid_BL: Tensor, seen_B1LL: Tensor, back_LL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL. seen_B1LL: bool, back_LL: distance of each key from each query."""
        normed_BLD = self.norm(states_BLD)
        gate_BLD, value, query, key = silu(self.inputs(normed_BLD)).chunk(4, dim=2)
        scores_BHLL = self._split(query) @ self._split(key).transpose(2, 3) + self.distance[back_LL]
        weights_BHLL = silu(scores_BHLL).masked_fill(~seen_B1LL, 0.0)
        sums_BLD = (weights_BHLL @ self._split(value)).transpose(1, 2).flatten(2)
        moved_BLD = self.slot(self.output(self.sum_norm(sums_BLD) * gate_BLD), normed_BLD)
        return zero_pads(states_BLD + self.dropout(moved_BLD), valid_BL)

    def _split(self, states_BLD: Tensor) -> Tensor:
        return states_BLD.unflatten(2, (self.heads, -1)).transpose(1, 2)
