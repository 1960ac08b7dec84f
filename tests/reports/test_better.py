"""Where less is better: the planted faults are values of mae compared as if more were better."""

import doctest
import re

import pytest
from made_up import document, profile
from rich.console import Console

from lifelong.core.direction import sign
from lifelong.reports import better
from lifelong.reports.better import best, shade
from lifelong.reports.profile import page as profile_page
from lifelong.reports.profile_table import profile_table
from lifelong.reports.sections import baselines, results
from lifelong.reports.svg import heat_map
from lifelong.reports.tables import Matrix

RISES = [[0.5, None], [0.9, 0.3]]
"""Worse if it is mae, better if it is auc."""


def strategy(metric):
    return {"tasks": ["age", "last"], "metric": [metric, metric], "matrix": RISES}


def profiled(metric):
    """The made-up profile, its accuracy called by another name: the majority has the least of it."""
    doc = profile()
    task = doc["tasks"]["age_band"]
    task["metrics"] = [metric]
    for split in ("folds", "sealed"):
        for method in task[split]["methods"].values():
            method["metrics"] = {metric: method["metrics"]["accuracy"]}
        for by_rival in task[split]["differences"].values():
            for rival, found in by_rival.items():
                by_rival[rival] = {metric: found["accuracy"]}
    return doc


def rows_of(markup, class_):
    """The heads of the rows that have a cell of this class."""
    rows = re.findall(r"<tr.*?</tr>", markup)
    return {re.search(r'scope="row">(.*?)<', row).group(1) for row in rows if f'class="number {class_}"' in row}


def test_doctests():
    assert doctest.testmod(better).failed == 0


@pytest.mark.parametrize(
    ("metric", "found"),
    [("auc", 1.0), ("mae", -1.0), ("mae/cold", -1.0), ("ndcg@10/cold", 1.0), (None, 1.0), ("os:path", 1.0), (":", 1.0)],
)
def test_signs(metric, found):
    assert sign(metric) == found


def test_nothing_is_best_of_nothing():
    assert best("mae", []) is None
    assert shade("mae", None) == ""


@pytest.mark.parametrize(("metric", "word", "class_"), [("auc", "better", "up"), ("mae", "worse", "down")])
def test_a_rise_is_coloured_by_what_it_means(metric, word, class_):
    markup = heat_map(["age", "last"], RISES, "m", [metric, metric])
    assert re.findall('class="(better|worse)"', markup) == [word]
    assert "+80 %" in markup, "shown as it is"
    table = results({"strategies": {"x": strategy(metric)}})
    assert rows_of(table, class_) == {"age"}
    assert "+0.4000" in table


@pytest.mark.parametrize(("metric", "colour"), [("auc", False), ("mae", True)])
def test_the_terminal_colours_what_got_worse(metric, colour):
    console = Console(width=80, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Matrix(strategy(metric)))
    assert ("\x1b[33m" in console.export_text(styles=True)) is colour


@pytest.mark.parametrize(("metric", "leader"), [("auc", "model"), ("mae", "popularity")])
def test_the_best_of_the_baselines(metric, leader):
    values = {"popularity": 0.2, "model": 0.4}
    found = {name: {metric: {"value": v, "low": v, "high": v, "n": 9}} for name, v in values.items()}
    assert rows_of(baselines({"baselines": {"age": found}}), "best") == {leader}


@pytest.mark.parametrize(("metric", "leader"), [("accuracy", "the task as sealed"), ("mae", "majority")])
def test_the_best_method_of_a_profile(metric, leader):
    markup = profile_page(profiled(metric))
    assert leader in rows_of(markup, "best")
    assert ("majority" in rows_of(markup, "best")) is (metric == "mae")
    assert ("majority" in rows_of(markup, "down")) is (metric == "mae")


@pytest.mark.parametrize(("metric", "word"), [("accuracy", "better"), ("mae", "worse")])
def test_the_terminal_says_which_method_is_better(metric, word):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(profile_table(profiled(metric)))
    assert f"{metric} +0.2000, {word} than majority" in " ".join(console.export_text().split())


def test_the_made_up_document_is_as_it_was():
    assert rows_of(results(document()), "down") > set()
