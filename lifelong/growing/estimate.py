"""What adding a task would cost, measured on a few real steps before anything is trained."""

import time
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch

from lifelong.growing.growth import Growth
from lifelong.growing.loading import ahead
from lifelong.growing.training import make_learner, trainable_count

STEPS = 4


@dataclass(frozen=True)
class Estimate:
    """A task's plan: numbers trained, share of the encoder that is free before and (with auto, at least) afterwards, cases, and
    the most it should take."""

    task: str
    strategy: str
    trained: int
    free_before: float
    free_afterwards: float
    cases: dict[str, int]
    left_out: dict[str, int]
    new_item_rows: int
    answers: int
    kind: str
    seconds_per_epoch: float
    seconds_at_most: float
    memory_mb: float
    changes_earlier: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate(growth: Growth) -> Estimate:
    """Open the first phase, time a few steps without keeping what they learn, and multiply."""
    free = growth.bank_free()
    phase = growth.first_phase()
    job = growth.job()
    growth.tell_cost(job)
    learner = make_learner(job, phase, growth.site).train()
    seconds = []
    for batch in ahead(islice(job.feed.epoch(0), STEPS), learner.device):
        began = time.perf_counter()
        learner(batch).backward()
        _wait(learner.device)
        seconds.append(time.perf_counter() - began)
    per_epoch = min(seconds) * job.feed.batches_per_epoch() * 1.15  # the optimizer's step and validation
    trained = trainable_count(phase, growth.site, job)
    return Estimate(
        task=growth.task.name,
        strategy=type(growth.strategy).__name__.lower(),
        trained=trained,
        free_before=free,
        cases={part: len(getattr(growth.cases, part)) for part in ("train", "valid", "test")},
        left_out=dict(growth.cases.left_out),
        new_item_rows=len(growth.cases.new_items),
        answers=len(growth.cases.catalogue),
        kind=growth.task.answers,
        seconds_per_epoch=round(per_epoch, 2),
        seconds_at_most=round(per_epoch * growth.task.fit.epochs * growth.strategy.tried, 1),
        memory_mb=round(_memory(growth, trained) / 1e6, 1),
        changes_earlier=not growth.strategy.isolates and growth.parent is not None,
        free_afterwards=growth.free_afterwards(),
    )


def _wait(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory(growth: Growth, trained: int) -> float:
    """Bytes: the bank, and of what is trained weights, gradient, two moments and the best epoch; and a batch's activations."""
    bank = sum(v.numel() * 4 for v in growth.site.bank.values.values())
    activations = growth.task.fit.batch_size * growth.design.length * growth.net.width * 4 * 60
    return bank + trained * 4 * 5 + activations + torch.get_num_threads() * 2**24
