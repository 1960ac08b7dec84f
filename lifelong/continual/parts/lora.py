"""LoRA: a low-rank change of a linear map, beside it and mergeable into it (ICLR 2022)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lifelong.continual.parts.base import Part
from lifelong.core.slot import Kind, Opening


class LoRA(Part):
    """W x + b + (alpha / rank) B A x, with the parent's own W and b, A (rank, in) random and B (out, rank) zero at the start.

    Hu et al. (ICLR 2022), section 4. It stands in the slot behind a map and is given the map's input, so W is never copied,
    replaced or trained (AdapterRec's code puts a fresh random layer in its place). B A x is computed beside W x in training and
    in serving, so a hundred tasks share one W; `merged` is for those who want one matrix. A starts as torch's linear maps do,
    which is also loralib's way. Nothing is dropped from the input, as in AdapterRec.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        rank: int = 4
        """Of the change; 4 is AdapterRec's in the user encoder, 12 in its item encoders."""
        alpha: float = 4.0
        """The change counts alpha / rank times."""

        def __post_init__(self) -> None:
            if self.rank < 1:
                raise ValueError(f"rank is {self.rank}; it must be at least 1")
            if not self.alpha > 0:
                raise ValueError(f"alpha is {self.alpha}; it must be above 0")

    behind: ClassVar[Kind] = "map"

    def __init__(self, config: Any, width: int, source_width: int | None = None) -> None:
        """`source_width`: of the map's input; nothing: `width`, too."""
        super().__init__(config, width)
        self.scale = config.alpha / config.rank
        self.down = nn.Linear(width if source_width is None else source_width, config.rank, bias=False)
        self.up = nn.Linear(config.rank, width, bias=False)
        nn.init.zeros_(self.up.weight)

    @classmethod
    def fitting(cls, config: Any, opening: Opening) -> "LoRA":
        """For a map's slot. Raises ConfigError for another."""
        cls.check_opening(opening)
        return cls(config, opening.width, opening.source_width)

    @property
    def reads_source(self) -> bool:
        """Always."""
        return True

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """What the map gives, (B, L, out), and the change, of the map's input (B, L, in)."""
        assert source_BLS is not None  # the slot refuses to call without
        return states_BLD + self.scale * self.up(self.down(source_BLS))

    def merged(self, weight: Tensor) -> Tensor:
        """The one weight that computes the same: (out, in), or (out, in / taps, taps) of a convolution, whose slot hands over
        what its taps see side by side."""
        change = self.scale * self.up.weight @ self.down.weight
        if weight.dim() == 3:
            change = change.unflatten(1, (weight.shape[2], -1)).transpose(1, 2)
        return weight + change
