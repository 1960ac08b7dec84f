"""HSTU: gated attention without softmax, which keeps how strong an interest is (Zhai et al. 2024)."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from lifelong.encoders.base import Encoder, zero_pads
from lifelong.encoders.layers.aggregation import Aggregation
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.transformer import NORM_EPS


class HSTU(Encoder):
    """Layers of pointwise aggregated attention with a bias by distance (ICML 2024, section 3).

    A layer has 5 D² weights, where a Transformer's block has 12 D².
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Encoder.Config):
        """Options of HSTU."""

        layers: int = 2
        """Number of layers."""
        heads: int = 2
        """Attention heads; they share the width, so it must be a multiple of them."""
        dropout: float = 0.2
        """Share of values dropped from the input and from each layer's output, in [0, 1)."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("layers", "heads"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
            if self.width % self.heads:
                raise ValueError(f"width {self.width} cannot be shared by {self.heads} heads; make it a multiple")
            if not 0 <= self.dropout < 1:
                raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    causal = True

    def __init__(self, config: Config, length: int) -> None:
        super().__init__(config, length)
        width = config.width
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Aggregation(width, config.heads, length, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width, NORM_EPS)

    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """States (B, L, D), float32, 0 where not valid_BL."""
        self.check_window(vectors_BLD)
        states_BLD = zero_pads(self.dropout(vectors_BLD * sqrt(self.width)), valid_BL)
        place_L = torch.arange(valid_BL.shape[1], device=valid_BL.device)
        back_LL = place_L[:, None] - place_L
        seen_B1LL = (back_LL >= 0) & valid_BL[:, None, None, :]
        for layer in self.layers:
            states_BLD = layer(states_BLD, valid_BL, seen_B1LL, back_LL.clamp(min=0))
        return zero_pads(self.norm(states_BLD), valid_BL)
