"""Everything that is done to a model's folder, what its state is, and what must hold when one of these was interrupted."""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from small_model import CREATED, add, body, first_model, overwrite

from lifelong.core.errors import LifelongError
from lifelong.store.collect import Rules, collect
from lifelong.store.documents import seal
from lifelong.store.leases import pin, pins
from lifelong.store.store import Store

LONG_AGO, TODAY = 1_000_000_000, 4_000_000_000
WHAT_LASTS = ("objects", "versions", "aliases", "resume", "lifelong.json")


def grown(path, seed=0, store_class=Store):
    """Four versions: two as ever, one of which every object is written again, and one task more."""
    store = first_model(path, store_class)
    rng = random.Random(seed)
    again = [store.put(rng.randbytes(rng.randint(1, 2000))) for _ in range(3)]
    third = store.commit(body(*again), "add", store.newest(), CREATED + 2)
    tasks = {**third.body["tasks"], "age": {"files": {"weights": store.put(rng.randbytes(700)).as_dict()}}}
    store.commit({"tasks": tasks}, "add", third, CREATED + 3)
    return store


def littered(path, seed=0, store_class=Store):
    """A model with garbage of every kind, and beside it what a gc must leave."""
    store = grown(path, seed, store_class)
    pin(store, 3)
    store.put(b"of a commit that never came")
    (path / "tmp" / f"{seed:032x}.partial").write_bytes(b"half")
    (path / "tmp" / "lease-host-1-00000000").write_bytes(seal({"versions": [1], "until": LONG_AGO}))
    (store.resume_folder("stopped") / "phase-0.safetensors").write_bytes(b"state")
    for strange in ("tmp/notes.txt", "objects/README", "resume/list.csv"):
        (path / strange).write_bytes(b"somebody's")
    (store.resume_folder("mine") / "notes.txt").write_bytes(b"somebody's")
    return store


def stale(path, seed=0, store_class=Store):
    """A model with objects that a gc takes, and a pin."""
    store = grown(path, seed, store_class)
    pin(store, 3)
    return store


def damaged(path, seed=0, store_class=Store):
    """A model whose newest version cannot be read, and the one before has lost an object."""
    store = grown(path, seed, store_class)
    overwrite(path / "versions" / "00000004.json", b"torn")
    lost = store.version(3).body["tasks"]["click"]["files"]["role0"]["sha256"]
    (path / "objects" / lost).unlink()
    return store


def remove(store, seed=0):
    """A version without a task: its weights are garbage from then on."""
    parent = store.newest()
    tasks = {name: entry for name, entry in parent.body["tasks"].items() if name != "age"}
    store.commit({"tasks": tasks}, "remove", parent, CREATED + 4)


def migrate(store, seed=0):
    """Every object is written again, in another form, and one version refers to all of them."""
    parent = store.newest()
    references = [store.put(b"another form %d %d" % (seed, n)) for n in range(4)]
    tasks = {n: {"files": {"all": r.as_dict()}} for n, r in zip(("click", "age"), references, strict=False)}
    store.commit({"tasks": tasks, "more": [r.as_dict() for r in references]}, "migrate", parent, CREATED + 5)


def gc(store, seed=0, wait=0.0):
    collect(store, Rules(1, 60, 60), wait=wait, clock=lambda: TODAY, pause=lambda seconds: None)


def mend(store, seed=0):
    with store.writing():
        store.repair(None, CREATED + 6)


@dataclass(frozen=True)
class Torment:
    """A model as it is before, and what is done to it."""

    make: object
    work: object


TORMENTS = {
    "add": Torment(grown, add),
    "rollback": Torment(grown, lambda store, seed=0: store.rollback(1 + seed % 3, CREATED + 7)),
    "remove": Torment(grown, remove),
    "migrate": Torment(grown, migrate),
    "gc": Torment(littered, gc),
    "repair": Torment(damaged, mend),
    "pin": Torment(littered, lambda store, seed=0: pin(store, 1 + seed % 2)),
    "unpin": Torment(littered, lambda store, seed=0: pin(store, None)),
}


def state(path, store_class=Store):
    """What a reader makes of a folder: the newest version or why there is none, what is pinned, what verify says."""
    try:
        store = store_class.open(path)
        problems = tuple((p.file, p.reason) for p in store.verify().problems)
    except LifelongError as error:
        return str(error).replace(str(path), "")
    try:
        newest = (store.newest().number, store.newest().sha256)
        pinned = tuple(pins(store).items())
    except LifelongError as error:
        newest, pinned = str(error).replace(str(path), ""), ()
    return newest, pinned, problems


def tree(path):
    """Every file that is there to stay, with its bytes."""
    waiting, found = [str(path / name) for name in WHAT_LASTS], {}
    while waiting:
        place = waiting.pop()
        if os.path.isdir(place):
            waiting += [entry.path for entry in os.scandir(place)]
        elif os.path.lexists(place):
            with open(place, "rb") as file:
                found[os.path.relpath(place, path)] = file.read()
    return found


class Trial:
    """One kind of work with one seed, done once without interruption; then copies of the model as it was before."""

    def __init__(self, folder: Path, torment: Torment, seed: int, files, store_class=Store):
        self.folder, self.torment, self.seed, self.store_class = folder, torment, seed, store_class
        self.base, self.done = folder / "base", folder / "done"
        torment.make(self.base, seed)
        shutil.copytree(self.base, self.done)
        self.before, self.files = state(self.base), files
        torment.work(store_class.open(self.done, files=files), seed)
        self.after, self.whole = state(self.done), tree(self.done)

    def copy(self, name):
        """The model as it was before. Its files are links: the store writes into no file that is there."""
        return Path(shutil.copytree(self.base, self.folder / name, copy_function=os.link))

    def complaints(self, path):
        """What is wrong after an interruption, and after the work is done again: then the model must be, byte for byte, as
        if nothing had happened."""
        found = state(path)
        if found not in (self.before, self.after):
            return [f"neither as before nor as after: {found}"]
        try:
            if found == self.before:
                self.torment.work(Store.open(path), self.seed)
        except LifelongError as error:
            return [f"the retry failed: {error}"]
        left = tree(path)
        return [f"{name} is not as after an uninterrupted run" for name in sorted(left.keys() ^ self.whole.keys())] + [
            f"{name} holds other bytes"
            for name in sorted(left.keys() & self.whole.keys())
            if left[name] != self.whole[name]
        ]
