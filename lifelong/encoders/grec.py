"""GRec's encoder: NextItNet that looks to both sides, to guess hidden events, for the objective `masked` (Yuan et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor, nn

from lifelong.encoders.base import zero_pads
from lifelong.encoders.layers.cloze import Cloze
from lifelong.encoders.layers.convolution import CentredConv
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.nextitnet import BLOCKS, NORM_EPS, NextItNet


class GRec(Cloze):
    """NextItNet's residual blocks with convolutions centred on their position (WWW 2020, the gap-filling encoder).

    PeterRec (SIGIR 2020) pretrains this encoder alone, without GRec's decoder, and so do we. Where we leave them: both read a
    user at a token at each end of the window, we at the event to come; padding is no token.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(NextItNet.Config):
        """Options of GRec."""

    def __init__(self, config: Config, length: int) -> None:
        super().__init__(config, length)
        block = BLOCKS[config.block]
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(block(config, dilation, CentredConv) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.width, NORM_EPS) if config.final_norm else nn.Identity()

    def read(self, vectors_BPD: Tensor, valid_BP: Tensor) -> Tensor:
        """States (B, P, D), float32; the event to come stands last."""
        states_BPD = zero_pads(self.dropout(vectors_BPD), valid_BP)
        for block in self.blocks:
            states_BPD = block(states_BPD, valid_BP)
        return self.norm(states_BPD)
