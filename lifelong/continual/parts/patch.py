"""PeterRec's model patch: a residual bottleneck that starts as the identity."""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.continual.parts.base import Part


class Patch(Part):
    """x + up(gelu(down(x))) (PeterRec, Yuan et al., SIGIR 2020, section 3.3).

    The papers' code starts both maps at small random values; `up` starts at zero here, so that a patched encoder computes
    exactly what its parent computes before the first step.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        share: int = 4
        """The bottleneck is width / share."""

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.down = nn.Linear(width, max(1, width // config.share))
        self.up = nn.Linear(max(1, width // config.share), width)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states_BLD: Tensor) -> Tensor:
        """The states and the bottleneck's correction."""
        return states_BLD + self.up(F.gelu(self.down(states_BLD), approximate="tanh"))
