"""What an encoder that sees both sides of an event needs: a learned vector in the place of what is to be guessed."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.encoders.base import Encoder, zero_pads


class Cloze(Encoder):
    """Base of encoders that are trained by hiding events (Taylor 1953; BERT4Rec, Sun et al. 2019).

    It keeps the order of causal encoders: the state at p speaks about the event after p. Behind the window stands one
    position more, the event to come, which is always hidden: the last state, the user vector, answers what comes next just
    as in training. A hidden event is replaced by `mask`, a vector that each task learns; it is no item and is never ranked.
    A state whose next event is not hidden has seen that event.
    """

    causal = False

    def __init__(self, config: Any, length: int) -> None:
        super().__init__(config, length)
        self.mask = nn.Parameter(torch.randn(self.width) * self.item_std)  # as an item vector

    def forward(self, vectors_BLD: Tensor, valid_BL: Tensor, hidden_BL: Tensor | None = None) -> Tensor:
        """States (B, L, D), float32, 0 where not valid_BL. hidden_BL: bool, True where the *next* event is to be guessed.

        An objective hides at p what it asks at p: at the points of a batch (rows_N, positions_N) that it draws, and the loss
        reads the states at the same points. What hidden_BL says about the last position makes no difference.
        """
        self.check_window(vectors_BLD)
        return zero_pads(self.read(*self._with_question(vectors_BLD, valid_BL, hidden_BL))[:, 1:], valid_BL)

    @abstractmethod
    def read(self, vectors_BPD: Tensor, valid_BP: Tensor) -> Tensor:
        """States (B, P, D) of P = L + 1 positions, each its own; the last is the event to come.

        Pads of the result may hold anything; what pads of vectors_BPD hold must not matter.
        """

    def _with_question(self, vectors_BLD: Tensor, valid_BL: Tensor, hidden_BL: Tensor | None) -> tuple[Tensor, Tensor]:
        """The window and the event to come, hidden ones replaced; a user without events has none to come either."""
        hidden_BP = torch.zeros_like(F.pad(valid_BL, (0, 1)))
        if hidden_BL is not None:
            hidden_BP[:, 1:] = hidden_BL
        hidden_BP[:, -1] = True
        vectors_BPD = torch.where(hidden_BP[:, :, None], self.mask, F.pad(vectors_BLD, (0, 0, 0, 1)))
        return vectors_BPD, torch.cat([valid_BL, valid_BL[:, -1:]], dim=1)
