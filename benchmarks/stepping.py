"""A task ready for its first step, on a made-up world, and its steps: what step.py and gpu.py measure."""

import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from lifelong.core.compute import Compute
from lifelong.core.progress import Silent
from lifelong.core.types import Batch
from lifelong.growing.growth import Growth
from lifelong.growing.learner import Learner
from lifelong.growing.loading import ahead
from lifelong.growing.resume import State
from lifelong.growing.training import make_learner
from lifelong.living import LivingModel
from lifelong.model.task import as_task

BLOCKS = 2


def ready(
    width: int,
    batch: int,
    *,
    length: int = 100,
    items: int = 20_000,
    users: int = 2000,
    negatives: int = 1024,
    compute: Compute,
) -> Growth:
    """SASRec of two blocks before its first phase. No window is shorter than half of `length`."""
    world = {"name": "synthetic", "users": users, "items": items, "events_per_user": 2 * length, "domains": 1}
    task = as_task(
        {
            "name": "next",
            "encoder": {"name": "sasrec", "width": width, "blocks": BLOCKS},
            "length": length,
            "head": {"name": "next_item", "negatives": negatives},
            "data": {"dataset": world, "split": "time"},
            "strategy": {"name": "conure", "keep": 1.0},
            "fit": {"batch_size": batch},
        }
    )
    model = LivingModel._unborn(Path(tempfile.mkdtemp()) / "model", task, None)
    return model._growth(task, 0, compute, Silent())


def stepper(growth: Growth, kept: int) -> tuple[Callable[[int], None], Learner, int]:
    """step(n) does n steps of the loop of lifelong/growing/training.py on `kept` full batches; and the points of one batch."""
    phase, job = growth.first_phase(), growth.job()
    learner = make_learner(job, phase, growth.site)
    state = State(learner.parameters_by_name(), learner.sparse_names(), job.fit)
    shape = (job.fit.batch_size, growth.design.length)
    full = list(islice((b for b in job.feed.epoch(0) if b.history.window_BL.shape == shape), kept))
    compiled = job.compute.compiled(learner)
    learner.train()

    def batches(count: int) -> list[Batch]:
        return [full[n % len(full)] for n in range(count)]

    def step(count: int) -> None:
        for batch in ahead(iter(batches(count)), learner.device):
            compiled(batch).backward()
            learner.overlay.keep_to_claims()
            state.advance()

    return step, learner, sum(len(b) for b in full) // len(full)


def product_shapes(width: int, tokens: int, points: int, negatives: int) -> list[tuple[float, tuple[int, int, int]]]:
    """(how often, (rows, inner, columns)) of every matrix product of a step; three times forward for the two gradients."""
    maps = [(4 * BLOCKS, (tokens, width, width)), (2 * BLOCKS, (tokens, width, 4 * width))]
    return [(3.0 * n, shape) for n, shape in [*maps, (1, (points, width, negatives))]]


def attention_flops(width: int, batch: int, length: int) -> float:
    """Both products of attention over the lower triangle, forward and two gradients."""
    return BLOCKS * 3 * 2 * 2 * batch * length * length * width / 2


def step_flops(width: int, batch: int, length: int, points: int, negatives: int) -> float:
    """The arithmetic of a step's products."""
    shapes = product_shapes(width, batch * length, points, negatives)
    return sum(n * 2.0 * a * b * c for n, (a, b, c) in shapes) + attention_flops(width, batch, length)
