"""Dilated convolutions over positions: one that looks back, one that looks to both sides."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.core.slot import Slot

INIT_STD = 0.02


class CausalConv(nn.Module):
    """y[p] = sum over k of weight[:, :, k] x[p - (kernel - 1 - k) dilation], with zeros left of the window.

    weight (D, D, kernel), drawn from a normal of deviation 0.02 cut at two deviations; bias (D,) or none, zero at first.
    Computed as a two-dimensional convolution of height 1 in channels-last layout, which is (B, L, D) as it lies in memory:
    no copy, and on CPU quicker than conv1d or a matrix product over gathered neighbours. The slot behind it belongs to this map
    alone; its source (B, L, kernel D) is what the map sees from each position, gathered where a part reads it.
    """

    def __init__(self, width: int, kernel: int, dilation: int, bias: bool) -> None:
        super().__init__()
        self.dilation, self.pads = dilation, self.reach((kernel - 1) * dilation)
        self.weight = nn.Parameter(torch.empty(width, width, kernel))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.slot = Slot(width, "map", kernel * width)
        nn.init.trunc_normal_(self.weight, std=INIT_STD, a=-2 * INIT_STD, b=2 * INIT_STD)

    @staticmethod
    def reach(events: int) -> tuple[int, int]:
        """How far it looks to the left and to the right, of so many events in all."""
        return events, 0

    def forward(self, states_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D); padded positions must be 0, or they reach into real ones."""
        padded_BPD = F.pad(states_BLD, (0, 0, *self.pads))
        image_BD1P = padded_BPD.transpose(1, 2).unsqueeze(2)
        out_BD1L = F.conv2d(image_BD1P, self.weight.unsqueeze(2), self.bias, dilation=(1, self.dilation))
        out_BLD = out_BD1L.squeeze(2).transpose(1, 2)
        return out_BLD if self.slot.part is None else self.slot(out_BLD, self._seen(padded_BPD, out_BLD.shape[1]))

    def _seen(self, padded_BPD: Tensor, length: int) -> Tensor:
        """(B, L, kernel D): what the weight of each tap is multiplied with, tap after tap."""
        taps = range(self.weight.shape[2])
        return torch.cat([padded_BPD[:, k * self.dilation : k * self.dilation + length] for k in taps], dim=2)


class CentredConv(CausalConv):
    """The same with as many events after a position as before it (one more before, where kernel and dilation make it odd)."""

    @staticmethod
    def reach(events: int) -> tuple[int, int]:
        """How far it looks to the left and to the right, of so many events in all."""
        return events - events // 2, events // 2
