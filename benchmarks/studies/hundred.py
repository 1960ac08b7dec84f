"""A hundred tasks on one model: bits of earlier tasks that changed, bytes a task, gain over scratch early and late."""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.studies.tables import Entries, signed, table
from benchmarks.studies.worlds import RUNS, once, tree
from lifelong import LivingModel
from lifelong.core.errors import CapacityError
from lifelong.keeping.verification import check_candidate
from lifelong.metrics.bootstrap import measure
from lifelong.metrics.parse import parse
from lifelong.model.task import as_task
from lifelong.profiling.trained import aside

TITLE = "A hundred tasks"
ABOUT = (
    "One model of the invented world of lifelong/data/datasets/synthetic.py. Of every five tasks two are labels of the first "
    "hidden trait, two of the second, and one is a label that is random, which nothing can help; each knows the label of a "
    "tenth of the users. The model grows by `auto` under a plan for a hundred tasks; scratch learns the tasks of two blocks "
    "with the same mix, 5 to 15 and 90 to 100, equally long. Beside it `conure` alone goes on until it says that too little is "
    "free. Intervals are over the tasks of a block (bootstrap)."
)
PERIOD = 5
"""After so many tasks the kinds come again, so two blocks that begin at a multiple of it have one mix."""


@dataclass(frozen=True)
class World:
    """How large everything is."""

    tasks: int = 100
    users: int = 3000
    items: int = 8000
    events: int = 60
    width: int = 64
    length: int = 16
    first_epochs: int = 8
    epochs: int = 8
    block: int = 11
    alone: float = 0.3

    @property
    def blocks(self) -> dict[str, list[int]]:
        """Early and late, as numbers of tasks, from 1: from the fifth on, and the last ones."""
        late = self.tasks - self.block + 1
        return {"early": list(range(5, 5 + self.block)), "late": list(range(late, late + self.block))}

    def dataset(self, noise: float) -> dict[str, Any]:
        """The events are the same whatever the noise of the labels."""
        sizes = {"users": self.users, "items": self.items, "events_per_user": self.events}
        tells = {"follow": 0.3, "taste": 0.6, "second": 0.4}
        return {"name": "synthetic", **sizes, **tells, "labels": 2 * self.tasks + 2, "noise": noise}

    def first(self) -> dict[str, Any]:
        """The next item, from everything; the model keeps half of the encoder free."""
        return {
            "name": "next",
            "encoder": {"name": "sasrec", "width": self.width, "blocks": 2},
            "length": self.length,
            "past": 2 * self.events,
            "longterm": {"width": self.width // 2},
            "head": "next_item",
            "data": {"dataset": self.dataset(0.1)},
            "strategy": {"name": "conure", "keep": 0.5},
            "fit": {"epochs": self.first_epochs, "batch_size": 64},
        }

    def task(self, number: int, strategy: Any) -> dict[str, Any]:
        """Task `number`, from 1: a label of its own, of the first trait, the second, the first, the second, random, …"""
        kind = number % PERIOD
        noise, label = (1.0 if kind == PERIOD - 1 else 0.1), 2 * number + kind % 2  # odd labels are of the second trait
        split = {"name": "by_user", "valid": 0.45, "test": 0.45}
        return {
            "name": f"label_{number}",
            "head": "classification",
            "data": {"dataset": self.dataset(noise), "label": f"label_{label}", "split": split},
            "strategy": strategy,
            "fit": {"epochs": self.epochs, "batch_size": 32, "lr": 0.003},
        }

    @property
    def auto(self) -> dict[str, Any]:
        """`auto`, with equal parts for all tasks; a task may store 1 % of the encoder, beside its probes."""
        return {"name": "auto", "plan": {"expected_tasks": self.tasks + 1}, "budget": {"share": 0.01}}


QUICK = World(8, 240, 2400, events=20, width=16, length=8, first_epochs=1, epochs=1, block=3, alone=0.8)


def jobs(quick: bool) -> list[str]:
    """One; it goes on behind the last task that was finished."""
    return ["hundred"]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All of it, in one process but for the check before each commit."""
    world = QUICK if quick else World()
    return grow(world, RUNS / key / f"{world.tasks}-{tree()}", lambda text: print(text, file=sys.stderr, flush=True))


def grow(world: World, folder: Path, say: Any) -> dict[str, Any]:
    """Every task, scratch beside those of the blocks, and conure alone; what is done already stands in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    done, model = Done(folder / "done.json"), once(folder / "model", world.first(), 0, folder / "cache")
    for number in range(1, world.tasks + 1):
        _add(model, world, number, done, say)
    for number in sorted({n for block in world.blocks.values() for n in block}):
        done.once(f"scratch {number}", lambda n=number: _scratch(model, world, n), say)
    alone = done.once("conure alone", lambda: _conure_alone(world, folder), say)
    return {"world": vars(world), **_told(model, world, done), "conure_alone": alone}


class Done:
    """Finished pieces of a run by name, on disk after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pieces: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def once(self, name: str, make: Any, say: Any) -> Any:
        """The piece, made if it is not there yet."""
        if name not in self.pieces:
            with common.Clock() as clock:
                self.pieces[name] = make()
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps(self.pieces))
            partial.replace(self.path)
            say(f"{name}: {clock.wall:.1f} s")
        return self.pieces[name]


def _add(model: LivingModel, world: World, number: int, done: Done, say: Any) -> None:
    def add() -> dict[str, Any]:
        name = f"label_{number}"
        began = time.process_time()
        if name not in model.members:
            model.add_task(world.task(number, world.auto))
        assert model.version is not None
        choice = model.members[name].record["choice"]
        files = model.version.body["tasks"][name]["files"]
        return {
            "chosen": choice["chosen"],
            "why": choice["why"],
            "accuracy": model.evaluate([name])[name]["accuracy"].value,
            "bytes": {role: file["bytes"] for role, file in files.items()},
            "free": model.bank.shares()[0],
            "cpu_s": round(time.process_time() - began, 2),
        }

    done.once(f"auto {number}", add, say)


def _scratch(model: LivingModel, world: World, number: int) -> float:
    """Test accuracy of the same task from random weights, trained as long; nothing is committed."""
    outcome = aside(model, as_task(world.task(number, "scratch")), 0).outcome()
    return measure(parse("accuracy"), outcome).value


def _conure_alone(world: World, folder: Path) -> dict[str, Any]:
    """Tasks by Conure alone, the paper's share of what is free each, shortly trained, until it refuses one."""
    path, strategy = folder / "alone", {"name": "conure", "keep": world.alone}
    shutil.rmtree(path, ignore_errors=True)
    first = {**world.first(), "strategy": strategy, "fit": {"epochs": 1}}
    model = LivingModel.pretrain(path, first, cache=folder / "cache")
    for number in range(1, world.tasks + 1):
        versions, began = len(model.store.numbers()), time.perf_counter()
        try:
            model.add_task({**world.task(number, strategy), "fit": {"epochs": 1}})
        except CapacityError as refusal:
            return {
                "tasks": len(model.members),
                "free": model.bank.shares()[0],
                "said": str(refusal),
                "before_training": len(model.store.numbers()) == versions,
                "seconds": round(time.perf_counter() - began, 2),
            }
    return {"tasks": len(model.members), "free": model.bank.shares()[0], "said": "", "before_training": False}


def _told(model: LivingModel, world: World, done: Done) -> dict[str, Any]:
    """Changed bits since each task was learnt, bytes, gains."""
    assert model.version is not None
    versions = {name: place for place, name in enumerate(model.members, 1)}
    learnt = {name: model.store.version(place).body["tasks"][name] for name, place in versions.items()}
    changed = check_candidate(model.store, model.version.body, {"tasks": learnt})
    entries = model.version.body["tasks"]
    stored = {name: sum(file["bytes"] for file in entry["files"].values()) for name, entry in entries.items()}
    added = [stored[f"label_{n}"] for n in range(1, world.tasks + 1)]
    pieces = [done.pieces[f"auto {n}"] for n in range(1, world.tasks + 1)]
    gains = {
        name: [done.pieces[f"auto {n}"]["accuracy"] - done.pieces[f"scratch {n}"] for n in block]
        for name, block in world.blocks.items()
    }
    chosen = [piece["chosen"] for piece in pieces]
    return {
        "changed_bits": sum(changed.values()),
        "first_task_bytes": stored["next"],
        "mean_bytes": float(np.mean(added)),
        "mean_share": float(np.mean(added) / stored["next"]),
        "mean_weights_share": float(np.mean([p["bytes"]["weights"] for p in pieces]) / stored["next"]),
        "chosen": {name: chosen.count(name) for name in sorted(set(chosen))},
        "free": model.bank.shares()[0],
        "blocks": world.blocks,
        "gains": gains,
        "gain": {name: _interval(values) for name, values in gains.items()},
        "tasks": pieces,
    }


def _interval(values: list[float]) -> dict[str, float]:
    """Mean and 95 % bootstrap interval over the tasks of a block."""
    array, random = np.array(values), np.random.default_rng(0)
    means = array[random.integers(0, len(array), (2000, len(array)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(array.mean()), "low": float(low), "high": float(high)}


def tables(entries: Entries) -> list[dict[str, Any]]:
    """One table of what was found."""
    return [_table(record) for record in entries.values()]


def _table(record: Any) -> dict[str, Any]:
    alone, blocks = record["conure_alone"], record["blocks"]
    gain = {name: signed({"mean": g["value"], **g}) for name, g in record["gain"].items()}
    rows = [
        ("probe values of earlier tasks that changed", str(record["changed_bits"])),
        ("a task's bytes, all files, of the first task's", f"{record['mean_share']:.2%}"),
        ("a task's weights alone", f"{record['mean_weights_share']:.2%}"),
        ("chosen", ", ".join(f"{name} {count}" for name, count in record["chosen"].items())),
        *((f"accuracy over scratch, tasks {b[0]} to {b[-1]}", gain[name]) for name, b in blocks.items()),
        ("conure alone", f"{alone['tasks']} tasks, then: {alone['said']}"),
        ("said before training", "yes" if alone["before_training"] else "no"),
    ]
    return table(f"{record['world']['tasks']} tasks on one model", ("what", "figure"), rows)
