"""Items of different kinds in one catalogue: what has text goes to the one encoder, what has a picture to the other."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lifelong.items.layers.composed import Composed, LookUp, named


class Mixed(Composed):
    """Each item is encoded by what it has (TransRec, Wang et al., 2022): text, picture or, chosen by `both`, the two.

    The items of a batch are parted by kind, each encoder is called once with its own, and not at all where there is none; no
    padding is encoded, and every vector comes back to its item's place. TransRec's items have one kind each, and it walks over
    them in a loop. An item that has neither gets `missing_D`.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Composed.Config):
        """Options of the encoder."""

        of: list[Any] | None = None
        """The encoders; nothing: text and image, as they come."""
        both: Literal["mean", "first"] = "mean"
        """What an item gets that several can read: the mean of their vectors, or that of the first of them."""

        def __post_init__(self) -> None:
            if self.of is not None and len(named(self.of, "of")) < 2:
                raise ValueError(f"of names {len(self.of)} encoders; name at least two")

    def __init__(self, config: Config, width: int, rows: int) -> None:
        super().__init__(config, width, rows, named(config.of or ["text", "image"], "items: mixed: of"))
        self.both = config.both
        self.learn_missing()
        for encoder in self.encoders().values():
            encoder.missing_D = None  # they are asked for nothing that they cannot read

    def compose(self, rows_U: Tensor, look_up: LookUp) -> Tensor:
        """Vectors (U, D) of rows."""
        total_UD = torch.zeros(len(rows_U), self.width, device=rows_U.device)
        count_U = torch.zeros(len(rows_U), device=rows_U.device)
        for encoder in self.encoders().values():
            mine_U = encoder.readable_V[rows_U]
            if self.both == "first":
                mine_U = mine_U & (count_U == 0)
            place_u = mine_U.nonzero()[:, 0]
            if len(place_u):
                total_UD = total_UD.index_add(0, place_u, look_up(encoder, rows_U[place_u]))
                count_U = count_U + mine_U
        return total_UD / count_U[:, None]
