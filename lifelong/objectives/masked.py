"""Hide some events of the window and predict them from both sides (cloze); for encoders that see the future."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch
from lifelong.objectives.base import Net, Objective


class Masked(Objective):
    """Mean over the hidden events of -log p(event | what is not hidden) (BERT4Rec, Sun et al., CIKM 2019, section 3.6).

    The event after the window is always hidden and always asked for where it is a target: that is what serving asks. A hidden
    event shows the encoder's mask vector, which is no item and cannot be recommended. Where we leave the paper: no second
    data set with only the last event hidden, for that question is in every window.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Objective.Config):
        """Options of the objective."""

        share: float = 0.3
        """Share of a window's events that are hidden, in (0, 1)."""

        def __post_init__(self) -> None:
            if not 0 < self.share < 1:
                raise ValueError(f"share is {self.share}, it must lie in (0, 1)")

    points = "events"
    causal = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Masked.Config = config

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The head's loss at the points whose event is hidden. Raises ConfigError for a causal encoder."""
        if net.causal:
            raise ConfigError(
                "objective masked needs an encoder that sees both sides, such as bert4rec; use autoregressive"
            )
        valid_BL = batch.history.valid_BL
        hidden_BL = (torch.rand(valid_BL.shape, device=valid_BL.device) < self.options.share) & valid_BL
        hidden_BL[:, -1] = True
        asked_N = hidden_BL[batch.rows_N, batch.positions_N]
        asked = replace(
            batch,
            rows_N=batch.rows_N[asked_N],
            positions_N=batch.positions_N[asked_N],
            targets_N=batch.targets_N[asked_N],
        )
        states_BLD = net.states(batch.history, hidden_BL)
        return net.answer_loss(net.users_at(states_BLD, asked), asked)
