"""PeterRec's model patch: a residual bottleneck behind or beside a sublayer that starts as the identity."""

from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.continual.parts.base import Part


class Patch(Part):
    """x + up(gelu(down(z))) (PeterRec, Yuan et al., SIGIR 2020, section 3.3), with z = x, the sublayer's output, where serial,
    and z = the sublayer's input where parallel.

    The papers' code starts both maps at small random values; `up` starts at zero here, so that a patched encoder computes
    exactly what its parent computes before the first step. Its parallel patch adds its own input as well, which moves the
    pretrained function from the start; ours adds the bottleneck alone. A cardinality c (c bottlenecks of width / (share c),
    added up) is no option: it is the same function as one bottleneck.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        share: int = 4
        """The bottleneck is width / share, at least 1."""
        form: Literal["serial", "parallel"] = "serial"
        """serial: corrects what the sublayer gives; parallel: looks at what the sublayer is given."""

        def __post_init__(self) -> None:
            if self.share < 1:
                raise ValueError(f"share is {self.share}; the bottleneck is width / share, so it must be at least 1")

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.options: Patch.Config = config
        self.down = nn.Linear(width, max(1, width // config.share))
        self.up = nn.Linear(max(1, width // config.share), width)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    @property
    def reads_source(self) -> bool:
        """True where parallel."""
        return self.options.form == "parallel"

    def forward(self, states_BLD: Tensor, source_BLD: Tensor | None = None) -> Tensor:
        """The states and the bottleneck's correction."""
        seen_BLD = states_BLD if source_BLD is None else source_BLD
        return states_BLD + self.up(F.gelu(self.down(seen_BLD)))
