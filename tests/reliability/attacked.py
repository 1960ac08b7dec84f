"""A tiny model that has learnt four tasks, and what must hold of a copy of it in which somebody has changed something."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from lifelong import LivingModel
from lifelong.adding import DEFAULT, as_task
from lifelong.core.errors import LifelongError
from lifelong.core.fingerprint import canonical_json
from lifelong.core.progress import Silent
from lifelong.keeping import committing
from lifelong.keeping.checkpoint import Loaded, load, read_probes
from lifelong.keeping.identities import follow
from lifelong.keeping.sealing import PROBES, answering_of, answers, fingerprint
from lifelong.store.documents import seal
from lifelong.store.store import Store

DATA = {"name": "synthetic", "users": 120, "items": 40, "events_per_user": 20}
FIT = {"epochs": 1, "batch_size": 64}
ENCODER = {"name": "sasrec", "width": 8, "blocks": 1, "heads": 1}
FIRST = {"name": "next", "encoder": ENCODER, "length": 8, "head": "next_item", "fit": FIT}
FIRST["data"] = {"dataset": DATA, "inputs": {"domain": "domain_0"}}
WIDER = {"name": "wider", "head": "next_item", "fit": FIT}
WIDER["data"] = {
    "dataset": DATA,
    "inputs": {"domain": ["domain_0", "domain_1"]},
    "targets": {"domain": "domain_1"},
}


def label(name, **changes):
    data = {"dataset": DATA, "label": "label_0", "split": "by_user"}
    return {"name": name, "head": "classification", "data": data, "fit": FIT, **changes}


TASKS = (FIRST, label("kids"), WIDER, label("patched", strategy="peterrec"), label("alone", strategy="finetune"))
"""Claims with masks, rows of new items, parts in slots, a private copy."""


def untrained_model(path: Path, cache: Path, tasks=TASKS) -> Path:
    """The model, every task sealed without a step of training: what is in its files is random, as after training."""
    model = LivingModel._unborn(path, as_task(tasks[0]), cache)
    checked, committing.check_candidate = committing.check_candidate, _unchecked
    try:
        for task in tasks:
            growth = model._growth(as_task(task), 0, DEFAULT, Silent())
            model._write(growth, growth.untrained())
    finally:
        committing.check_candidate = checked
    return path


def _unchecked(store, body, before):
    return dict.fromkeys((before or {"tasks": {}})["tasks"], 0)


def files_of(folder: Path) -> list[Path]:
    """Every file that the store is answerable for, relative to the folder."""
    places = ("lifelong.json", "objects/*", "versions/*")
    return sorted(p.relative_to(folder) for place in places for p in folder.glob(place))


def overwrite(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, which is read-only."""
    path.unlink()
    path.write_bytes(data)


# -- what a copy of the model says -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What came of opening a model and asking all its tasks: `said` is the hash of all answers, or the error."""

    said: str
    error: Exception | None = None

    @property
    def refused(self) -> bool:
        """Whether it ended as it must: in an error of ours."""
        return isinstance(self.error, LifelongError)

    @property
    def crashed(self) -> bool:
        """Whether it ended in an error that nobody foresaw."""
        return self.error is not None and not self.refused


def told(folder: Path, version: int | None = None) -> Told:
    """Open the newest version, or that one, and ask every task all its probes."""
    digest = hashlib.sha256()
    try:
        model = LivingModel.open(folder, version)
        loaded = Loaded(model.design, model.bank, model.members)
        for name, member in sorted(model.members.items()):
            answering = answering_of(loaded, name)
            windows_PL = read_probes(model.store, model.version.body["tasks"][name], answering.length)["windows"]
            digest.update(json.dumps([name, member.catalogue]).encode())
            for value in answers(answering, windows_PL[::7], PROBES).values():
                digest.update(value.numpy().tobytes())
        model.inspect()
    except Exception as error:
        return Told("", error)
    return Told(digest.hexdigest())


def sealed_differently(folder: Path) -> list[str]:
    """What `verify` says of the versions, and the tasks whose weights or probes are not those that were sealed: all of `verify`
    that needs no other threads."""
    store = Store.open(folder)
    body = store.newest().body
    loaded = load(store, body)
    found = follow(store.log())[1]
    for name, entry in body["tasks"].items():
        answering = answering_of(loaded, name)
        golden = read_probes(store, entry, answering.length)
        given = answers(answering, golden["windows"], PROBES)
        same = all(torch.equal(golden[key], given[key]) for key in ("users", "scores"))
        if not same or fingerprint(answering.net) != entry["fingerprint"]:
            found.append(name)
    return found


# -- somebody who can write hashes, too --------------------------------------------------------------------------------


class Forged:
    """A copy of a model in which objects and the newest version can be changed with all hashes right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = sorted((folder / "versions").iterdir())[-1]
        self.document = json.loads(self.path.read_bytes().partition(b"\n")[2])

    @property
    def body(self) -> dict:
        """Of the newest version."""
        return self.document["body"]

    def read(self, task: str, role: str) -> bytes:
        """The bytes of a task's file."""
        return (self.folder / "objects" / self.body["tasks"][task]["files"][role]["sha256"]).read_bytes()

    def replace(self, task: str, role: str, data: bytes) -> None:
        """Let a task's file be these bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        place = self.folder / "objects" / sha256
        if not place.exists():
            place.write_bytes(data)
        self.body["tasks"][task]["files"][role] = {"sha256": sha256, "bytes": len(data)}

    def close(self) -> None:
        """Write the version with its right hash."""
        overwrite(self.path, seal(self.document))

    def close_as(self, text: bytes) -> None:
        """Write a version of this very text, with its right hash."""
        overwrite(self.path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def copied(folder: Path, to: Path) -> Path:
    """A fresh copy, in the place of one that may be there."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to, symlinks=True))


def body_bytes(document: dict) -> bytes:
    """As `seal` spells it."""
    return canonical_json(document) + b"\n"
