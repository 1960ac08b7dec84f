"""A model of a few hundred bytes, what is done to it, and what must hold of it afterwards."""

import random
from collections.abc import Sequence
from pathlib import Path

from lifelong.core.errors import LifelongError
from lifelong.store.documents import references
from lifelong.store.store import Store, Version

CREATED = 1_700_000_000


def body(*references_, **more):
    files = {f"role{n}": reference.as_dict() for n, reference in enumerate(references_)}
    return {"tasks": {"click": {"files": files}}, **more}


def first_model(path: Path, store_class=Store) -> Store:
    """Two versions, so that there is something to roll back to; tasks share an object."""
    store = store_class.create(path)
    shared, own = store.put(b"a shared vocabulary" * 3), store.put(b"weights of click" * 9)
    first = store.commit(body(shared, own), "pretrain", None, CREATED)
    store.commit(body(shared, store.put(b"weights of age" * 7), first=1), "add", first, CREATED + 1)
    return store


def add(store: Store, seed: int = 0) -> Version:
    """Two objects and a commit, under the lock."""
    rng = random.Random(seed)
    with store.writing():
        parent = store.newest()
        one, two = (store.put(rng.randbytes(rng.randint(1, 3000))) for _ in range(2))
        return store.commit({**parent.body, "added": [one.as_dict(), two.as_dict()]}, "add", parent, CREATED + 2)


def roll_back(store: Store, seed: int = 0) -> Version:
    return store.rollback(1, CREATED + 3 + seed)


SCENARIOS = {"add": add, "rollback": roll_back}


def overwrite(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, which is read-only."""
    path.unlink()
    path.write_bytes(data)


def complaints(path: Path, possible: Sequence[Version]) -> list[str]:
    """What is wrong with a model that was interrupted: it must be at one of the `possible` versions, and whole."""
    try:
        store = Store.open(path)
        newest = store.newest()
        found = [f"{p.file}: {p.reason}" for p in store.verify().problems]
        if newest not in possible:
            found.append(f"newest is version {newest.number}, not {[version.number for version in possible]}")
        for version in store.log():
            for reference in references(version.body):
                store.get(reference)
    except LifelongError as error:
        return [f"{type(error).__name__}: {error}"]
    return found


class InPlace(Store):
    """Fault: objects and versions are written where they will stay."""

    def put_in_place(self, data, target):
        descriptor = self.files.create(target)
        self.files.write(descriptor, data)
        self.files.fsync(descriptor)
        self.files.close(descriptor)

    def link_new(self, data, target):
        self.put_in_place(data, target)
        return True
