"""The place where a task may put something into an encoder."""

from torch import Tensor, nn

from lifelong.core.errors import ConfigError


class Slot(nn.Module):
    """The identity, until a task's view fills it with a part (a PeterRec patch, a gate).

    An encoder has one wherever a paper inserts something: after each convolution of NextItNet, after attention and after
    the feed-forward of a Transformer. Input and output are float32 (B, L, width). The encoder calls it as
    `slot(sublayer(source), source)`, so that a part can also stand beside the sublayer and not only behind it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.part: nn.Module | None = None

    def forward(self, states_BLD: Tensor, source_BLD: Tensor | None = None) -> Tensor:
        """`states_BLD` as they are, or through the part that sits here.

        source_BLD: what the sublayer before the slot was given; only a part with `reads_source` gets it, as its second
        argument. Raises ConfigError where such a part sits in a slot whose encoder hands none over.
        """
        if self.part is None:
            return states_BLD
        if not getattr(self.part, "reads_source", False):
            return self.part(states_BLD)
        if source_BLD is None:
            raise ConfigError(
                "this encoder's slots give a part no source, so nothing parallel can sit there; use serial"
            )
        return self.part(states_BLD, source_BLD)
