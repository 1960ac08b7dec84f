"""Pfeiffer's adapter: one normed bottleneck a block, behind its last sublayer, half of Houlsby's numbers (EACL 2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from lifelong.continual.parts.base import Bend, Bottleneck


class Pfeiffer(Bottleneck):
    """h + up(bend(down(norm(h)))), with a norm of its own and h the output of the block's last sublayer.

    The form of Pfeiffer et al. (EACL 2021) as AdapterRec writes it, norm'(A(norm(h + x)) + h + x) where A has no skip inside:
    its inner norm is ours, its outer one is the encoder's. Where we leave it: a slot stands before the skip joins, so the norm
    sees h and not h + x; `up` starts at zero. AdapterRec's pfeiffer_ver2, a Houlsby adapter in one of the two places, is
    `{part: houlsby, behind: last}`.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Bottleneck.Config):
        """Options of the part."""

        bend: Bend = "relu"
        """Between the two maps; AdapterRec's is relu."""

    usual: ClassVar[Literal["each", "last"]] = "last"

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.bend = config.bend
        self.norm = nn.LayerNorm(width)

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """The states and the correction of what is normed of them."""
        return states_BLD + self.correction(self.norm(states_BLD))
