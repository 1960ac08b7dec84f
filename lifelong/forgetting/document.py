"""A finished forgetting run as one plain document: the first cell in full, every cell in short, and the statistics over all."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lifelong import __version__
from lifelong.asking.evaluation import baselines
from lifelong.core.direction import sign
from lifelong.core.types import Measure
from lifelong.forgetting.cells import ALONE, TOGETHER, Cell, Learnt
from lifelong.growing.making import make_strategy
from lifelong.living import LivingModel
from lifelong.metrics import forgetting as measures
from lifelong.model.task import Task

Document = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What one strategy did in one cell, and what it is compared with: each task alone, and all together (None: not run)."""

    cell: Cell
    strategy: str
    learnt: Learnt
    alone: Mapping[str, float] | None
    together: Mapping[str, float] | None

    @property
    def names(self) -> list[str]:
        """The tasks in the order of this cell."""
        return [task.name for task in self.cell.tasks]

    @property
    def isolates(self) -> bool:
        """Whether the strategy promises that earlier tasks stay."""
        return make_strategy(replace(self.cell.tasks[-1], strategy=self.cell.strategies[self.strategy])).isolates

    @cached_property
    def matrix_TT(self) -> np.ndarray:
        """R (T, T): row = after learning task i, column = task; nan where not yet learnt."""
        return matrix(self.cell.tasks, self.learnt.steps, "value")

    @property
    def metrics(self) -> list[str]:
        """The metric of each task in the matrix."""
        return [task.measured_by[0] for task in self.cell.tasks]

    @property
    def better_TT(self) -> np.ndarray:
        """The matrix (T, T) with more always better, as measures want it: columns of mae and its like are negated."""
        return self.matrix_TT * self._signs_T

    @property
    def _signs_T(self) -> np.ndarray:
        return np.array([sign(metric) for metric in self.metrics])

    @property
    def per_task(self) -> dict[str, float]:
        """Task -> its value when it was just learnt."""
        return dict(zip(self.names, self.matrix_TT.diagonal().tolist(), strict=True))

    def gains(self) -> dict[str, Any] | None:
        """How much better just learnt than trained alone, over the tasks after the first, which has nothing to gain from."""
        if self.alone is None or self.strategy == ALONE:
            return None
        scratch_T = np.array([self.alone[name] for name in self.names])
        gain_T = measures.forward_gain_per_task(self.better_TT, self._signs_T * scratch_T)
        return {
            "value": float(np.mean(gain_T[1:])),
            "per_task": [None, *gain_T[1:].tolist()],
            "scratch": [None, *scratch_T[1:].tolist()],
        }

    def intransigence(self) -> dict[str, Any] | None:
        """How much better trained together with all before than just learnt, over the tasks after the first (Chaudhry et al.
        2018)."""
        if self.together is None or self.strategy == TOGETHER:
            return None
        together_T = np.array([self.together[name] for name in self.names])
        short_T = measures.intransigence(self.better_TT, self._signs_T * together_T)
        return {"value": float(np.mean(short_T[1:])), "per_task": [None, *short_T[1:].tolist()]}

    def by_metric(self) -> dict[str, dict[str, float | None]]:
        """Metric -> each measure over the tasks that it measures, None where there are none: the last task learnt has nothing
        to lose yet, the first one nothing to gain from."""
        gains, short, metrics = self.gains(), self.intransigence(), self.metrics
        lost_T, moved_T = (
            f(self.better_TT) for f in (measures.forgetting_per_task, measures.backward_transfer_per_task)
        )
        found = {
            "forgetting": measures.mean_by_metric(lost_T[:-1], metrics[:-1]),
            "backward_transfer": measures.mean_by_metric(moved_T[:-1], metrics[:-1]),
            "forward_gain": measures.mean_by_metric(gains["per_task"][1:], metrics[1:]) if gains else {},
            "intransigence": measures.mean_by_metric(short["per_task"][1:], metrics[1:]) if short else {},
        }
        return {metric: {name: means.get(metric) for name, means in found.items()} for metric in dict.fromkeys(metrics)}

    def short(self) -> Document:
        """The figures that statistics are made of.

        forgetting, backward_transfer, forward_gain and intransigence are means over all tasks: where these have several
        metrics, say NDCG and macro-F1, they mix them, and by_metric is what to read.
        """
        steps, gains, short = self.learnt.steps, self.gains(), self.intransigence()
        return {
            "order": self.cell.order,
            "seed": self.cell.seed,
            "tasks": self.names,
            "matrix": plain_matrix(self.matrix_TT),
            "average": measures.average_by_metric(self.matrix_TT, self.metrics),
            "backward_transfer": measures.backward_transfer(self.better_TT),
            "forgetting": measures.forgetting(self.better_TT),
            "forward_gain": gains and gains["value"],
            "intransigence": short and short["value"],
            "by_metric": self.by_metric(),
            "changed_bits": sum(self.learnt.changed.values()),
            "parameters": [step["trained"] for step in steps],
            "bytes": [sum(f["bytes"] for f in step["entry"]["files"].values()) for step in steps],
            "seconds": [step["seconds"] for step in steps],
            "epochs": [sum(point["epoch"] > 0 for point in step["curve"]) for step in steps],
        }

    def full(self) -> Document:
        """Everything that the page shows of it."""
        tasks, steps, metric = self.cell.tasks, self.learnt.steps, self.metrics
        return {
            **{key: value for key, value in self.short().items() if key not in ("order", "seed")},
            "metric": metric,
            "isolates": self.isolates,
            "low": plain_matrix(matrix(tasks, steps, "low")),
            "high": plain_matrix(matrix(tasks, steps, "high")),
            "cases": [steps[i]["measured"][t.name][metric[i]]["n"] for i, t in enumerate(tasks)],
            "forgetting_per_task": measures.forgetting_per_task(self.better_TT).tolist(),
            "forward_gain": self.gains(),
            "intransigence": self.intransigence(),
            "changed_bits_per_task": self.learnt.changed,
            "changed_bits_per_step": [sum(step["changed"].values()) for step in steps],
            "fingerprints": {t.name: [step["fingerprints"].get(t.name) for step in steps] for t in tasks},
            "capacity": [
                *({"task": t, "share": share} for t, share in steps[-1]["owned"].items()),
                {"task": "free", "share": steps[-1]["free"]},
            ],
            "curves": {t.name: steps[i]["curve"] for i, t in enumerate(tasks)},
            "measured": {
                t.name: {"just_learnt": steps[i]["measured"][t.name], "at_the_end": steps[-1]["measured"][t.name]}
                for i, t in enumerate(tasks)
            },
        }


def results_of(cells: Sequence[Cell], learnt: Sequence[Mapping[str, Learnt]]) -> list[Result]:
    """One result a strategy and cell."""
    alone = {
        cell.seed: Result(cell, ALONE, done[ALONE], None, None).per_task
        for cell, done in zip(cells, learnt, strict=True)
        if ALONE in done
    }
    return [result for cell, done in zip(cells, learnt, strict=True) for result in _of_cell(cell, done, alone)]


def _of_cell(cell: Cell, done: Mapping[str, Learnt], alone: Mapping[int, Mapping[str, float]]) -> Iterator[Result]:
    together = Result(cell, TOGETHER, done[TOGETHER], None, None).per_task if TOGETHER in done else None
    for name, found in done.items():
        yield Result(cell, name, found, alone.get(cell.seed), together)


def describe(results: Sequence[Result], base: LivingModel) -> Document:
    """The first cell in full, and how it was made."""
    first = results[0].cell
    task = first.tasks[0]
    cases = base.cases(task.name)
    return {
        "lifelong": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "seed": first.seed,
        "seeds": sorted({result.cell.seed for result in results}),
        "orders": list({result.cell.order: result.names for result in results}.values()),
        "dataset": cases.dataset_key,
        "notice": cases.notice,
        "strategies": {result.strategy: result.full() for result in results if result.cell is first},
        "runs": [{"strategy": result.strategy, **result.short()} for result in results],
        "baselines": {task.name: _baselines(task, base)},
    }


def matrix(tasks: Sequence[Task], steps: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """The accuracy matrix (T, T) of one figure of a measure: value, low or high."""
    matrix_TT = np.full((len(tasks), len(tasks)), np.nan)
    for i, step in enumerate(steps):
        for j, task in enumerate(tasks[: i + 1]):
            matrix_TT[i, j] = step["measured"][task.name][task.measured_by[0]][key]
    return matrix_TT


def plain_matrix(matrix_TT: np.ndarray) -> list[list[float | None]]:
    """As JSON has it: None for nan."""
    return [[None if np.isnan(v) else float(v) for v in row] for row in matrix_TT]


def _baselines(task: Task, base: LivingModel) -> dict[str, dict[str, Any]]:
    """Counting baselines beside the model, on the test cases of the first task."""
    made: dict[str, dict[str, Measure]] = {"model": base.evaluate([task.name])[task.name]}
    if task.data.label is None:
        repeats = bool(getattr(base.answering(task.name).net.head.config, "repeats", True))  # type: ignore[union-attr]
        made |= baselines(base.cases(task.name), task.measured_by, repeats=repeats)
    return {name: {spec: vars(m) for spec, m in by_metric.items()} for name, by_metric in made.items()}
