"""One stretch of training that a strategy asks for; the training loop knows nothing else of strategies."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lifelong.continual.view import View


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
    penalty: Callable[[], Tensor] | None = None
    """Added to the loss of every batch; the door for methods that pull towards earlier weights."""
