"""Noticing that a training has left the finite numbers, without waiting for a GPU at every step."""

from collections.abc import Iterable

import torch
from torch import Tensor

from lifelong.core.errors import Diverged
from lifelong.parallel.group import Group


class Losses:
    """The losses of an epoch, kept where they are computed: their sum, and the first step that had none.

    A loss that is not finite makes every weight NaN in the same step, so nothing after it is of use. It is noted on the device
    and looked at when the loss is read anyway; until then a few useless steps are taken, which the rollback throws away.
    """

    def __init__(self, phase: str, epoch: int, group: Group, device: torch.device) -> None:
        self.phase, self.epoch, self.group = phase, epoch, group
        self.steps = 0
        self.total = torch.zeros((), device=device)
        self._bad = torch.zeros((), dtype=torch.int64, device=device)
        """Number of the first bad step, 0 for none."""

    def add(self, loss: Tensor) -> None:
        """Take note of one step's loss, a scalar."""
        self.steps += 1
        self.total = self.total + loss
        self._bad = torch.where((self._bad == 0) & ~torch.isfinite(loss), self.steps, self._bad)

    def mean(self) -> float:
        """The mean over steps and ranks."""
        return float(self.group.sum(self.total)) / self.group.world / max(1, self.steps)

    def check(self) -> None:
        """Raises Diverged, on every rank alike, where a loss was not finite."""
        if int(self.group.sum(self._bad)):
            step = int(self._bad) or self.steps
            raise Diverged(f"training diverged in {self._where()}, step {step}: the loss is not finite")

    def check_weights(self, trained: Iterable[Tensor]) -> None:
        """Raises Diverged, on every rank alike, where a loss or one of the weights is not finite: the gradient of a finite
        loss may not be, and the last step of an epoch has no loss after it."""
        self.check()
        bad = sum((~torch.isfinite(_own_part(value)).all() for value in trained), self._bad)
        if int(self.group.sum(bad)):
            raise Diverged(f"training diverged in {self._where()}: the weights are not finite")

    def _where(self) -> str:
        return f"epoch {self.epoch + 1} of {self.phase}"


def _own_part(value: Tensor) -> Tensor:
    """What this rank holds of a tensor."""
    part: Tensor = value.to_local() if hasattr(value, "to_local") else value
    return part.detach()
