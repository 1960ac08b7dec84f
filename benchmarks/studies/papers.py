"""The papers' own claims re-tested: two arms each, the same users asked after both, three seeds, paired user by user."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.studies.claims import ARMS, CLAIMS, FIRST, SERIES, SHORT, TEN, UNTESTED, Arm, Claim
from benchmarks.studies.profiles import over_seeds_and_labels
from benchmarks.studies.tables import Entries, by, parts, ranged, short, signed, table
from benchmarks.studies.worlds import SEEDS, World, base, copied, worlds
from lifelong.asking.evaluation import outcome_of
from lifelong.core.progress import Silent
from lifelong.core.types import Outcome
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.task import Task
from lifelong.profiling.compare import ask
from lifelong.profiling.folds import folds_of
from lifelong.profiling.methods import Method
from lifelong.profiling.people import people_of
from lifelong.profiling.scoring import differences, drawn
from lifelong.profiling.trained import cases_for, grown

TITLE = "Papers"
ABOUT = (
    "What each paper says of its own method, on our data at our size, with its own network: encoder and heads that are "
    "trained, without what is fitted in closed form here (long-term path, wide path, solved heads), which would leave the arms "
    "little to differ in. Pretraining has read the events of everybody but their last two, never a label. Labels are asked in "
    "three folds, drawn by seed, so that every labelled user is asked once; ten tasks in a series each on their own split, "
    "after the last. A claim holds where the interval of the difference, over users and seeds, is clear of zero on its side, "
    "does not hold where it is clear on the other, and is open else. That one does not fall short of another holds where the "
    f"interval ends above −{short(SHORT)}."
)
FOLDS, LABELS = 3, 3
"""How often a label is trained and asked, and how many labels of a world."""
METRICS = ("macro_f1", "auc")
"""Of labels."""
Found = dict[str, dict[str, dict[str, Any]]]
"""Claim -> what was asked and its metric -> values of both arms, and their difference with its interval over users."""


def jobs(quick: bool) -> list[str]:
    """world/first task, label or "series"/seed."""
    return [
        f"{world.name}/{what}/seed{seed}"
        for world in worlds(quick).values()
        for seed in (SEEDS[:1] if quick else SEEDS)
        for what in (world.first, *world.labels[: 2 if quick else LABELS], *(["series"] if world.name in TEN else []))
    ]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All claims about the first task, a label, or a series."""
    name, what, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    if what in world.labels:
        return {"seed": seed, "claims": _of_label(world, what, seed)}
    return {"seed": seed, "claims": _of_series(world, seed) if what == "series" else _of_first(world, seed)}


def _base(world: World, seed: int, *settings: str) -> LivingModel:
    return base(world, seed, *world.whole, "longterm=null", *settings)


def _task(world: World, name: str, strategy: str) -> Task:
    return replace(world.trained(name), strategy=strategy)


def _of_first(world: World, seed: int) -> Found:
    metric = world.task(world.first).measured_by[0]
    outcomes = {arm: _outcome(_base(world, seed, *settings), world.first) for arm, settings in FIRST.items()}
    return _paired(outcomes, f"{world.first}, {metric}", metric)


def _outcome(model: LivingModel, task: str) -> Outcome:
    cases = model.cases(task)
    return outcome_of(model.answering(task), cases, cases.test)


def _of_series(world: World, seed: int) -> Found:
    outcomes = {arm: _series(world, strategy, seed) for arm, strategy in SERIES.items()}
    found: Found = {}
    for task in TEN[world.name]:
        for metric in METRICS:
            told = {arm: of_tasks[task] for arm, of_tasks in outcomes.items()}
            for claim, asked in _paired(told, f"{task}, {metric}", metric).items():
                found.setdefault(claim, {}).update(asked)
    return found


def _series(world: World, strategy: str, seed: int) -> dict[str, Outcome]:
    """Ten tasks by one strategy, all of them asked after the last."""
    with copied(_base(world, seed), f"series-{strategy}-{seed}") as model:
        for task in TEN[world.name]:
            model.add_task(_task(world, task, strategy), seed=seed, allow_forgetting=True)
        return {task: _outcome(model, task) for task in TEN[world.name]}


def _paired(told: Mapping[str, Outcome], asked: str, metric: str) -> Found:
    """The claims whose arms were asked."""
    return {
        name: {
            asked: {
                "a": measure(parse(metric), told[claim.a]).value,
                "b": measure(parse(metric), told[claim.b]).value,
                "difference": vars(paired_difference(parse(metric), told[claim.a], told[claim.b])),
            }
        }
        for name, claim in CLAIMS.items()
        if claim.a in told
    }


def _of_label(world: World, label: str, seed: int) -> Found:
    """Every arm in every fold."""
    model, task = _base(world, seed), _task(world, label, "conure")
    people = people_of(model, task, cases_for(model, task), [world.first], Silent())
    folds = folds_of(people, FOLDS, 1, seed, seen=True)
    with ExitStack() as kept:
        methods = {name: _method(world, label, arm, seed, kept) for name, arm in ARMS.items()}
        told = ask(people, folds, methods, seed, Silent())
    values = {name: drawn(t.answers, METRICS, seed) for name, t in told.items()}
    return {
        name: {
            f"{label}, {metric}": {
                "a": float(values[claim.a][metric][0]),
                "b": float(values[claim.b][metric][0]),
                "difference": vars(found),
            }
            for metric, found in differences(values[claim.a], {"b": values[claim.b]}, len(people))["b"].items()
        }
        for name, claim in CLAIMS.items()
        if claim.a in ARMS
    }


def _method(world: World, label: str, arm: Arm, seed: int, kept: ExitStack) -> Method:
    model, task = _base(world, seed, *arm.first), _task(world, label, arm.strategy)
    if not arm.after:
        return grown(model, task, seed, Silent())
    model = kept.enter_context(copied(model, f"after-{label}-{seed}"))
    before = world.labels[world.labels.index(label) - 1]
    model.add_task(_task(world, before, arm.strategy), seed=seed)
    return grown(model, replace(task, parent=before), seed, Silent())


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Every claim on every world, and what cannot be tested here."""
    rows = [
        row
        for name, claim in CLAIMS.items()
        for world in parts(entries, 0)
        for row in _rows(claim, world, _seeds_of(name, by(entries, world)))
    ]
    header = ("claim", "data", "asked", "it", "the other", "difference", "here")
    return [
        table("Claims", header, rows, "Means over labels and tasks, ± over seeds; bold: clear of zero."),
        table("Not tested here", ("claim", "why"), UNTESTED),
    ]


def _seeds_of(name: str, records: list[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What was asked about a claim -> what each seed found."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for asked, told in record["claims"].get(name, {}).items():
            found.setdefault(asked, []).append(told)
    return found


def _rows(claim: Claim, world: str, found: Mapping[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    """One row a metric: over all that was asked by it."""
    rows = []
    for metric in dict.fromkeys(asked.split(", ")[1] for asked in found):
        mine = {asked.split(", ")[0]: told for asked, told in found.items() if asked.endswith(f", {metric}")}
        seeds = min(map(len, mine.values()))
        gap = over_seeds_and_labels([[[told["difference"] for told in of_seeds] for of_seeds in mine.values()]])
        means = (
            ranged(float(np.mean([of_seeds[s][arm] for of_seeds in mine.values()])) for s in range(seeds))
            for arm in ("a", "b")
        )
        asked = next(iter(mine)) if len(mine) == 1 else f"{len(mine)} labels"
        rows.append((claim.said, world, f"{asked}, {metric}", *means, signed(gap), claim.verdict(gap)))
    return rows
