"""Compacter: a residual bottleneck of hypercomplex maps, some hundred numbers a slot (NeurIPS 2021)."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.continual.parts.base import BENDS, Bend, Part
from lifelong.core.errors import ConfigError


class Compacter(Part):
    """h + up(bend(down(h))), each map a sum of n Kronecker products A_i x (s_i t_i), A_i (n, n), s_i t_i of rank 1.

    Mahabadi et al. (NeurIPS 2021), section 4. Both maps of a part share the rule A; the paper shares one among all layers, ours
    is the part's own: n³ numbers (64 at n = 4) for a part that can be stored, added and read by itself. Where we leave
    AdapterRec: its code forgets the skip, so that a fresh Compacter wipes the sublayer's output. Starts: A, s and t of `down`
    so that its entries have deviation D^-0.5 (the papers' rule of deviation 0.0001 barely learns in a few epochs), t of `up`
    zero, so the start is exactly the parent.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        share: int = 4
        """The bottleneck is width / share, up to the next multiple of n."""
        n: int = 4
        """Size of the rule; the width must be a multiple of it. 4 is the papers'."""
        bend: Bend = "gelu"
        """Between the two maps; the papers' is gelu."""

        def __post_init__(self) -> None:
            for name in ("share", "n"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        n = config.n
        if width % n:
            raise ConfigError(f"compacter: a slot {width} wide cannot be cut into n = {n}; choose n among its divisors")
        narrow = -(-max(1, width // config.share) // n) * n
        self.bend = BENDS[config.bend]
        self.rule = nn.Parameter(torch.randn(n, n, n) * n**-0.5)
        self.down_out, self.down_in = (nn.Parameter(torch.randn(n, size // n)) for size in (narrow, width))
        self.up_out, self.up_in = (nn.Parameter(torch.randn(n, size // n)) for size in (width, narrow))
        self.down_bias, self.up_bias = (nn.Parameter(torch.zeros(size)) for size in (narrow, width))
        with torch.no_grad():
            self.down_in.mul_(width**-0.5)
            self.up_out.zero_()

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """The states and the bottleneck's correction."""
        hidden_BLN = self.bend(F.linear(states_BLD, kronecker(self.rule, self.down_out, self.down_in), self.down_bias))
        return states_BLD + F.linear(hidden_BLN, kronecker(self.rule, self.up_out, self.up_in), self.up_bias)


def kronecker(rule_NNN: Tensor, out_NP: Tensor, in_NQ: Tensor) -> Tensor:
    """sum over i of rule[i] x (out[i] in[i]), the Kronecker product of each rule with a matrix of rank 1: (n P, n Q)."""
    n, blocks_NPQ = len(rule_NNN), out_NP[:, :, None] * in_NQ[:, None, :]
    mixed = rule_NNN.flatten(1).t() @ blocks_NPQ.flatten(1)
    return mixed.view(n, n, *blocks_NPQ.shape[1:]).transpose(1, 2).flatten(2).flatten(0, 1)
