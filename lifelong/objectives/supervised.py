"""Predict a label of the user from the user vector, the state at the end of the window."""

from torch import Tensor

from lifelong.core.types import Batch
from lifelong.objectives.base import Net, Objective


class Supervised(Objective):
    """The head's own loss, once a window (Conure, Yuan et al., SIGIR 2021, section 3.1: tasks 2 to n).

    Conure appends a [TCL] token and reads the state there. Its row is never trained with the encoder, a random constant; ours
    reads the state of the last event instead, which the encoder was trained to make informative.
    """

    points = "users"

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The head's loss at every point of the batch."""
        states_BLD = net.states(batch.history)
        return net.answer_loss(net.users_at(states_BLD, batch), batch)
