"""One stretch of training that a strategy asks for; the training loop knows nothing else of strategies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lifelong.continual.view import View
from lifelong.core.types import Batch

Weights = Mapping[str, Tensor]
"""Tensors of the trunk by name, as they stand in a step; gradients pass through them."""


class Penalty(nn.Module, ABC):
    """What a phase adds to the loss of every batch; the door for methods that pull towards, or rehearse, earlier tasks.

    Its parameters that require a gradient are trained with the task (heads of earlier tasks). What it draws depends on the
    number of the epoch alone, so that an interrupted training goes on to the same bits.
    """

    @abstractmethod
    def forward(self, weights: Weights, batch: Batch) -> Tensor:
        """A scalar of this step's trunk and batch, both on one device."""

    def validated(self, weights: Weights) -> list[float]:
        """Validation scores of other tasks that an epoch is chosen by beside the task's own, as logarithms; none as a rule."""
        return []

    def start(self, epoch: int, steps: int = 0) -> None:
        """Called before the first batch of every epoch, counted from 0; it has about so many steps, 0 where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Train what is open in `view` (its claims, private tensors, parts and the head) and keep the best by validation."""

    view: View
    label: str
    """What the progress line says."""
    epochs_share: float = 1.0
    """Epochs as a share of the task's `fit.epochs`, at least one."""
    lr_scale: float = 1.0
    """Factor on the task's learning rate."""
    penalty: Penalty | None = None
    """Added to the loss of every batch."""
