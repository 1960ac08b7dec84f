"""Does cost stay in proportion? Training cost per event from 10^5 to 10^7 events, and per added task from 1 to 20.

    python -m benchmarks.flat

A slope of 1 in the logarithms is exact proportion; 1.1 is what we allow ourselves.
"""

import argparse
import json
import resource
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from lifelong import LivingModel
from lifelong.core.compute import Compute
from lifelong.core.progress import Silent
from lifelong.growing.resume import State
from lifelong.growing.training import make_learner
from lifelong.model.task import as_task

EVENTS = (100_000, 1_000_000, 10_000_000)
TASKS, STEPS = 20, 150


def world(users: int, **options: Any) -> dict[str, Any]:
    """A made-up data set of 100 events a user."""
    return {"name": "synthetic", "users": users, "events_per_user": 100, "items": 20_000, **options}


def first(users: int, **options: Any) -> dict[str, Any]:
    """Its first task."""
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 64, "blocks": 1},
        "length": 100,
        "head": {"name": "next_item", "negatives": 512},
        "data": {"dataset": world(users, **options), "split": "time"},
        "strategy": "conure",
        "fit": {"epochs": 2, "batch_size": 32},
    }


def epoch(events: int) -> dict[str, Any]:
    """One epoch's cost: cases and batches of all of it, steps of a part, in CPU seconds an event.

    Every step of an epoch costs the same, so 150 of them tell; what could grow faster than the events is around them.
    """
    task = as_task(first(events // 100))
    model = LivingModel._unborn(Path(tempfile.mkdtemp()) / "model", task, None)
    model.prepare(task)
    with common.Clock() as opened:
        growth = model._growth(task, 0, Compute(device="cpu"), Silent())
        phase, job = growth.first_phase(), growth.job()
        learner = make_learner(job, phase, growth.site)
    state = State(learner.parameters_by_name(), learner.sparse_names(), job.fit)
    with common.Clock() as feed:
        points = sum(len(batch) for batch in job.feed.epoch(0))
    batches, trained = list(islice(job.feed.epoch(1), STEPS)), 0
    learner.train()
    with common.Clock() as steps:
        for batch in batches:
            learner(batch).backward()
            state.advance()
            trained += len(batch)
    whole = opened.cpu + feed.cpu + steps.cpu * points / trained
    return {
        "events": events,
        "points": points,
        "cases_s": opened.cpu,
        "feed_s": feed.cpu,
        "step_us_a_point": 1e6 * steps.cpu / trained,
        "epoch_s": whole,
        "us_an_event": 1e6 * whole / events,
        "peak_mib": common.peak_mib(),
    }


def additions(count: int) -> dict[str, Any]:
    """Seconds of each added task of one model, one after the other, the check of all earlier tasks included."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        data = {"labels": count, "items": 2000}
        model = LivingModel.pretrain(Path(folder) / "model", first(3000, **data))
        for n in range(count):
            task = {
                "name": f"label_{n}",
                "parent": "next",
                "head": {"name": "classification"},
                "data": {"dataset": world(3000, **data), "label": f"label_{n}", "split": "by_user"},
                "strategy": "peterrec",
                "fit": {"epochs": 4, "patience": 4, "batch_size": 32},
            }
            began, busy = time.perf_counter(), _cpu_s()
            added = model.add_task(task)
            wall, cpu = time.perf_counter() - began, _cpu_s() - busy
            taken.append({"wall_s": wall, "cpu_s": cpu, "bytes": added.stored_bytes, "fit_s": added.seconds})
    return {"additions": taken, "peak_mib": common.peak_mib()}


def _cpu_s() -> float:
    """CPU seconds of this process and of those that it has waited for: the check before a commit is one."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def slope(sizes: list[float], costs: list[float]) -> float:
    """Of the logarithms, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def main() -> None:
    """Both, every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epoch", type=int)
    parser.add_argument("--additions", type=int)
    parser.add_argument("--tasks-alone", action="store_true", help="not the cost per event")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if options.epoch:
        print(json.dumps(epoch(options.epoch)))
    elif options.additions:
        print(json.dumps(additions(options.additions)))
    else:
        if not options.tasks_alone:
            _events(EVENTS[:2] if options.quick else EVENTS)
        _tasks(4 if options.quick else TASKS)


def _events(sizes: tuple[int, ...]) -> None:
    found = [common.measured("flat", "--epoch", str(size)) for size in sizes]
    whole = slope([f["events"] for f in found], [f["epoch_s"] for f in found])
    common.keep("flat", "events", {"runs": found, "slope": whole})
    keys = ("cases_s", "feed_s", "step_us_a_point", "epoch_s", "us_an_event", "peak_mib")
    rows = [(f"{f['events']:,}", *(common.number(f[key]) for key in keys)) for f in found]
    header = ("events", "cases, s", "batches, s", "µs a point", "epoch, s", "µs an event", "MiB")
    common.table(f"An epoch, CPU seconds, one thread; slope {whole:.3f}", header, rows)


def _tasks(count: int) -> None:
    found = common.measured("flat", "--additions", str(count))
    seconds = np.cumsum([a["cpu_s"] for a in found["additions"]])
    whole = slope(list(range(1, count + 1)), list(seconds))
    common.keep("flat", "tasks", {**found, "slope": whole})
    picked = sorted({0, count // 4, count // 2, count - 1})
    rows = [
        (str(n + 1), *(f"{found['additions'][n][key]:.2f}" for key in ("cpu_s", "fit_s")), f"{seconds[n]:.1f}")
        for n in picked
    ]
    header = ("task", "CPU s", "of it training", "all so far, s")
    common.table(f"Adding tasks one after the other; slope of the sum {whole:.3f}", header, rows)


if __name__ == "__main__":
    main()
