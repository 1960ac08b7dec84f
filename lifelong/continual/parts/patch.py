"""PeterRec's model patch: a residual bottleneck behind or beside a sublayer that starts as the identity."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from lifelong.continual.parts.base import Bottleneck


class Patch(Bottleneck):
    """x + up(gelu(down(z))) (PeterRec, Yuan et al., SIGIR 2020, section 3.3), with z = x, the sublayer's output, where serial,
    and z = the sublayer's input where parallel.

    The papers' code starts both maps at small random values; `up` starts at zero here, so that a patched encoder computes
    exactly what its parent computes before the first step. Its parallel patch adds its own input as well, which moves the
    pretrained function from the start; ours adds the bottleneck alone. A cardinality c (c bottlenecks of width / (share c),
    added up) is no option: it is the same function as one bottleneck.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Bottleneck.Config):
        """Options of the part."""

        form: Literal["serial", "parallel"] = "serial"
        """serial: corrects what the sublayer gives; parallel: looks at what the sublayer is given."""

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.options: Patch.Config = config

    @property
    def reads_source(self) -> bool:
        """True where parallel."""
        return self.options.form == "parallel"

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """The states and the bottleneck's correction."""
        return states_BLD + self.correction(states_BLD if source_BLS is None else source_BLS)
