"""Invented worlds, whose truth is known: tasks that what was pretrained must help, and tasks that it cannot."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.studies.tables import Entries, between_worlds, by, parts, ranged, signed, table
from benchmarks.studies.transfer import thinned
from benchmarks.studies.worlds import RUNS, once, tree
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.task import as_task
from lifelong.profiling.trained import aside, cases_for

TITLE = "A world whose truth is known"
TOLERANCE = 0.05
"""What an unrelated task may lose of its metric, at the lower end of the interval."""
ABOUT = (
    "lifelong/data/datasets/synthetic.py with a domain apart. Every seed is a world, with its own users and items: ± "
    "and intervals are Student's over worlds. Pretrained: the next item of domain_0, where two hidden traits of a user show. "
    "Related: labels of the first and of the second trait, and the next item of domain_1, where those traits show. Unrelated: "
    "the third trait, which shows in domain_2 alone, the next item there, and a random label. Labels and next items are learnt "
    "from a tenth of the users. Every task by every strategy, and from random weights with as many epochs. Tolerance of "
    f"unrelated tasks: {TOLERANCE:g}, which the whole interval must keep. Best fixed: the strategy with the best mean over all "
    "tasks and worlds, found afterwards, which nobody knows beforehand."
)
RELATED = ("first_trait", "second_trait", "next_door")
UNRELATED = ("third_trait", "apart", "random")
SCRATCH, AUTO = "scratch", "auto"
SEEDS = tuple(range(1, 9))
"""Of a world and of all that is trained in it; while the study was designed, world 0 alone was looked at."""
STRATEGIES = (SCRATCH, "probe", "peterrec", "conure", "finetune", AUTO)
ROOM = {"name": AUTO, "budget": {"share": 1.0}}
"""So small an encoder has no room for claimed weights within the default of 3 %."""
EVENTS = {
    "name": "synthetic",
    "users": 2000,
    "items": 900,
    "events_per_user": 60,
    "follow": 0.3,
    "taste": 0.6,
    "second": 0.4,
    "apart": True,
}
SMALL = {**EVENTS, "users": 300, "items": 90, "events_per_user": 20}
LABELS = {
    "first_trait": ("label_0", 0.1),
    "second_trait": ("label_1", 0.1),
    "third_trait": ("label_2", 0.1),
    "random": ("label_0", 1.0),
}
"""The label and the share of it that is random."""
SHARE = 10
"""Per cent of the users whose next items are learnt; of all 2,000 (27,000 events) whatever starts from random weights ends as
high, if later."""
HITS = "hr@50"
"""Of the next item: a trait picks one of 75 items, so the ten best of 300 hold hardly more than chance whoever knows it."""
READ = {"third_trait": "domain_2", "apart": "domain_2"}
"""The domain that a task reads, where it is not domain_0."""


def events(seed: int, quick: bool) -> dict[str, Any]:
    """The data set of a seed."""
    return {**(SMALL if quick else EVENTS), "seed": seed}


def first(seed: int, quick: bool) -> dict[str, Any]:
    """What is pretrained."""
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 32, "blocks": 2},
        "length": 24,
        "past": 128,
        "longterm": {"width": 32},
        "head": "next_item",
        "data": {"dataset": events(seed, quick), "inputs": {"domain": "domain_0"}},
        "fit": {"epochs": 1 if quick else 60, "batch_size": 32},
    }


def task(name: str, named: str, seed: int, quick: bool) -> dict[str, Any]:
    """A task of either kind."""
    strategy = ROOM if named == AUTO else named
    dataset, inputs = events(seed, quick), {"domain": READ.get(name, "domain_0")}
    shared = {"name": name, "strategy": strategy, "fit": {"epochs": 1 if quick else 20, "batch_size": 32}}
    if name in LABELS:
        label, noise = LABELS[name]
        split = {"name": "by_user", "valid": 0.45, "test": 0.45}
        data = {"dataset": {**dataset, "noise": noise}, "inputs": inputs, "label": label, "split": split}
        return {**shared, "head": "classification", "metrics": ["accuracy"], "data": data}
    targets = {"domain": "domain_1" if name == "next_door" else "domain_2"}
    data = {"dataset": dataset, "inputs": inputs, "targets": targets}
    return {**shared, "head": "next_item", "metrics": [HITS], "data": data}


def jobs(quick: bool) -> list[str]:
    """task/seed."""
    names = (RELATED[0], UNRELATED[0]) if quick else (*RELATED, *UNRELATED)
    return [f"{name}/seed{seed}" for seed in (SEEDS[:1] if quick else SEEDS) for name in names]


def run(key: str, quick: bool) -> dict[str, Any]:
    """One task by every strategy."""
    name, seed_ = key.split("/")
    seed = int(seed_.removeprefix("seed"))
    model = once(RUNS / ("quick" if quick else "truth") / f"world{seed}-{tree()}", first(seed, quick), seed)
    tried = {s: _tried(model, name, s, seed, quick) for s in (STRATEGIES[:2] if quick else STRATEGIES)}
    metric = as_task(task(name, SCRATCH, seed, quick)).measured_by[0]
    outcomes = {strategy: outcome for strategy, (outcome, _) in tried.items()}
    paired = {
        one: {o: vars(paired_difference(parse(metric), outcomes[one], outcomes[o])) for o in outcomes}
        for one in outcomes
    }
    return {
        "metric": metric,
        "seed": seed,
        "values": {strategy: vars(measure(parse(metric), outcome)) for strategy, outcome in outcomes.items()},
        "paired": paired,
        "chosen": {strategy: chosen for strategy, (_, chosen) in tried.items() if chosen},
    }


def _tried(model: LivingModel, name: str, strategy: str, seed: int, quick: bool) -> tuple[Any, str]:
    """The outcome, and what `auto` chose."""
    asked = as_task(task(name, strategy, seed, quick))
    cases = cases_for(model, asked)
    done = aside(model, asked, seed, cases if name in LABELS else thinned(cases, SHARE, seed))
    return done.outcome(), done.member.record.get("choice", {}).get("chosen", "")


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Against scratch, and `auto` against the best that is fixed."""
    return [_against_scratch(entries), _auto(entries)] if any(AUTO in r["values"] for r in entries.values()) else []


def _against_scratch(entries: Entries) -> dict[str, Any]:
    rows = []
    for name in parts(entries, 0):
        found = by(entries, name)
        gaps = {s: between_worlds([r["paired"][s][SCRATCH] for r in found]) for s in STRATEGIES[1:]}
        cells = [f"{signed(gap)}{_verdict(name, gap)}" for gap in gaps.values()]
        alone = ranged(r["values"][SCRATCH]["value"] for r in found)
        kind = "related" if name in RELATED else "unrelated"
        rows.append((kind, f"{name}, {found[0]['metric']}", alone, *cells))
    header = ("", "task", "from scratch", *(f"{s}, over scratch" for s in STRATEGIES[1:]))
    note = "✓: a related task gains, clear of zero; an unrelated one loses no more than the tolerance. ✗: it does not."
    return table("Related and unrelated tasks", header, rows, note)


def _verdict(name: str, gap: Mapping[str, float] | None) -> str:
    if gap is None:
        return ""
    return " ✓" if gap["low"] > (0.0 if name in RELATED else -TOLERANCE) else " ✗"


def _auto(entries: Entries) -> dict[str, Any]:
    best = max(STRATEGIES[:-1], key=lambda s: np.mean([r["values"][s]["value"] for r in entries.values()]))
    rows = []
    for name in parts(entries, 0):
        found = by(entries, name)
        own = max(STRATEGIES[:-1], key=lambda s, found=found: np.mean([r["values"][s]["value"] for r in found]))
        gaps = (signed(between_worlds([r["paired"][AUTO][rival] for r in found])) for rival in (best, own))
        chosen = ", ".join(r["chosen"][AUTO] for r in found)
        value = ranged(r["values"][AUTO]["value"] for r in found)
        rows.append((f"{name}, {found[0]['metric']}", value, chosen, *gaps, own))
    header = (
        "task",
        "auto",
        "what it chose, by world",
        f"minus {best}, the best fixed",
        "minus the best for this task",
        "which is",
    )
    return table("auto", header, rows, "Differences are paired user by user; intervals are over worlds.")
