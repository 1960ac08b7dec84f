"""Houlsby's adapter: a residual bottleneck behind every sublayer, or beside it (ICML 2019; AdapterRec's strongest)."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from lifelong.continual.parts.base import Bend, Bottleneck


class Houlsby(Bottleneck):
    """h + up(bend(down(z))), with z = h, the sublayer's output, where serial, and z = x, its input, where parallel.

    The encoder adds the skip, so with one that norms last the whole is norm(x + h + up(bend(down(z)))) (Houlsby et al., ICML
    2019, figure 2; parallel: He et al., ICLR 2022). Where we leave AdapterRec (Fu et al., WSDM 2024): its code adds the
    parallel adapter's input a second time, which doubles the skip from the start; ours adds the bottleneck alone. `up` starts
    at zero and not at small random values, so the start is exactly the parent.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Bottleneck.Config):
        """Options of the part."""

        form: Literal["serial", "parallel"] = "serial"
        """serial: corrects what the sublayer gives; parallel: looks at what the sublayer is given."""
        bend: Bend = "relu"
        """Between the two maps; AdapterRec's is relu."""

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.options: Houlsby.Config = config
        self.bend = config.bend

    @property
    def reads_source(self) -> bool:
        """True where parallel."""
        return self.options.form == "parallel"

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """The states and the bottleneck's correction."""
        return states_BLD + self.correction(states_BLD if source_BLS is None else source_BLS)
