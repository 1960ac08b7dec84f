"""The measures of a forgetting run worked by hand, where less is better and where tasks have several metrics."""

from dataclasses import replace

import numpy as np
import pytest
import worlds

from lifelong.core.types import Estimated
from lifelong.forgetting.advice import advise
from lifelong.forgetting.cells import Cell, Learnt
from lifelong.forgetting.compared import _measures
from lifelong.forgetting.document import Result
from lifelong.forgetting.statistics import paired, scores
from lifelong.model.task import as_task

NUMBER = {"head": "regression", "metrics": ["mae"]}


def steps(tasks, matrix):
    """Records of steps that measured this."""
    return [
        {
            "measured": {task.name: {task.measured_by[0]: {"value": v}} for task, v in zip(tasks, row, strict=False)},
            "entry": {"files": {}},
            "seconds": 1.0,
            "trained": 1,
            "curve": [],
        }
        for row in matrix
    ]


def result(tasks, matrix, alone=None, together=None):
    cell = Cell(1, 0, tasks, {"sequential": "sequential"}, None, None)
    names = [task.name for task in tasks]
    found = [dict(zip(names, values, strict=True)) if values else None for values in (alone, together)]
    return Result(cell, "sequential", Learnt(steps(tasks, matrix), {}), *found)


def test_a_mean_error_that_rises_is_forgotten():
    """The planted fault: from .5 to .9 would be backward transfer of .4."""
    tasks = [as_task(worlds.label(n, **NUMBER)) for n in range(2)]
    found = result(tasks, [[0.5], [0.9, 0.3]], alone=[1.0, 0.4], together=[1.0, 0.2])
    short = found.short()
    assert short["forgetting"] == pytest.approx(0.4)
    assert short["backward_transfer"] == pytest.approx(-0.4)
    assert short["forward_gain"] == pytest.approx(0.1), "an error of .3 is .1 better than .4 alone"
    assert short["intransigence"] == pytest.approx(0.1), "and .1 worse than .2 together"
    assert short["matrix"] == [[0.5, None], [0.9, 0.3]]
    assert short["average"] == {"mae": pytest.approx(0.6)}
    assert found.gains()["scratch"] == [None, 0.4]
    assert found.per_task == {"label_0": 0.5, "label_1": 0.3}


def test_an_error_that_stays_is_forgotten_by_exactly_nothing():
    tasks = [as_task(worlds.label(n, **NUMBER)) for n in range(2)]
    short = result(tasks, [[0.1], [0.1, 0.0]]).short()
    assert (short["forgetting"], short["backward_transfer"]) == (0.0, 0.0)


def estimated(error):
    """100 users, each as far off."""
    return {(1, 0): scores(Estimated(np.full(100, 1.0 + error), np.ones(100)), "mae")}


def test_the_larger_error_is_clearly_worse():
    """The planted fault: 5.0 would be the best, and .1 clearly below it."""
    gap = paired(estimated(5.0), estimated(0.1))
    assert gap["high"] < 0
    assert gap["mean"] == pytest.approx(-4.9)
    advice = advise({"good": estimated(0.1), "bad": estimated(5.0)}, lambda name: {"bytes": 1.0, "seconds": 1.0})
    assert (advice["use"], advice["best"]) == ("good", "good")
    cheap = advise(
        {"good": estimated(0.1), "bad": estimated(5.0)}, lambda name: {"bytes": float(name == "good"), "seconds": 1.0}
    )
    assert (cheap["use"], cheap["cheaper"]) == ("good", ["bad"])


THREE = [as_task(worlds.first()), as_task(worlds.label(0)), as_task(worlds.cross(1))]
FALLS = [[0.30], [0.20, 0.90], [0.10, 0.50, 0.25]]


def test_measures_are_means_over_the_tasks_of_a_metric():
    """The planted fault: one mean of NDCG and accuracy."""
    found = result(THREE, FALLS, alone=[0.3, 0.8, 0.2], together=[0.3, 0.9, 0.5])
    ndcg, other = (task.measured_by[0] for task in THREE[:2])
    made = found.by_metric()
    assert list(made) == [ndcg, other]
    assert made[ndcg] == pytest.approx(
        {"forgetting": 0.2, "backward_transfer": -0.2, "forward_gain": 0.05, "intransigence": 0.25}
    )
    assert made[other] == pytest.approx(
        {"forgetting": 0.4, "backward_transfer": -0.4, "forward_gain": 0.1, "intransigence": 0.0}
    )
    assert found.short()["by_metric"] == made
    assert found.short()["forgetting"] == pytest.approx(0.3), "all together, for those who read it"


def test_a_metric_of_the_last_task_alone_has_nothing_to_forget():
    made = result(THREE[:2], [[0.3], [0.2, 0.9]]).by_metric()
    ndcg, other = (task.measured_by[0] for task in THREE[:2])
    assert made[ndcg]["forgetting"] == pytest.approx(0.1)
    assert made[ndcg]["forward_gain"] is None
    assert set(made[other].values()) == {None}


def test_with_one_metric_its_means_are_those_over_all_tasks():
    tasks = [THREE[0], THREE[2]]
    short = result(tasks, [[0.3], [0.1, 0.2]], alone=[0.3, 0.1]).short()
    (found,) = short["by_metric"].values()
    assert found == {key: short[key] for key in found}


def test_statistics_have_them_over_seeds():
    results = [result(THREE, FALLS), result(THREE, [[0.30], [0.20, 0.90], [0.20, 0.50, 0.25]])]
    results[1] = replace(results[1], cell=replace(results[1].cell, seed=1))
    found = _measures(results)
    ndcg = THREE[0].measured_by[0]
    assert found["by_metric"][ndcg]["forgetting"]["values"] == pytest.approx([0.2, 0.1])
    assert found["by_metric"][ndcg]["intransigence"] is None
    assert found["forgetting"]["values"] == pytest.approx([0.3, 0.25])
