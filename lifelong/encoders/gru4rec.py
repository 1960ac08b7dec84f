"""GRU4Rec: a gated recurrent network over the window, light and quick on a CPU (Hidasi et al. 2016; Tan et al. 2016)."""

from dataclasses import dataclass

from torch import Tensor, nn

from lifelong.core.slot import Slot
from lifelong.encoders.base import Encoder, zero_pads
from lifelong.encoders.layers.dropout import Dropout
from lifelong.encoders.layers.recurrence import Recurrence
from lifelong.encoders.layers.transformer import NORM_EPS, linear


class GRU4Rec(Encoder):
    """GRUs on top of each other, read at every position; no positions, for the order is in the recurrence.

    Dropout on the input and training at every position of a window are Tan et al.'s (DLRS 2016). Where we leave Hidasi et al.
    (ICLR 2016): the state is brought back to the width of the item vectors by a linear map, as in RecBole, since the head
    compares it with them, and normed; the GRUs have no biases, so that padding leaves no trace.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Encoder.Config):
        """Options of GRU4Rec."""

        layers: int = 1
        """GRUs on top of each other."""
        hidden: int = 2
        """Width of a GRU's state in multiples of `width`; 2 is RecBole's. 1 takes half the time, and on MovieLens-100k one
        run does not tell them apart."""
        dropout: float = 0.3
        """Share of values dropped from the input and from each layer's output, in [0, 1); 0.3 is RecBole's."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("layers", "hidden"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
            if not 0 <= self.dropout < 1:
                raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    causal = True

    def __init__(self, config: Config, length: int) -> None:
        super().__init__(config, length)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Layer(config.width, config.hidden * config.width, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, NORM_EPS)

    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """States (B, L, D), float32, 0 where not valid_BL."""
        self.check_window(vectors_BLD)
        states_BLD = zero_pads(self.dropout(vectors_BLD), valid_BL)
        for layer in self.layers:
            states_BLD = layer(states_BLD, valid_BL)
        return zero_pads(self.norm(states_BLD), valid_BL)


class Layer(nn.Module):
    """drop(slot(output(gru(x)))), pads zeroed."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.recurrence, self.output = Recurrence(width, hidden), linear(hidden, width)
        self.slot, self.dropout = Slot(width), Dropout(dropout)

    def forward(self, states_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL; padded positions must be 0."""
        moved_BLD = self.slot(self.output(self.recurrence(states_BLD)), states_BLD)
        return zero_pads(self.dropout(moved_BLD), valid_BL)
