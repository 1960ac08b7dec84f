"""The place where a task may put something into an encoder."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.errors import ConfigError

Kind = Literal["sublayer", "map"]
"""Behind what a slot stands: a whole sublayer of an encoder, or one linear map inside it."""


@dataclass(frozen=True)
class Opening:
    """What a part finds in a slot: behind what it stands, how wide that is, and how wide what went in there is."""

    kind: Kind
    width: int
    source_width: int


class Slot(nn.Module):
    """The identity, until a task's view fills it with a part (a PeterRec patch, an adapter, a gate).

    An encoder has one wherever a paper inserts something: behind every sublayer (each convolution of NextItNet, attention and
    feed-forward of a Transformer), and behind the linear maps inside (`Map`), which is where LoRA stands. Input and output are
    float32 (B, L, width). The encoder calls it as `slot(sublayer(source), source)`, so that a part can also stand beside the
    sublayer and not only behind it. An empty slot has no parameters and draws no random number.
    """

    def __init__(self, width: int, kind: Kind = "sublayer", source_width: int | None = None) -> None:
        """`source_width`: of what the sublayer or map is given; nothing: `width`, too."""
        super().__init__()
        self.width = width
        self.opening = Opening(kind, width, width if source_width is None else source_width)
        self.part: nn.Module | None = None

    def forward(self, states_BLD: Tensor, source_BLS: Tensor | None = None) -> Tensor:
        """`states_BLD` as they are, or through the part that sits here.

        source_BLS: what the sublayer or map before the slot was given; only a part with `reads_source` gets it, as its second
        argument. Raises ConfigError where such a part sits in a slot whose encoder hands none over.
        """
        if self.part is None:
            return states_BLD
        if not getattr(self.part, "reads_source", False):
            return self.part(states_BLD)
        if source_BLS is None:
            raise ConfigError(
                "this encoder's slots give a part no source, so nothing parallel can sit there; use serial"
            )
        return self.part(states_BLD, source_BLS)


class Map(nn.Linear):
    """A linear map with a slot behind it, which is given the map's own input; its weights are called as nn.Linear's are."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self.slot = Slot(outputs, "map", inputs)

    @classmethod
    def around(cls, linear: nn.Linear) -> "Map":
        """A map with the very parameters of a layer that is there, for networks that others have made and trained."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.in_features, made.out_features = linear.in_features, linear.out_features
        made.weight, made.bias = linear.weight, linear.bias
        made.slot = Slot(linear.out_features, "map", linear.in_features)
        return made.train(linear.training)

    def forward(self, input: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        return self.slot(F.linear(input, self.weight, self.bias), input)
