"""Transfer: the same task pretrained and from scratch, with all labels and with a tenth of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import SEEDS, World, base, worlds
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.cases import Cases
from lifelong.profiling.trained import aside, cases_for

TITLE = "Transfer"
ABOUT = (
    "Each task is taken in by a pretrained model and by the same network from random weights, with the training users of all "
    "labels or a tenth of them (drawn by seed); validation and test users stay. Scratch may train twice as many epochs. "
    "Differences are paired user by user on the test cases."
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
    model = base(world, seed)
    names = STRATEGIES[:2] if quick else STRATEGIES
    outcomes = {strategy: _outcome(model, world, task, strategy, int(share), seed) for strategy in names}
    metric = world.task(task).measured_by[0]
    alone = outcomes["scratch"]
    return {
        "metric": metric,
        "seed": seed,
        "values": {n: vars(measure(parse(metric), o)) for n, o in outcomes.items()},
        "over_scratch": {
            n: vars(paired_difference(parse(metric), o, alone)) for n, o in outcomes.items() if n != "scratch"
        },
    }


def _outcome(model: LivingModel, world: World, task: str, strategy: str, share: int, seed: int) -> Any:
    own = world.task(task)
    named = own.strategy if isinstance(own.strategy, str) else own.strategy["name"]
    own = own if named == strategy else replace(own, strategy=strategy)
    if strategy == "scratch":
        own = replace(own, fit=replace(own.fit, epochs=2 * own.fit.epochs))
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
                scratch = ranged(r["values"]["scratch"]["value"] for r in found)
                cells = [
                    signed(difference([r["over_scratch"][n] for r in found if n in r["over_scratch"]]))
                    for n in names[1:]
                ]
                rows.append((f"{task}, {found[0]['metric']}", f"{share} %", scratch, *cells))
        header = ("task", "labels", "scratch", *(f"{n}, over scratch" for n in names[1:]))
        made.append(
            table(
                f"{world}: pretrained against scratch",
                header,
                rows,
                "Bold: the interval over users and seeds is clear of zero.",
            )
        )
    return made
