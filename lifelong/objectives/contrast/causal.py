"""What objectives have in common that set right items apart by a loss of their own, at the points of one causal pass."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch
from lifelong.objectives.base import Net, Objective
from lifelong.objectives.contrast.points import in_order


class Contrast(Objective):
    """Base of these objectives: its `options` are its Config, and its points come to `contrast` window by window."""

    points = "events"
    causal = True
    asks_candidates = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options = config

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The loss of the batch. Raises ConfigError for an encoder that sees the future."""
        if not net.causal:
            name = type(self).__name__.lower()
            raise ConfigError(
                f"objective {name} needs a causal encoder: another one reads the next events off its input"
            )
        return self.contrast(net, in_order(batch))

    @abstractmethod
    def contrast(self, net: Net, batch: Batch) -> Tensor:
        """The loss of a batch whose points are in order, out of a causal network."""
