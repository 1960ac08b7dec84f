"""The place where a task may put something into an encoder."""

from torch import Tensor, nn


class Slot(nn.Module):
    """The identity, until a task's view fills it with a part (a PeterRec patch, a gate).

    An encoder has one wherever a paper inserts something: after each convolution of NextItNet, after attention and after
    the feed-forward of a Transformer. Input and output are float32 (B, L, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.part: nn.Module | None = None

    def forward(self, states_BLD: Tensor) -> Tensor:
        """`states_BLD` as they are, or through the part that sits here."""
        return states_BLD if self.part is None else self.part(states_BLD)
