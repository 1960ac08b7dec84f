"""Transfer: the same task pretrained and from scratch, with all labels and with a tenth of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.studies.profiles import NOTHING, RANDOM, labels_of, over_seeds_and_labels, plain
from benchmarks.studies.tables import Entries, by, difference, ranged, signed, table
from benchmarks.studies.worlds import World, base, worlds
from lifelong.core.progress import Silent
from lifelong.core.types import Outcome
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.cases import Cases
from lifelong.model.task import Task
from lifelong.profiling.compare import ask, tabled
from lifelong.profiling.folds import Fold, folds_of
from lifelong.profiling.people import people_of
from lifelong.profiling.trained import aside, cases_for, grown

TITLE = "Transfer"
ABOUT = (
    "Each task is taken in by a pretrained model and by the same network from random weights, with all training users or a "
    "tenth of them (drawn by seed). Scratch may train twice as many epochs, and keeps what is fitted in closed form to the "
    "task's own users (the long-term path's table, the wide path of labels); from random weights is without, as the papers "
    "have it. Labels: five folds, drawn by seed, so that every labelled user is asked once; pretraining has read the events of "
    "everybody, never a label. Next items: the task's own split by time, pretraining on what comes before it, without the "
    "users held out. Differences are paired user by user."
)
SEEDS = tuple(range(5))
"""The other studies' three, and two more: they were added after the tables of three had been seen."""
SHARES = (100, 10)
FOLDS = 5
SCRATCH = "scratch"
LABELS, NEXT = ("conure", "probe"), ("conure", "peterrec", "finetune", "probe")
"""What takes a task of each kind in."""
METRICS = ["macro_f1", "auc"]
"""Of labels."""


def jobs(quick: bool) -> list[str]:
    """world/task/share/seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    return [
        f"{world.name}/{task}/{share}/seed{seed}"
        for world in worlds(quick).values()
        for seed in seeds
        for task in ((world.labels[0], world.others[0]) if quick else (*world.labels, *world.others))
        for share in SHARES
    ]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All strategies on one task with one share of its training users."""
    name, task, share, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    asked = _label if task in world.labels else _next
    return {"seed": seed, **asked(world, world.task(task), int(share), seed)}


def by_strategy(own: Task, strategy: str) -> Task:
    """The task learnt by this strategy; from scratch for twice as long."""
    named = own.strategy if isinstance(own.strategy, str) else own.strategy["name"]
    own = own if named == strategy else replace(own, strategy=strategy)
    return replace(own, fit=replace(own.fit, epochs=2 * own.fit.epochs)) if strategy == SCRATCH else own


def _label(world: World, own: Task, share: int, seed: int) -> dict[str, Any]:
    model, nothing = base(world, seed, *world.whole), base(world, 0, *world.whole, *NOTHING)
    parent = model._parent(own, model.members).name
    people = people_of(model, own, cases_for(model, own), [parent], Silent())
    folds = [thinned_fold(fold, people.targets_P, share, seed) for fold in folds_of(people, FOLDS, 1, seed, seen=True)]
    methods = {s: grown(model, by_strategy(own, s), seed, Silent()) for s in (SCRATCH, *LABELS)}
    methods[RANDOM] = grown(nothing, plain(by_strategy(own, SCRATCH)), seed, Silent())
    return tabled(people, ask(people, folds, methods, seed, Silent()), LABELS, METRICS, seed)


def _next(world: World, own: Task, share: int, seed: int) -> dict[str, Any]:
    model, metric = base(world, seed), own.measured_by[0]
    outcomes = {s: _outcome(model, by_strategy(own, s), share, seed) for s in (SCRATCH, *NEXT)}
    minus = {s: paired_difference(parse(metric), outcomes[s], outcomes[SCRATCH]) for s in NEXT}
    return {
        "methods": {s: {"metrics": {metric: vars(measure(parse(metric), o))}} for s, o in outcomes.items()},
        "differences": {s: {SCRATCH: {metric: vars(found)}} for s, found in minus.items()},
    }


def _outcome(model: Any, own: Task, share: int, seed: int) -> Outcome:
    return aside(model, own, seed, thinned(cases_for(model, own), share, seed)).outcome()


def thinned(cases: Cases, share: int, seed: int) -> Cases:
    """With so many per cent of the training users."""
    users = np.unique(cases.train.users_N)
    kept = np.random.default_rng(seed).permutation(users)[: max(1, len(users) * share // 100)]
    return replace(cases, train=cases.train.where(np.isin(cases.train.users_N, kept)))


def thinned_fold(fold: Fold, targets_P: np.ndarray, share: int, seed: int) -> Fold:
    """With so many per cent of the users trained on, of each class at least one: a head knows the classes of these."""
    order_n = np.random.default_rng([seed, len(fold.train_n)]).permutation(fold.train_n)
    _, first = np.unique(targets_P[order_n], return_index=True)
    return replace(fold, train_n=np.union1d(order_n[: len(order_n) * share // 100], order_n[first]))


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Labels of all worlds together and each by itself; next items."""
    labels = {key: r for key, r in entries.items() if RANDOM in r["methods"]}
    following = {key: r for key, r in entries.items() if key not in labels}
    note = "Bold: the interval over users and seeds is clear of zero."
    made = []
    if labels:
        rivals = ((s, alone) for s in LABELS for alone in (SCRATCH, RANDOM))
        header = ("task", "of the users", SCRATCH, RANDOM, *(f"{s}, minus {alone}" for s, alone in rivals))
        made.append(table("Labels", header, [*_together(labels), *_label_rows(labels)], note))
    if following:
        header = ("task", "of the users", SCRATCH, *(f"{s}, minus {SCRATCH}" for s in NEXT))
        made.append(table("Next items", header, _next_rows(following), note))
    return made


def _together(entries: Entries) -> list[tuple[str, ...]]:
    """The mean over all labels that were measured with both shares."""
    rows = []
    for metric in METRICS:
        for share in SHARES:
            mine = _of_share(entries, share)
            if not mine:
                continue
            found = labels_of(mine)
            pieces = [[by(mine, w, label) for label in labels] for w, labels in found.items()]
            seeds = min(len(records) for world in pieces for records in world)
            alone = (
                ranged(float(np.mean([_value(r[s], n, metric) for w in pieces for r in w])) for s in range(seeds))
                for n in (SCRATCH, RANDOM)
            )
            gaps = (
                over_seeds_and_labels([[[_gap(r, s, rival, metric) for r in label] for label in w] for w in pieces])
                for s in LABELS
                for rival in (SCRATCH, RANDOM)
            )
            rows.append(
                (f"mean of {sum(map(len, found.values()))} labels, {metric}", f"{share} %", *alone, *map(signed, gaps))
            )
    return rows


def _label_rows(entries: Entries) -> list[tuple[str, ...]]:
    rows = []
    for world, labels in labels_of(entries).items():
        for label in labels:
            for metric in METRICS:
                rows += _rows(entries, world, label, metric, LABELS, (SCRATCH, RANDOM))
    return rows


def _next_rows(entries: Entries) -> list[tuple[str, ...]]:
    rows = []
    for world, tasks in labels_of(entries).items():
        for task in tasks:
            metric = next(iter(by(entries, world, task)[0]["methods"][SCRATCH]["metrics"]))
            rows += _rows(entries, world, task, metric, NEXT, (SCRATCH,))
    return rows


def _rows(
    entries: Entries, world: str, task: str, metric: str, ours: tuple[str, ...], rivals: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """One task with each share."""
    rows = []
    for share in SHARES:
        found = by(entries, world, task, str(share))
        if found:
            alone = (ranged(_value(r, n, metric) for r in found) for n in rivals)
            gaps = (difference([_gap(r, s, rival, metric) for r in found]) for s in ours for rival in rivals)
            rows.append((f"{world}: {task}, {metric}", f"{share} %", *alone, *map(signed, gaps)))
    return rows


def _of_share(entries: Entries, share: int) -> Entries:
    return {key: record for key, record in entries.items() if key.split("/")[2] == str(share)}


def _value(record: Mapping[str, Any], name: str, metric: str) -> float:
    return float(record["methods"][name]["metrics"][metric]["value"])


def _gap(record: Mapping[str, Any], ours: str, rival: str, metric: str) -> dict[str, float]:
    found: dict[str, float] = record["differences"][ours][rival][metric]
    return found
