"""Makes a golden directory: a small model as this release writes it, and what it answers, for later releases to read.

`python tests/golden/make.py tests/golden/format-N` is run once, when a format is released, and what it made is kept for ever. A
folder that is there is never made again: another machine or day would give other bytes.
"""

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from lifelong import LivingModel, __version__
from lifelong.core.fingerprint import numeric_stack

USERS, ITEMS, EVENTS = 90, 16, 10
DATA = {"name": "files", "events": "events.csv", "items": "items.csv", "users": "users.csv"}
HOME = {"domain": "home"}
ALL = {"domain": ["home", "garden"]}
TASKS = [
    {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 8, "blocks": 1, "heads": 1},
        "length": 6,
        "head": "next_item",
        "data": {"dataset": DATA, "inputs": HOME},
        "fit": {"epochs": 2, "batch_size": 32},
    },
    {"name": "pet", "head": "classification", "data": {"label": "pet"}, "strategy": "conure"},
    {"name": "spend", "head": "regression", "data": {"label": "spend"}, "strategy": "peterrec"},
    {"name": "garden", "head": "next_item", "data": {"inputs": ALL, "targets": {"domain": "garden"}}},
    {"name": "tags", "head": "multi_label", "data": {"label": "tags"}, "strategy": "finetune", "parent": "pet"},
]
"""A root, a child that claims weights, one with patches, one that brings rows of items, and a private copy of a child."""
HISTORIES = [[], ["i1"], ["i3", "i1"], [f"i{n}" for n in range(8)], ["i15", "i2", "never-seen", "i2"]]


def answers_of(model: LivingModel) -> dict:
    """Task -> what it answers to HISTORIES, as plain values: user vectors, then items with scores or what is predicted."""
    return {name: _answers(model, name) for name in model.members}


def _answers(model: LivingModel, name: str) -> dict:
    vectors = model.represent(HISTORIES, name, unknown="cold").tolist()
    if model.members[name].task.data.label is None:
        best = model.recommend(HISTORIES, name, k=5, unknown="cold")
        return {
            "vectors": vectors,
            "said": [{"items": list(b.items), "scores": list(map(float, b.scores))} for b in best],
        }
    return {"vectors": vectors, "said": [vars(p) for p in model.predict(HISTORIES, name, unknown="cold")]}


def write_world(folder: Path) -> None:
    """Events, items and users in three small files."""
    random = np.random.default_rng(0)
    kind = random.integers(0, 2, USERS)
    items = [[f"i{n}", ("home", "garden")[n % 3 == 2]] for n in range(ITEMS)]
    events = [
        [f"u{u}", f"i{(random.integers(0, ITEMS // 2) * 2 + kind[u]) % ITEMS}", 1_600_000_000 + 3600 * e + u]
        for u in range(USERS)
        for e in range(EVENTS)
    ]
    users = [
        [f"u{u}", ("cat", "dog")[kind[u]], f"{10 + 5 * kind[u] + random.normal():.2f}", ("a", "a b", "b")[u % 3]]
        for u in range(USERS)
    ]
    for name, head, rows in (
        ("events", ["user", "item", "time"], events),
        ("items", ["item", "domain"], items),
        ("users", ["user", "pet", "spend", "tags"], users),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])


def make(folder: Path) -> None:
    """The model and answers.json in `folder`, which must not be there."""
    folder.mkdir(parents=True)
    target, before = folder.resolve(), Path.cwd()
    with tempfile.TemporaryDirectory() as world:
        write_world(Path(world))
        os.chdir(world)  # so that the files that the tasks name are relative ones
        try:
            model = LivingModel.pretrain(target / "model", TASKS[0], cache=Path(world) / "cache")
            for task in TASKS[1:]:
                split = {"split": "by_user"} if "label" in task["data"] else {}
                model.add_task({"fit": {"epochs": 1}, **task, "data": {"dataset": DATA, **split, **task["data"]}})
        finally:
            os.chdir(before)
    for name in ("resume", "tmp"):  # what git would not keep either
        for left in sorted((target / "model" / name).rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
        (target / "model" / name).rmdir()
    document = {"lifelong": __version__, "stack": numeric_stack(), "histories": HISTORIES, "answers": answers_of(model)}
    (target / "answers.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
