"""The one training loop: every phase of every strategy, early stop on validation, resumable at any epoch."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from lifelong.continual.overlay import Overlay
from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.core.errors import LifelongError
from lifelong.core.memory import keep_freed_memory
from lifelong.core.progress import Progress
from lifelong.core.types import Batch
from lifelong.network import TaskNet
from lifelong.objectives.base import Objective
from lifelong.resume import Resume, State
from lifelong.task import Fit


class Feed(Protocol):
    """Where training batches come from; epoch n is always the same."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one pass."""
        ...

    def batches_per_epoch(self) -> int:
        """About how many there are."""
        ...


@dataclass(frozen=True)
class CurvePoint:
    """One epoch: mean training loss, and the validation score (higher is better) that selects."""

    phase: str
    epoch: int
    loss: float
    valid: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """What stays the same through all phases of a task. `validate` scores the network as it stands."""

    net: TaskNet
    objective: Objective
    feed: Feed
    validate: Callable[[TaskNet], float]
    fit: Fit
    seed: int
    names: list[str]
    """The trunk's parameters."""


def fit(job: Job, phase: Phase, number: int, site: Site, progress: Progress, resume: Resume) -> list[CurvePoint]:
    """Train what is open in phase `number` of a task and leave the best by validation in the view, the bank and the net.

    The same seed gives the same bits, interrupted or not: batches and dropout depend on (seed, phase, epoch) alone. Raises
    LifelongError at a loss that is not finite; nothing has been stored then.
    """
    keep_freed_memory()
    overlay = Overlay(site.bank, phase.view, site.claims, job.names)
    state = State(overlay.theta, _own(job.net), job.fit)
    resume.load(number, state)
    epochs = max(1, round(job.fit.epochs * phase.epochs_share))
    with torch.random.fork_rng(devices=[]):
        while state.epoch < epochs and state.since_best < job.fit.patience:
            _epoch(job, phase, number, epochs, overlay, state, progress)
            resume.save(number, state)
    state.restore_best()
    overlay.store()
    return [CurvePoint(phase.label, *point) for point in state.curve]


def _epoch(
    job: Job, phase: Phase, number: int, epochs: int, overlay: Overlay, state: State, progress: Progress
) -> None:
    torch.manual_seed(_mix(job.seed, number, state.epoch))
    progress.start(f"{phase.label} {state.epoch + 1}", job.feed.batches_per_epoch())
    state.set_rate(job.fit.lr * phase.lr_scale * _rate(state.epoch, epochs))
    job.net.train()
    total, steps = torch.zeros(()), 0
    for batch in job.feed.epoch(_mix(number, state.epoch)):
        loss = _step(job, phase, overlay, state, batch)
        total, steps = total + loss, steps + 1
        if steps % 10 == 0:
            progress.advance(10, loss=float(loss))
    _must_be_finite(total, state.epoch)
    valid = _validate(job, overlay)
    progress.end()
    state.judge(float(total) / max(1, steps), valid)
    progress.say(f"{phase.label} epoch {state.epoch}: loss {float(total) / max(1, steps):.4f}, validation {valid:.4f}")


def _rate(epoch: int, epochs: int) -> float:
    """Half a cosine from 1 down to 0.05: the last epochs settle what the first ones found."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def _step(job: Job, phase: Phase, overlay: Overlay, state: State, batch: Batch) -> Tensor:
    loss = functional_call(job.net, overlay.weights(), (job.objective, batch))
    if phase.penalty is not None:
        loss = loss + phase.penalty()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    return loss.detach()


@torch.no_grad()
def _validate(job: Job, overlay: Overlay) -> float:
    job.net.eval()
    with mounted(job.net, overlay.weights()):
        return job.validate(job.net)


class mounted:
    """`with mounted(net, weights):` the net computes with these tensors, then with its own again."""

    def __init__(self, net: TaskNet, weights: dict[str, Tensor]) -> None:
        self.net, self.weights = net, weights

    def __enter__(self) -> None:
        named = dict(self.net.named_parameters())
        self.kept = {name: named[name].data for name in self.weights}
        for name, value in self.weights.items():
            named[name].data = value.detach()

    def __exit__(self, *error: object) -> None:
        named = dict(self.net.named_parameters())
        for name, value in self.kept.items():
            named[name].data = value


def _own(net: TaskNet) -> dict[str, Tensor]:
    trunk = set(net.trunk_names())
    return {name: p for name, p in net.named_parameters() if name not in trunk}


def _must_be_finite(total: Tensor, epoch: int) -> None:
    if not bool(torch.isfinite(total)):
        raise LifelongError(
            f"training diverged in epoch {epoch + 1}: the loss is {float(total)}. Nothing was committed; lower fit.lr"
        )


def _mix(*numbers: int) -> int:
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**62
    return mixed


def trainable_count(phase: Phase, site: Site, net: TaskNet) -> int:
    """How many numbers a phase trains."""
    private = sum(v.numel() for v in phase.view.private.values())
    claimed = sum(
        int(c.sum()) * (site.bank.values[n].shape[1] if n in site.bank.tables else 1) for n, c in site.claims.items()
    )
    return private + claimed + sum(p.numel() for p in _own(net).values())
