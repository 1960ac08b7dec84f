"""Every strategy × task: forgetting runs with three seeds, and for isolating strategies the exact count of changed bits."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import RUNS, SEEDS, World, tree, worlds
from lifelong import run_forgetting
from lifelong.core.direction import sign
from lifelong.core.registry import names
from lifelong.metrics import forgetting as measures

TITLE = "Strategies"
ABOUT = (
    "One base model a seed, every strategy takes the same tasks in from it, one after the other; all earlier ones are "
    "measured again after every addition. Values are the task's own first metric on its own test cases. With the papers' own "
    "network, encoder and heads that are trained: where heads begin solved in closed form, beside a long-term path, training "
    "moves so little that strategies differ in hardly anything but chance (seen with one seed). Films by leave-one-out and "
    "without a second task of films, whose answers would be among what the first is trained on; all else by time and by user."
)

LABELS = 3
"""So many labels of a world."""
BY_USER = ("ml100k", "ml1m")
"""Where a user rates everything in one evening, so that a cut in time leaves few to ask (166 of MovieLens-100k's 943): the last
film of everybody is asked instead. A second task of films would have its answers among what the first is trained on."""
LAST = "data.split={name: leave_one_out}"
MEASURES = {
    "forgetting": "forgetting",
    "backward_transfer": "backward transfer",
    "forward_gain": "forward gain over scratch",
    "intransigence": "intransigence",
}
Records = Sequence[Mapping[str, Any]]
"""What was found with each seed."""


def jobs(quick: bool) -> list[str]:
    """world/seed: a forgetting run, which goes on by itself where it was stopped."""
    return [f"{world}/seed{seed}" for seed in SEEDS[: 2 if quick else None] for world in worlds(quick)]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All strategies with one seed."""
    name, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    out = RUNS / ("quick" if quick else "strategies") / f"{name}-{tree()}-seed{seed}"
    made = run_forgetting(_written(world), chosen(quick), out, seed=seed, command=f"benchmarks.results {key}")
    kept = ("tasks", "dataset", "notice", "statistics", "runs", "baselines", "minutes")
    isolating = {name: s["isolates"] for name, s in made["strategies"].items()}
    metric = dict(zip(*((s := next(iter(made["strategies"].values())))["tasks"], s["metric"]), strict=True))
    return json.loads(json.dumps({**{k: made[k] for k in kept if k in made}, "isolates": isolating, "metric": metric}))


def _written(world: World) -> list[Path]:
    """The tasks' YAML: what is next, of two kinds where there are two, then labels, for which that can be forgotten."""
    folder = RUNS / "strategies" / "tasks" / world.name
    folder.mkdir(parents=True, exist_ok=True)
    by_user = world.name in BY_USER
    tasks = {world.first: world.trained(world.first, *([LAST] if by_user else []))}
    tasks |= {name: world.trained(name) for name in (*(() if by_user else world.others), *world.labels[:LABELS])}
    for name, task in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task.to_values(), sort_keys=False))
    return [folder / f"{name}.yaml" for name in tasks]


def chosen(quick: bool) -> list[str]:
    """All that need no options; conure first, which the others are compared with."""
    return (
        ["conure", "sequential", "scratch"] if quick else ["conure", *(n for n in names("strategies") if n != "conure")]
    )


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A summary, the measures metric by metric and a table of tasks for every world."""
    found = {world: by(entries, world) for world in parts(entries, 0)}
    makers = (_summary, _measures, _tasks)
    return [make(world, records) for world, records in found.items() for make in makers]


def _summary(world: str, records: Records) -> dict[str, Any]:
    rows, first = [], next(iter(records[0]["metric"]))
    for name, isolating in records[0]["isolates"].items():
        runs = [r for record in records for r in record["runs"] if r["strategy"] == name]
        bits = sum(r["changed_bits"] for r in runs)
        promise = "0, exactly" if isolating and not bits else f"{bits:,}" + (" **BROKEN**" if isolating else "")
        lost = ranged(_lost(record["statistics"]["tasks"][name][first]) for record in records)
        size, seconds = (np.mean([v for r in runs for v in r[key][1:]]) for key in ("bytes", "seconds"))
        rows.append((name, promise, lost, f"{size / 1000:,.0f} kB", f"{seconds:.0f} s"))
    header = ("strategy", "changed probe values, all runs", f"{first} lost", "stored a task", "time a task")
    note = f"{len(records)} seeds; ± is Student's 95 % interval over seeds. {records[0].get('notice', '')}"
    return table(f"{world}: every strategy", header, rows, note)


def _lost(told: Mapping[str, Any]) -> float:
    """What a task had when it was learnt, minus what it has at the end."""
    before, after = (told[key]["mean"] for key in ("just_learnt", "at_the_end"))
    return float(before - after)


def _measures(world: str, records: Records) -> dict[str, Any]:
    """Means over the tasks of one metric: those of different ones are not to be averaged ."""
    metrics, rows = dict.fromkeys(records[0]["metric"].values()), []
    for name in records[0]["isolates"]:
        told = [measured(record, name) for record in records]
        for metric in metrics:
            rows.append((name, metric, *(ranged(t.get(key, {}).get(metric) for t in told) for key in MEASURES)))
    note = "– where no task is left: the last one learnt has nothing to lose yet, the first one nothing to gain from."
    return table(f"{world}: measures by metric", ("strategy", "tasks by", *MEASURES.values()), rows, note)


def measured(record: Mapping[str, Any], name: str) -> dict[str, dict[str, float]]:
    """Measure -> metric -> its mean over the tasks of that metric, out of the matrices of the record's runs."""
    metrics = [record["metric"][task] for task in record["runs"][0]["tasks"]]
    signs_T = np.array([sign(metric) for metric in metrics])
    better = {run["strategy"]: signs_T * np.array(run["matrix"], float) for run in record["runs"]}
    own_TT, but_last, but_first = better.pop(name), slice(None, -1), slice(1, None)
    found = {
        "forgetting": (measures.forgetting_per_task(own_TT), but_last),
        "backward_transfer": (measures.backward_transfer_per_task(own_TT), but_last),
    }
    if "scratch" in better:
        found["forward_gain"] = measures.forward_gain_per_task(own_TT, better["scratch"].diagonal()), but_first
    if "joint" in better:
        found["intransigence"] = measures.intransigence(own_TT, better["joint"].diagonal()), but_first
    return {key: measures.mean_by_metric(values_T[where], metrics[where]) for key, (values_T, where) in found.items()}


def _over(seeds: Sequence[Any]) -> str:
    """What each seed's run found, as one."""
    return ranged(value for found in seeds if found for value in found["values"])


def _paired(seeds: Sequence[Any]) -> dict[str, Any] | None:
    """Each seed's difference, with its interval over users, as one."""
    return difference([{"value": found["mean"], **found} for found in seeds if found])


def _tasks(world: str, records: Records) -> dict[str, Any]:
    rows = []
    for task, metric in records[0]["metric"].items():
        for name in records[0]["isolates"]:
            told = [record["statistics"]["tasks"][name][task] for record in records]
            gain, than = (_paired([t[key] for t in told]) for key in ("gain", "difference"))
            flag = " **negative**" if gain and gain["high"] < 0 else ""
            first, end = (_over([t[key] for t in told]) for key in ("just_learnt", "at_the_end"))
            size, epochs = (np.mean([t[key] for t in told]) for key in ("bytes", "epochs"))
            values = (first, end, signed(gain) + flag, signed(than), f"{size / 1000:,.0f} kB", f"{epochs:.0f}")
            rows.append((f"{task}, {metric}", name, *values))
    against = f"at the end, minus {records[0]['statistics']['against']}"
    header = ("task", "strategy", "just learnt", "at the end", "over scratch", against, "stored", "epochs")
    note = "Differences are paired user by user; their intervals cover users and seeds. Bold: clear of zero."
    return table(f"{world}: strategy × task", header, rows, note)
