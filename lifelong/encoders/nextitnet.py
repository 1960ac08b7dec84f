"""NextItNet: causal dilated convolutions over the window, the trunk of Conure and of PeterRec (Yuan et al. 2019)."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.core.slot import Slot
from lifelong.encoders.base import Encoder, zero_pads
from lifelong.encoders.layers.convolution import CausalConv
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.transformer import linear

NORM_EPS = 1e-8  # as in the papers' code; torch's own default is 1e-5


class NextItNet(Encoder):
    """Residual blocks of causal convolutions, without positions (Yuan et al., WSDM 2019).

    Two convolutions a block, dilated l and 2 l, are the paper's block (b): `block: pre` is Conure's form of it (SIGIR 2021),
    `block: post` is PeterRec's (SIGIR 2020); the default dilations see 121 events. `block: bottleneck` is the paper's (a).
    Where we leave the papers: their code draws every block from one fixed seed, so all start alike, ours start different;
    `final_norm`; an optional dropout.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Encoder.Config):
        """Options of NextItNet."""

        dilations: tuple[int, ...] = (1, 4) * 4
        """One block each: its convolutions are dilated by this and by twice this, a bottleneck's single one by this."""
        kernel: int = 3
        """Events that a convolution looks at."""
        block: Literal["pre", "post", "bottleneck"] = "pre"
        """pre: norm, ReLU, convolution without bias; post: convolution with bias, norm, ReLU; bottleneck: one convolution at
        half the width, which the block narrows to and widens from."""
        final_norm: bool = True
        """Normalise the last states."""
        dropout: float = 0.0
        """Share of values dropped from the input and from each block's output before the skip, in [0, 1)."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.dilations or min(self.dilations) < 1:
                raise ValueError(f"dilations are {list(self.dilations)}; name at least one, each at least 1")
            if self.kernel < 2:
                raise ValueError(f"kernel is {self.kernel}; below 2 no event would see another")
            if not 0 <= self.dropout < 1:
                raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    causal = True

    def __init__(self, config: Config, length: int) -> None:
        super().__init__(config, length)
        block = BLOCKS[config.block]
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(block(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.width, NORM_EPS) if config.final_norm else nn.Identity()

    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """States (B, L, D), float32, 0 where not valid_BL."""
        self.check_window(vectors_BLD)
        states_BLD = zero_pads(self.dropout(vectors_BLD), valid_BL)
        for block in self.blocks:
            states_BLD = block(states_BLD, valid_BL)
        return zero_pads(self.norm(states_BLD), valid_BL)


class PreBlock(nn.Module):
    """Conure's block: norm, ReLU, convolution, slot, twice; then the skip. No bias: Conure's stay at zero for ever."""

    biased = False

    def __init__(self, config: NextItNet.Config, dilation: int, conv: type[CausalConv] = CausalConv) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2 = nn.LayerNorm(width, NORM_EPS), nn.LayerNorm(width, NORM_EPS)
        self.conv1 = conv(width, config.kernel, dilation, self.biased)
        self.conv2 = conv(width, config.kernel, 2 * dilation, self.biased)
        self.slot1, self.slot2 = Slot(width), Slot(width)
        self.dropout = Dropout(config.dropout)

    def forward(self, states_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL."""
        inner_BLD = zero_pads(F.relu(self.norm1(states_BLD)), valid_BL)
        inner_BLD = self.slot1(self.conv1(inner_BLD), inner_BLD)
        inner_BLD = zero_pads(F.relu(self.norm2(inner_BLD)), valid_BL)
        inner_BLD = self.slot2(self.conv2(inner_BLD), inner_BLD)
        return zero_pads(states_BLD + self.dropout(inner_BLD), valid_BL)


class PostBlock(PreBlock):
    """PeterRec's block: convolution, slot, norm, ReLU, twice; the skip joins after the last ReLU."""

    biased = True

    def forward(self, states_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL."""
        inner_BLD = F.relu(self.norm1(self.slot1(self.conv1(states_BLD), states_BLD)))
        inner_BLD = zero_pads(inner_BLD, valid_BL)
        inner_BLD = F.relu(self.norm2(self.slot2(self.conv2(inner_BLD), inner_BLD)))
        return zero_pads(states_BLD + self.dropout(inner_BLD), valid_BL)


class Bottleneck(nn.Module):
    """Block (a): norm, ReLU and a map, three times: to half the width, one dilated convolution, back; slot; then the skip."""

    def __init__(self, config: NextItNet.Config, dilation: int, conv: type[CausalConv] = CausalConv) -> None:
        super().__init__()
        width, half = config.width, config.width // 2
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(size, NORM_EPS) for size in (width, half, half))
        self.narrow, self.widen = linear(width, half), linear(half, width)
        self.conv1 = conv(half, config.kernel, dilation, True)
        self.slot1 = Slot(width)
        self.dropout = Dropout(config.dropout)

    def forward(self, states_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL."""
        inner_BLH = self.narrow(F.relu(self.norm1(states_BLD)))
        inner_BLH = self.conv1(zero_pads(F.relu(self.norm2(inner_BLH)), valid_BL))
        inner_BLD = self.slot1(self.widen(F.relu(self.norm3(inner_BLH))), states_BLD)
        return zero_pads(states_BLD + self.dropout(inner_BLD), valid_BL)


BLOCKS = {"pre": PreBlock, "post": PostBlock, "bottleneck": Bottleneck}
