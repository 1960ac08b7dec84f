"""The cells of a forgetting run: one order of the tasks and one seed each; all strategies start from the seed's base model."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lifelong.asking.evaluation import outcome_of
from lifelong.core.errors import UsageError
from lifelong.core.progress import Progress
from lifelong.core.types import Outcome
from lifelong.core.written import write_whole
from lifelong.forgetting.named import Named
from lifelong.forgetting.outcomes import keep
from lifelong.forgetting.processes import side_by_side
from lifelong.growing.making import make_strategy
from lifelong.keeping.verification import check_candidate
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure
from lifelong.metrics.parse import parse
from lifelong.model.task import Task

ALONE, TOGETHER = "scratch", "joint"
"""What forward gain and intransigence compare with: each task trained alone, and all so far at once."""
LEARNT, END, VALID = "learnt", "end", "valid"
"""Moments that outcomes are kept of: test cases just after a task was learnt, test and validation cases after the last task."""
DRAWS = 200
"""Orders drawn for each one wanted, before there are said to be no more."""


@dataclass(frozen=True)
class Cell:
    """One order of the tasks and one seed; `base` is the seed's model of the first task, which all its cells start from."""

    order: int
    """Counted from 1, the order as given."""
    seed: int
    tasks: list[Task]
    strategies: Named
    folder: Path
    base: Path

    def outcome(self, strategy: str, task: str, moment: str) -> Path:
        """Where the outcome of a task at a moment is kept."""
        return self.folder / "outcomes" / strategy / f"{task}.{moment}.npz"

    def model(self, strategy: str) -> Path:
        """Where the model that grows under a strategy lies."""
        return self.folder / "models" / strategy


@dataclass(frozen=True)
class Learnt:
    """What a strategy did in a cell: a record a step, and the changed probe values of each earlier task at the end."""

    steps: list[dict[str, Any]]
    changed: dict[str, int]


def orders_of(tasks: Sequence[Task], count: int, seed: int) -> list[list[Task]]:
    """The order as given, then seeded ones of the tasks behind the first, in which no task stands before its parent.

    Raises UsageError where there are not so many.
    """
    found, random = [list(tasks)], np.random.default_rng(seed)
    for _ in range(DRAWS * count):
        if len(found) == count:
            break
        drawn = _drawn(tasks, random)
        if drawn not in found:
            found.append(drawn)
    if len(found) < count:
        raise UsageError(
            f"--orders {count}: these tasks can be learnt in {len(found)} orders only; take so many or fewer"
        )
    return found


def _drawn(tasks: Sequence[Task], random: np.random.Generator) -> list[Task]:
    order, left = [tasks[0]], list(tasks[1:])
    while left:
        names = {task.name for task in left}
        ready = [task for task in left if task.parent not in names]
        if not ready:
            raise UsageError(f"the tasks {', '.join(sorted(names))} name each other as parents; no order can have that")
        order.append(ready[int(random.integers(len(ready)))])
        left.remove(order[-1])
    return order


def make_cells(tasks: Sequence[Task], strategies: Named, out: Path, orders: int, seeds: Sequence[int]) -> list[Cell]:
    """Every order with every seed; the first lies in `out` itself, the others in out/cells.

    What a task reaches alone depends on no order, so `scratch` is left to the first one.
    """
    made = []
    for number, order in enumerate(orders_of(tasks, orders, seeds[0]), 1):
        chosen = {name: spec for name, spec in strategies.items() if number == 1 or name != ALONE}
        for seed in seeds:
            folder, home = (_folder(out, n, seed, seeds[0]) for n in (number, 1))
            made.append(Cell(number, seed, order, chosen, folder, home / "models" / "base"))
    return made


def _folder(out: Path, order: int, seed: int, first: int) -> Path:
    return out if (order, seed) == (1, first) else out / "cells" / f"order-{order}-seed-{seed}"


def learn_all(cells: Sequence[Cell], progress: Progress) -> list[dict[str, Learnt]]:
    """What every strategy did in every cell. What was finished before is read, what was begun goes on."""
    bases = list({cell.base: cell for cell in cells}.values())
    side_by_side(_base, [(cell,) for cell in bases], [f"seed {cell.seed}" for cell in bases], progress)
    jobs = [(cell, name) for cell in cells for name in cell.strategies]
    labels = [name if len(cells) == 1 else f"{name}, order {c.order}, seed {c.seed}" for c, name in jobs]
    done = iter(side_by_side(_under, jobs, labels, progress))
    return [{name: next(done) for name in cell.strategies} for cell in cells]


def _base(progress: Progress, cell: Cell) -> None:
    """The model with the first task, trained once for a seed."""
    progress.say(f"first task: {cell.tasks[0].name}")
    if not (cell.base / "versions").exists() or not any((cell.base / "versions").iterdir()):
        LivingModel.pretrain(cell.base, cell.tasks[0], seed=cell.seed, progress=progress)


def _under(progress: Progress, cell: Cell, strategy: str) -> Learnt:
    """One step record after each task, the first one included."""
    path, kept = cell.model(strategy), cell.folder / "steps" / f"{strategy}.json"
    steps: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    if not steps:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(cell.base, path)
    model = LivingModel.open(path)
    for number in range(len(steps), len(cell.tasks)):
        task = cell.tasks[number]
        if number and task.name not in model.members:
            progress.say(f"task {number + 1} of {len(cell.tasks)}: {task.name}")
            model.add_task(under(cell, task, strategy), seed=cell.seed, allow_forgetting=True, progress=progress)
        steps.append(_step(cell, strategy, model, number, progress))
        kept.parent.mkdir(exist_ok=True)
        write_whole(kept, json.dumps(steps))
    return Learnt(steps, _changed_since_learnt(cell, path, steps))


def under(cell: Cell, task: Task, strategy: str) -> Task:
    """The task under a strategy; its own options stay where it is the one that the file names, and no others were given.

    `scratch` may train for as many epochs as the longest of the others, which may retrain what they keep, and of the
    candidates that they try: gain over it is not the gain of training longer.
    """
    own = task.strategy if isinstance(task.strategy, str) else task.strategy["name"]
    made = task if own == strategy else replace(task, strategy=cell.strategies[strategy])
    if strategy != ALONE:
        return made
    others = (make_strategy(under(cell, task, name)) for name in cell.strategies if name != ALONE)
    longest = max((strategy.passes for strategy in others), default=1.0)
    return replace(made, fit=replace(task.fit, epochs=ceil(task.fit.epochs * longest)))


def _step(cell: Cell, strategy: str, model: LivingModel, number: int, progress: Progress) -> dict[str, Any]:
    """What is measured after a task: every task so far, on its test cases, and what the version says of it."""
    task = cell.tasks[number]
    measured, last = {}, number == len(cell.tasks) - 1
    for earlier in cell.tasks[: number + 1]:
        outcome = _outcome(model, earlier, "test", progress)
        measured[earlier.name] = {spec: vars(measure(parse(spec), outcome)) for spec in earlier.measured_by}
        if earlier is task:
            keep(outcome, cell.outcome(strategy, earlier.name, LEARNT))
        if last:
            keep(outcome, cell.outcome(strategy, earlier.name, END))
            keep(_outcome(model, earlier, "valid", progress), cell.outcome(strategy, earlier.name, VALID))
    inspected, body = model.inspect(), model.version.body if model.version else {}
    record = model.members[task.name].record
    return {
        "measured": measured,
        "entry": body["tasks"][task.name],
        "changed": body["changed"] if number else {},
        "free": inspected["free"],
        "owned": {t["name"]: t["owned"] for t in inspected["tasks"]},
        "fingerprints": {name: e["fingerprint"] for name, e in body["tasks"].items()},
        "seconds": record["seconds"],
        "trained": record["trained"],
        "curve": record["curve"],
    }


def _outcome(model: LivingModel, task: Task, part: Literal["valid", "test"], progress: Progress) -> Outcome:
    cases = model.cases(task.name, progress)
    return outcome_of(model.answering(task.name), cases, getattr(cases, part))


def _changed_since_learnt(cell: Cell, path: Path, steps: list[dict[str, Any]]) -> dict[str, int]:
    """Earlier task -> how many of its probe values at the end are not the bits of when it was learnt; in a fresh process."""
    model = LivingModel.open(path)
    assert model.version is not None
    learnt = {t.name: steps[i]["entry"] for i, t in enumerate(cell.tasks[:-1])}
    return check_candidate(model.store, model.version.body, {"tasks": learnt})
