"""A run of the size of Tencent's TTL: 1.5 million users, 100 events each, 646,000 items, six tasks (Conure's data, made up).

    python -m benchmarks.ttl               what it would cost on this machine, from measured parts
    python -m benchmarks.ttl --run 0.01    the run itself, at a hundredth of the size; --run 1 is all of it

The run prepares the data, pretrains, adds five tasks, and then checks in a fresh process that no task has changed by one bit.
"""

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import common
from lifelong import LivingModel
from lifelong.core.compute import Compute
from lifelong.core.progress import Silent
from lifelong.growing.resume import State
from lifelong.growing.training import make_learner
from lifelong.model.task import as_task

USERS, EVENTS, ITEMS, LABELS = 1_500_000, 100, 646_000, 5
EPOCHS = {"next": 3, "label": 2}
SAMPLE, STEPS = 0.01, 40


def tasks(scale: float, device: str) -> list[dict[str, Any]]:
    """The first task and five labels of its users, at a share of the full size."""
    world = {"name": "synthetic", "users": int(USERS * scale), "items": ITEMS, "events_per_user": EVENTS}
    world |= {"labels": LABELS, "domains": 1}
    large = device == "cuda"
    next_item = {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 64, "blocks": 2},
        "length": EVENTS,
        "head": {"name": "next_item", "negatives": 8192 if large else 1024},
        "data": {"dataset": world, "split": "time"},
        "strategy": "conure",
        "fit": {"epochs": EPOCHS["next"], "batch_size": 1024 if large else 64, "lr": 2e-3},
    }
    labels = [
        {
            "name": f"label_{n}",
            "parent": "next",
            "head": {"name": "classification"},
            "data": {"dataset": world, "label": f"label_{n}", "split": "by_user"},
            "strategy": {"name": "conure", "retrain": 0.5},
            "fit": {"epochs": EPOCHS["label"], "batch_size": 1024 if large else 64, "windows_per_user": 1},
        }
        for n in range(LABELS)
    ]
    return [next_item, *labels]


def parts() -> dict[str, float]:
    """CPU seconds of each part at a hundredth of the users and the whole catalogue."""
    task = as_task(tasks(SAMPLE, "cpu")[0])
    model = LivingModel._unborn(Path(tempfile.mkdtemp()) / "model", task, None)
    with common.Clock() as prepared:
        model.prepare(task)
    with common.Clock() as opened:
        growth = model._growth(task, 0, Compute(device="cpu"), Silent())
        phase, job = growth.first_phase(), growth.job()
        learner = make_learner(job, phase, growth.site).train()
    state = State(learner.parameters_by_name(), learner.sparse_names(), job.fit)
    with common.Clock() as feed:
        points = sum(len(batch) for batch in job.feed.epoch(0))
    batches = list(islice(job.feed.epoch(1), STEPS))
    with common.Clock() as steps:
        for batch in batches:
            learner(batch).backward()
            state.advance()
    events = USERS * SAMPLE * EVENTS
    trained, windows = sum(map(len, batches)), sum(len(b.history.window_BL) for b in batches)
    return {
        "prepare_us_an_event": 1e6 * prepared.cpu / events,
        "cases_us_an_event": 1e6 * opened.cpu / events,
        "feed_us_an_event": 1e6 * feed.cpu / events,
        "points_an_event": points / events,
        "step_us_a_point": 1e6 * steps.cpu / trained,
        "step_us_a_window": 1e6 * steps.cpu / windows,
        "peak_mib": common.peak_mib(),
    }


def plan() -> None:
    """The parts times the full size."""
    found = common.measured("ttl", "--parts")
    events = USERS * EVENTS
    retrained = 1.5  # conure trains the second phase for half the epochs
    hours = {
        "making and preparing the events": found["prepare_us_an_event"] * events,
        "cases of six tasks": 6 * found["cases_us_an_event"] * events,
        "pretraining, 3 epochs and half of them again": EPOCHS["next"]
        * retrained
        * events
        * (found["feed_us_an_event"] + found["points_an_event"] * found["step_us_a_point"]),
        "five labels, 2 epochs of one window a user": LABELS
        * EPOCHS["label"]
        * retrained
        * USERS
        * found["step_us_a_window"],
    }
    common.keep("ttl", "plan", {"parts": found, "core_hours": {k: v / 3.6e9 for k, v in hours.items()}})
    rows = [(name, f"{microseconds / 3.6e9:.1f}") for name, microseconds in hours.items()]
    rows.append(("all of it", f"{sum(hours.values()) / 3.6e9:.1f}"))
    common.table("A run of TTL's size on this machine", ("part", "core hours"), rows)


def run(scale: float) -> None:
    """The run, and whether every task still is what it was."""
    compute = Compute()
    device = compute.place().type
    began, said = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        path, (first, *others) = Path(folder) / "model", tasks(scale, device)
        model = LivingModel.pretrain(path, first, compute=compute)
        said.append(("next", time.perf_counter() - began, 0))
        for task in others:
            before = time.perf_counter()
            added = model.add_task(task, compute=compute)
            said.append((task["name"], time.perf_counter() - before, sum(added.changed.values())))
        check = LivingModel.open(path).verify()
    whole = time.perf_counter() - began
    rows = [(name, f"{seconds:.0f}", str(changed)) for name, seconds, changed in said]
    title = f"{scale:g} of TTL on {device}: {whole:.0f} s; {check.checked['tasks']} tasks checked, ok: {check.ok}"
    common.table(title, ("task", "wall s", "probe values of earlier tasks changed"), rows)
    common.keep("ttl", f"run-{scale:g}-{device}", {"seconds": whole, "ok": check.ok, "tasks": said})


def main() -> None:
    """Plan or run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--run", type=float, metavar="SHARE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if options.parts:
        print(json.dumps(parts()))
    elif options.run:
        run(options.run)
    else:
        plan()


if __name__ == "__main__":
    main()
