"""The statistics of a forgetting run: measures over seeds, every task against trained alone, strategies against the first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lifelong.forgetting.advice import Advice, advise
from lifelong.forgetting.cells import ALONE, END, LEARNT, VALID, Cell
from lifelong.forgetting.document import Result
from lifelong.forgetting.outcomes import kept
from lifelong.forgetting.statistics import Scores, over_seeds, paired, scores

MEASURES = ("forgetting", "backward_transfer", "forward_gain", "intransigence")
Compared = dict[str, Any]
Across = dict[tuple[int, int], Scores]
"""(order, seed) -> the scores of one task under one strategy at one moment."""


class Outcomes:
    """The kept outcomes of all cells as scores, each read and resampled once."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self._read: dict[Any, Across] = {}

    def of(self, strategy: str, task: str, moment: str) -> Across:
        """The scores in every cell; those of `scratch` stand in every order, which they do not depend on."""
        key = (strategy, task, moment)
        if key not in self._read:
            self._read[key] = {
                (cell.order, cell.seed): found
                for cell in self.cells
                if (found := self._one(self._home(cell, strategy), *key)) is not None
            }
        return self._read[key]

    def _home(self, cell: Cell, strategy: str) -> Cell:
        return next(c for c in self.cells if c.seed == cell.seed) if strategy == ALONE else cell

    def _one(self, cell: Cell, strategy: str, task: str, moment: str) -> Scores | None:
        path = cell.outcome(strategy, task, moment)
        metric = next(t.measured_by[0] for t in cell.tasks if t.name == task)
        return scores(kept(path), metric) if path.exists() else None


def compare(results: Sequence[Result]) -> Compared:
    """Means with intervals over seeds; negative transfer; each strategy's end against that of the first one named; advice."""
    cells = list({id(result.cell): result.cell for result in results}.values())
    names = list(dict.fromkeys(result.strategy for result in results))
    outcomes = Outcomes(cells)
    by_name = {name: [r for r in results if r.strategy == name] for name in names}
    advice = {task.name: _advice(by_name, task.name, outcomes) for task in cells[0].tasks[1:]}
    return {
        "against": names[0],
        "strategies": {name: _measures(found) for name, found in by_name.items()},
        "tasks": {name: _tasks(found, outcomes, names[0]) for name, found in by_name.items()},
        "advice": {task: found for task, found in advice.items() if found},
    }


def _advice(by_name: Mapping[str, Sequence[Result]], task: str, outcomes: Outcomes) -> Advice | None:
    """Of the strategies that isolate; nothing where one of them was run by a release that kept no validation outcomes."""
    across = {name: outcomes.of(name, task, VALID) for name, found in by_name.items() if found[0].isolates}
    return advise(across, lambda name: _cost(by_name[name], task)) if all(across.values()) else None


def _measures(results: Sequence[Result]) -> Compared:
    """Each measure over all cells, and whether every bit stayed in all of them.

    Those outside by_metric are over all tasks and mix metrics where there are several, as in Result.short.
    """
    shorts = [result.short() for result in results]
    made: Compared = {name: over_seeds((s["seed"], s[name]) for s in shorts) for name in MEASURES}
    for metric in shorts[0]["average"]:
        made[f"average {metric}"] = over_seeds((s["seed"], s["average"][metric]) for s in shorts)
    made["by_metric"] = {metric: _of_metric(shorts, metric) for metric in shorts[0]["by_metric"]}
    return {**made, "cells": len(shorts), "changed_cells": sum(s["changed_bits"] > 0 for s in shorts)}


def _of_metric(shorts: Sequence[Compared], metric: str) -> Compared:
    """Each measure over the tasks of one metric, over all cells."""
    return {name: over_seeds((s["seed"], s["by_metric"][metric][name]) for s in shorts) for name in MEASURES}


def _tasks(results: Sequence[Result], outcomes: Outcomes, against: str) -> dict[str, Compared]:
    return {task.name: _task(results, task.name, outcomes, against) for task in results[0].cell.tasks}


def _task(results: Sequence[Result], task: str, outcomes: Outcomes, against: str) -> Compared:
    """One task under one strategy: what it reached, kept and cost, what it gained over trained alone."""
    name, first = results[0].strategy, task == results[0].cell.tasks[0].name
    ends = [(r.cell.seed, float(r.matrix_TT[-1, r.names.index(task)])) for r in results]
    learnt, alone = (outcomes.of(n, task, LEARNT) for n in (name, ALONE))
    gain = None if name == ALONE or first else paired(learnt, alone)
    return {
        "just_learnt": over_seeds((r.cell.seed, r.per_task[task]) for r in results),
        "at_the_end": over_seeds(ends),
        "gain": gain,
        "negative_transfer": bool(gain and gain["high"] < 0),
        "difference": None
        if name == against
        else paired(outcomes.of(name, task, END), outcomes.of(against, task, END)),
        **_cost(results, task),
    }


def _cost(results: Sequence[Result], task: str) -> Mapping[str, float]:
    """Bytes, trained parameters, seconds and epochs of a task, means over the cells."""
    shorts = [result.short() for result in results]
    keys = ("bytes", "parameters", "seconds", "epochs")
    return {key: float(np.mean([s[key][s["tasks"].index(task)] for s in shorts])) for key in keys}
