"""A dropout whose random numbers are cheap on the CPU."""

import torch
from torch import Tensor, nn

STEPS = 256  # one byte decides about one value


class Dropout(nn.Dropout):
    """nn.Dropout that draws one random byte per value on the CPU, from torch's global generator; elsewhere nn.Dropout itself.

    On the CPU the share is p rounded to 1/256 (at least 1/256), and what is kept is scaled by exactly that share, so
    expectations hold. nn.Dropout draws one number per value on one thread and so costs more than a matrix product.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`input`, float of any shape; in training with values dropped at random and the others scaled up."""
        if not self.training or self.p == 0.0:
            return input
        if input.device.type != "cpu":
            return super().forward(input)
        dropped = min(max(round(self.p * STEPS), 1), STEPS - 1)
        kept = (_random_bytes(input) >= dropped).to(input.dtype)
        return input * kept.mul_(STEPS / (STEPS - dropped))


def _random_bytes(like: Tensor) -> Tensor:
    draws = torch.empty((like.numel() + 7) // 8, dtype=torch.int64)
    draws.random_(-(2**63), None)  # None: up to the largest int64, so that all 64 bits are random
    return draws.view(torch.uint8)[: like.numel()].view(like.shape)
