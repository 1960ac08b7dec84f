"""Every strategy × task: forgetting runs with three seeds, and for isolating strategies the exact count of changed bits."""

import json
from typing import Any

from benchmarks.studies.tables import Entries, ranged, signed, table
from benchmarks.studies.worlds import RUNS, SEEDS, tree, worlds
from lifelong import run_forgetting
from lifelong.core.registry import names

TITLE = "Strategies"
ABOUT = (
    "One base model a seed, every strategy takes the same tasks in from it, one after the other; all earlier ones are "
    "measured again after every addition. Values are the task's own first metric on its own test cases."
)


def jobs(quick: bool) -> list[str]:
    """One forgetting run a world; it goes on by itself where it was stopped."""
    return list(worlds(quick))


def run(key: str, quick: bool) -> dict[str, Any]:
    """All strategies, all seeds."""
    world = worlds(quick)[key]
    tasks = [world.path(name) for name in (world.first, *world.labels, *world.others)]
    out = RUNS / ("quick" if quick else "strategies") / f"{key}-{tree()}"
    seeds = 2 if quick else len(SEEDS)
    made = run_forgetting(
        tasks, chosen(quick), out, seeds=seeds, settings=world.settings, command=f"benchmarks.results {key}"
    )
    kept = ("tasks", "seeds", "orders", "dataset", "notice", "statistics", "runs", "baselines", "minutes")
    isolating = {name: s["isolates"] for name, s in made["strategies"].items()}
    metric = dict(zip(*((s := next(iter(made["strategies"].values())))["tasks"], s["metric"]), strict=True))
    return json.loads(json.dumps({**{k: made[k] for k in kept if k in made}, "isolates": isolating, "metric": metric}))


def chosen(quick: bool) -> list[str]:
    """All that need no options; conure first, which the others are compared with."""
    return (
        ["conure", "sequential", "scratch"] if quick else ["conure", *(n for n in names("strategies") if n != "conure")]
    )


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A summary and a table of tasks for every world."""
    return [made for world, record in entries.items() for made in (_summary(world, record), _tasks(world, record))]


def _summary(world: str, record: Any) -> dict[str, Any]:
    rows = []
    for name, found in record["statistics"]["strategies"].items():
        runs = [r for r in record["runs"] if r["strategy"] == name]
        bits = sum(r["changed_bits"] for r in runs)
        isolating = record["isolates"][name]
        promise = "0, exactly" if isolating and not bits else f"{bits:,}" + (" **BROKEN**" if isolating else "")
        measures = [found.get(key) for key in ("forgetting", "backward_transfer", "forward_gain", "intransigence")]
        size = sum(sum(r["bytes"][1:]) for r in runs) / len(runs) / max(1, len(runs[0]["bytes"]) - 1)
        seconds = sum(sum(r["seconds"][1:]) for r in runs) / len(runs) / max(1, len(runs[0]["seconds"]) - 1)
        rows.append((name, promise, *(_mean(m) for m in measures), f"{size / 1000:,.0f} kB", f"{seconds:.0f} s"))
    header = (
        "strategy",
        "changed probe values, all runs",
        "forgetting",
        "backward transfer",
        "forward gain over scratch",
    )
    header += ("intransigence", "stored a task", "time a task")
    note = f"{len(record['seeds'])} seeds; ± is Student's 95 % interval over seeds. {record.get('notice', '')}"
    return table(f"{world}: every strategy", header, rows, note)


def _mean(found: Any) -> str:
    return ranged(found["values"]) if found else "–"


def _tasks(world: str, record: Any) -> dict[str, Any]:
    rows, against = [], record["statistics"]["against"]
    for task, metric in record["metric"].items():
        for name, tasks in record["statistics"]["tasks"].items():
            t = tasks[task]
            flag = " **negative**" if t["negative_transfer"] else ""
            end, first = (ranged(t[key]["values"]) for key in ("at_the_end", "just_learnt"))
            gain, than = signed(t["gain"]) + flag, signed(t["difference"])
            rows.append(
                (
                    f"{task}, {metric}",
                    name,
                    first,
                    end,
                    gain,
                    than,
                    f"{t['bytes'] / 1000:,.0f} kB",
                    f"{t['epochs']:.0f}",
                )
            )
    header = (
        "task",
        "strategy",
        "just learnt",
        "at the end",
        "over scratch",
        f"at the end, minus {against}",
        "stored",
        "epochs",
    )
    note = "Differences are paired user by user; their intervals cover users and seeds. Bold: clear of zero."
    return table(f"{world}: strategy × task", header, rows, note)
