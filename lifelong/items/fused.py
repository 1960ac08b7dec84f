"""Items by several things at once: their id, text and picture, each encoded, and the vectors made one."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lifelong.items.layers.composed import Composed, LookUp, named


class Fused(Composed):
    """One vector out of x, y, …, the vectors of the parts, each of width D (NineRec, Zhang et al., TPAMI 2024, MultimodalRec).

    sum: x + y + …; concat: W [x, y, …]; gated: W (sigmoid(V x) * y); film: W (g(x) * y + b(x)), the last two with two parts, of
    which the first speaks about the second. Where an item has no content for a part, that part's vector is what it has learnt
    for such items. An item that comes after training has the id vector zero. NineRec's parts are mapped once more before
    a sum; here every part ends in a map of its own.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Composed.Config):
        """Options of the encoder."""

        of: list[Any] = field(default_factory=lambda: ["id", "text"])
        """What is fused: names of item encoders, or {name: …, option: …}."""
        how: Literal["sum", "concat", "gated", "film"] = "sum"
        """How. The sum is the one that leaves an item without an id vector its content's."""

        def __post_init__(self) -> None:
            if len(self.of) < 2:
                raise ValueError(f"of names {len(self.of)} encoders; name at least two")
            if self.how in ("gated", "film") and len(self.of) != 2:
                raise ValueError(f"{self.how} goes with two encoders, of names {len(self.of)}; take sum or concat")
            named(self.of, "of")

    def __init__(self, config: Config, width: int, rows: int) -> None:
        super().__init__(config, width, rows, named(config.of, "items: fused: of"))
        self.how = config.how
        self.map = (
            nn.Identity()
            if config.how == "sum"
            else _map(width * (len(config.of) if config.how == "concat" else 1), width)
        )
        self.first = (
            None if config.how in ("sum", "concat") else _map(width, 2 * width if config.how == "film" else width)
        )

    def compose(self, rows_U: Tensor, look_up: LookUp) -> Tensor:
        """Vectors (U, D) of rows."""
        vectors = [look_up(encoder, rows_U) for encoder in self.encoders().values()]
        if self.first is None:
            return self.map(torch.cat(vectors, dim=1) if self.how == "concat" else torch.stack(vectors).sum(dim=0))
        x_UD, y_UD = vectors
        if self.how == "gated":
            return self.map(_sigmoid(self.first(x_UD)) * y_UD)
        scale_UD, shift_UD = self.first(x_UD).chunk(2, dim=1)
        return self.map((1.0 + scale_UD) * y_UD + shift_UD)


def _map(inputs: int, outputs: int) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    nn.init.normal_(made.weight, std=inputs**-0.5)
    nn.init.zeros_(made.bias)
    return made


def _sigmoid(values: Tensor) -> Tensor:
    """torch's own in training; where bits count 1 / (1 + exp(-x)), as its last ones depend on the number of threads."""
    return values.sigmoid() if torch.is_grad_enabled() else values.neg().exp().add(1.0).reciprocal()
