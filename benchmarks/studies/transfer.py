"""Transfer: the same task pretrained and from scratch, with all labels and with a tenth of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.studies.profiles import NOTHING, RANDOM, plain
from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import SEEDS, base, worlds
from lifelong.core.types import Outcome
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.cases import Cases
from lifelong.model.task import Task
from lifelong.profiling.trained import aside, cases_for

TITLE = "Transfer"
ABOUT = (
    "Each task is taken in by a pretrained model and by the same network from random weights, with the training users of all "
    "labels or a tenth of them (drawn by seed); validation and test users stay. Scratch may train twice as many epochs. It "
    "keeps what is fitted in closed form to the task's own users (the long-term path's table, the wide path of labels); "
    "from random weights is without, as the papers have it. Differences are paired user by user on the test cases."
)
SHARES = (100, 10)
STRATEGIES = ("scratch", "conure", "peterrec", "finetune", "probe")


def jobs(quick: bool) -> list[str]:
    """world/task/share/seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    return [
        f"{world.name}/{task}/{share}/seed{seed}"
        for world in worlds(quick).values()
        for seed in seeds
        for task in ((*world.labels[:1],) if quick else (*world.labels, *world.others))
        for share in SHARES
    ]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All strategies on one task with one share of labels."""
    name, task, share, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    model, nothing = base(world, seed), base(world, 0, *NOTHING)
    own = world.task(task)
    names = STRATEGIES[:2] if quick else STRATEGIES
    outcomes = {strategy: _outcome(model, _by(own, strategy), int(share), seed) for strategy in names}
    outcomes[RANDOM] = _outcome(nothing, plain(_by(own, "scratch")), int(share), seed)
    metric = parse(own.measured_by[0])
    return {
        "metric": own.measured_by[0],
        "seed": seed,
        "values": {n: vars(measure(metric, o)) for n, o in outcomes.items()},
        "over_scratch": _over(metric, outcomes, "scratch"),
        "over_random": _over(metric, outcomes, RANDOM),
    }


def _by(own: Task, strategy: str) -> Task:
    """The task learnt by this strategy; from scratch for twice as long."""
    named = own.strategy if isinstance(own.strategy, str) else own.strategy["name"]
    own = own if named == strategy else replace(own, strategy=strategy)
    return replace(own, fit=replace(own.fit, epochs=2 * own.fit.epochs)) if strategy == "scratch" else own


def _over(metric: Any, outcomes: dict[str, Outcome], alone: str) -> dict[str, Any]:
    """Every arm that is pretrained minus this one."""
    pretrained = {n: o for n, o in outcomes.items() if n not in ("scratch", RANDOM)}
    return {n: vars(paired_difference(metric, o, outcomes[alone])) for n, o in pretrained.items()}


def _outcome(model: LivingModel, own: Task, share: int, seed: int) -> Outcome:
    return aside(model, own, seed, thinned(cases_for(model, own), share, seed)).outcome()


def thinned(cases: Cases, share: int, seed: int) -> Cases:
    """With so many per cent of the training users, of each class where there are classes, at least one."""
    if share == 100:
        return cases
    train, random = cases.train, np.random.default_rng(seed)
    order = random.permutation(np.unique(train.users_N))
    kept = set(order[: max(1, len(order) * share // 100)].tolist())
    last = (
        {int(t): int(u) for u, t in zip(train.users_N, train.targets_N, strict=True)}
        if len(cases.catalogue) < 100
        else {}
    )
    kept |= set(last.values())  # no class may be missing: a head knows those of all training users
    return replace(cases, train=train.where(np.isin(train.users_N, list(kept))))


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A table a world: tasks and shares down, strategies across."""
    made = []
    for world in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{world}/")}
        names = [n for n in STRATEGIES if any(n in record["values"] for record in mine.values())]
        rows = []
        for task in parts(mine, 1):
            for share in SHARES:
                found = by(mine, world, task, str(share))
                if not found:
                    continue
                alone = (ranged(r["values"][n]["value"] for r in found) for n in ("scratch", RANDOM))
                over = [signed(difference([r["over_scratch"][n] for r in found])) for n in names[1:]]
                further = signed(difference([r["over_random"]["conure"] for r in found]))
                rows.append((f"{task}, {found[0]['metric']}", f"{share} %", *alone, *over, further))
        over_scratch = (f"{n}, over scratch" for n in names[1:])
        header = ("task", "labels", "scratch", RANDOM, *over_scratch, "conure, over random weights")
        made.append(
            table(
                f"{world}: pretrained against scratch",
                header,
                rows,
                "Bold: the interval over users and seeds is clear of zero.",
            )
        )
    return made
