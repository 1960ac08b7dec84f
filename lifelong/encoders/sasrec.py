"""SASRec: a causal Transformer over the window, quick to learn which earlier event matters (Kang & McAuley 2018)."""

from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn

from lifelong.encoders.base import Encoder, zero_pads
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.transformer import NORM_EPS, Block, attention_mask, positions_from_first


class SASRec(Encoder):
    """Item vectors times sqrt(D) plus learned positions, then pre-norm blocks of causal attention and feed-forward.

    Where we leave Kang & McAuley (2018): a position counts from the window's first real event and not from its left edge,
    so a short history looks the same in training and in serving; the skip joins before the norm (theirs adds the normed
    query); attention weights and the hidden layer are not dropped; the feed-forward is 4 D wide, theirs D; keys have no bias.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Encoder.Config):
        """Options of SASRec."""

        blocks: int = 2
        """Number of Transformer blocks."""
        heads: int = 2
        """Attention heads; they share the width, so it must be a multiple of them."""
        hidden: int = 4
        """Width of the feed-forward's hidden layer in multiples of `width`."""
        dropout: float = 0.2
        """Share of values dropped from the input and from each sublayer's output, in [0, 1)."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("blocks", "heads", "hidden"):
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
        self.positions = nn.Embedding(length, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.dropout = Dropout(config.dropout)
        hidden = config.hidden * width
        self.blocks = nn.ModuleList(Block(width, config.heads, hidden, config.dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width, NORM_EPS)

    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """States (B, L, D), float32; a batch without pads takes the same path, so a user's bits do not depend on it."""
        self.check_window(vectors_BLD)
        placed_BLD = vectors_BLD * sqrt(self.width) + self.positions(positions_from_first(valid_BL))
        states_BLD = zero_pads(self.dropout(placed_BLD), valid_BL)
        mask_B1LL = attention_mask(valid_BL, causal=True)
        for block in self.blocks:
            states_BLD = block(states_BLD, valid_BL, mask_B1LL)
        return zero_pads(self.norm(states_BLD), valid_BL)
