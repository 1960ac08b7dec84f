"""The one training loop: every phase of every strategy, early stop on validation, resumable at any epoch."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.asking.evaluation import log_score
from lifelong.continual.overlay import Overlay
from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.view import ITEM_TABLE
from lifelong.core.compute import Compute
from lifelong.core.errors import Diverged
from lifelong.core.fingerprint import tensors_hash
from lifelong.core.memory import give_back, keep_freed_memory
from lifelong.core.progress import Progress
from lifelong.core.types import Batch
from lifelong.growing.divergence import Losses
from lifelong.growing.learner import Learner
from lifelong.growing.loading import ahead
from lifelong.growing.resume import Resume, State
from lifelong.model.network import TaskNet
from lifelong.model.task import Fit
from lifelong.objectives.base import Objective
from lifelong.parallel.group import ALONE, Group
from lifelong.parallel.shares import shares
from lifelong.parallel.wrap import average_rows, unwrap, whole, wrap

REPORTED = 20
"""The loss is shown after so many steps: to read it, a GPU must be waited for."""


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
    """One epoch: mean training loss, the validation score (higher is better) that selects, seconds since the phase began.

    Epoch 0 is what a task has before its first step, which has no loss.
    """

    phase: str
    epoch: int
    loss: float | None
    valid: float
    seconds: float


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
    fixed: frozenset[str] = frozenset()
    """Those of them that no phase trains: the table of what encodes items."""
    start: Callable[[TaskNet], None] | None = None
    """Given the network as it stands before the first step of the first phase."""
    compute: Compute = field(default_factory=Compute)
    group: Group = ALONE
    """The processes that share every step."""


def fit(job: Job, phase: Phase, number: int, site: Site, progress: Progress, resume: Resume) -> list[CurvePoint]:
    """Train what is open in phase `number` of a task and leave the best by validation in the view, the bank and the net.

    A task that stands on another starts from what its parent knows, and that is validated, too: no phase ends worse than it
    began. The same seed gives the same bits, interrupted or not: batches and dropout depend on (seed, phase, epoch). Raises
    Diverged where a loss or a weight is not finite, LifelongError where processes have drifted apart; nothing has been stored
    then.
    """
    keep_freed_memory()
    began = time.perf_counter()
    learner = make_learner(job, phase, site)
    if number == 0 and job.start is not None:
        job.start(learner.settle())
    _alike(job.group, {**site.claims, **learner.parameters_by_name()}, f"what starts to {phase.label}")
    wrapped = wrap(learner, job.group, job.compute.parallel, _rows(learner))
    state = State(learner.parameters_by_name(), learner.sparse_names(), job.fit)
    resume.load(number, state)
    if not state.epoch and site.parent is not None:
        with whole(learner):
            state.start(_validate(job, learner), time.perf_counter() - began)
    epochs = max(1, round(job.fit.epochs * phase.epochs_share))
    step = job.compute.compiled(wrapped)
    with torch.random.fork_rng(devices=[learner.device] if learner.device.type == "cuda" else []):
        while state.epoch < epochs and state.since_best < job.fit.patience:
            try:
                _epoch(job, phase, number, epochs, learner, step, state, progress)
            except Diverged as error:
                raise Diverged(f"{error}. Nothing was committed; {resume.put_aside(state.lr)}") from None
            resume.save(number, state)
    state.restore_best()
    if job.group.world > 1:
        unwrap(learner)
        _alike(job.group, learner.parameters_by_name(), f"what was learnt in {phase.label}")
    learner.store()
    return [CurvePoint(phase.label, *point) for point in state.curve]


def make_learner(job: Job, phase: Phase, site: Site) -> Learner:
    """What the phase trains, on the device of the job."""
    sparse = frozenset({ITEM_TABLE} if getattr(job.net.items, "sparse", False) else ())
    overlay = Overlay(site.bank, phase.view, site.claims, job.names, job.compute.place(), sparse, job.fixed)
    return Learner(job.net, job.objective, overlay, phase, job.compute)


def _epoch(
    job: Job,
    phase: Phase,
    number: int,
    epochs: int,
    learner: Learner,
    step: Callable[[Batch], Tensor],
    state: State,
    progress: Progress,
) -> None:
    began = time.perf_counter()
    ranks = [job.group.rank] if job.group.world > 1 else []  # each rank drops other values
    torch.manual_seed(_mix(job.seed, number, state.epoch, *ranks))
    progress.start(f"{phase.label} {state.epoch + 1}", job.feed.batches_per_epoch())
    state.set_rate(job.fit.lr * phase.lr_scale * _rate(state.epoch, epochs))
    learner.train()
    if learner.penalty is not None:
        learner.penalty.start(state.epoch, job.feed.batches_per_epoch())
    losses, rows = Losses(phase.label, state.epoch, job.group, learner.device), _rows(learner)
    for batch in ahead(shares(job.feed.epoch(_mix(number, state.epoch)), job.group), learner.device):
        loss = step(batch) * batch.weight
        loss.backward()
        learner.overlay.keep_to_claims()
        average_rows(rows, job.group)
        state.advance()
        losses.add(loss.detach())
        if losses.steps % REPORTED == 0:
            losses.check()
            give_back()
            progress.advance(REPORTED, loss=float(loss.detach()))
    losses.check_weights(state.tensors.values())
    told = "".join(f", {name} {value:.2f}" for name, value in job.objective.end_epoch().items())
    with state.averaged(), whole(learner):
        valid = _validate(job, learner)
    progress.end()
    mean = losses.mean()
    state.judge(mean, valid, time.perf_counter() - began)
    progress.say(f"{phase.label} epoch {state.epoch}: loss {mean:.4f}, validation {valid:.4f}{told}")


def _rate(epoch: int, epochs: int) -> float:
    """Half a cosine from 1 down to 0.05: the last epochs settle what the first ones found."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def _alike(group: Group, tensors: Mapping[str, Tensor], what: str) -> None:
    """All ranks hold the same bits, so that all prune the same weights; raises LifelongError where one has drifted."""
    if group.world > 1:
        group.same(tensors_hash(tensors), what)


def _rows(learner: Learner) -> list[nn.Parameter]:
    """Tables whose gradients hold rows alone."""
    sparse = learner.sparse_names()
    return [value for name, value in learner.parameters_by_name().items() if name in sparse]


@torch.no_grad()
def _validate(job: Job, learner: Learner) -> float:
    own = job.validate(learner.settle())
    penalty = learner.penalty
    others = [] if penalty is None else penalty.validated(learner.overlay.weights(learner.theta()))
    return own if not others else float(np.mean([log_score(job.net.answers, own), *others]))


def _mix(*numbers: int) -> int:
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**62
    return mixed


def trainable_count(phase: Phase, site: Site, job: Job) -> int:
    """How many numbers a phase trains."""
    trunk, trained = set(job.net.trunk_names()), set(job.names) - job.fixed
    own = sum(p.numel() for name, p in job.net.named_parameters() if name not in trunk and p.requires_grad)
    private = sum(v.numel() for name, v in phase.view.private.items() if name in trained)
    claimed = sum(
        int(c.sum()) * (site.bank.values[n].shape[1] if n in site.bank.tables else 1)
        for n, c in site.claims.items()
        if n in trained
    )
    return private + claimed + own
