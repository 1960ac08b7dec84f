"""BERT4Rec: a Transformer that sees both sides and guesses hidden events, for the objective `masked` (Sun et al. 2019)."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from lifelong.encoders.base import zero_pads
from lifelong.encoders.layers.cloze import Cloze
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.transformer import NORM_EPS, Block, attention_mask
from lifelong.encoders.sasrec import SASRec


class BERT4Rec(Cloze):
    """Item vectors times sqrt(D) plus learned positions, then pre-norm blocks of attention to all events and feed-forward.

    Positions count back from the event to come, as left-padded windows do in the paper: the last event is always 1. Where we
    leave Sun et al. (CIKM 2019): the norm stands before each sublayer and not behind, ReLU for GELU, and the states are
    compared with item vectors as they are, without one more layer between.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(SASRec.Config):
        """Options of BERT4Rec."""

        item_std: float | None = 0.02
        """As in the paper: after three epochs of MovieLens-100k the loss of hidden events is 6.11, with width^-0.5 6.26."""

    def __init__(self, config: Config, length: int) -> None:
        super().__init__(config, length)
        width = config.width
        self.positions = nn.Embedding(length + 1, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.dropout = Dropout(config.dropout)
        hidden = config.hidden * width
        self.blocks = nn.ModuleList(Block(width, config.heads, hidden, config.dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width, NORM_EPS)

    def read(self, vectors_BPD: Tensor, valid_BP: Tensor) -> Tensor:
        """States (B, P, D), float32; the event to come stands last."""
        back_P = torch.arange(valid_BP.shape[1], device=valid_BP.device).flip(0)
        placed_BPD = vectors_BPD * sqrt(self.width) + self.positions(back_P)
        states_BPD = zero_pads(self.dropout(placed_BPD), valid_BP)
        mask_B1PP = attention_mask(valid_BP, causal=False)
        for block in self.blocks:
            states_BPD = block(states_BPD, valid_BP, mask_B1PP)
        return self.norm(states_BPD)
