"""Whom a task has learnt from: kept beside it as filters of salted hashes, and asked again with the id of somebody.

This is pseudonymous data of people, kept for one purpose: to find the tasks that somebody has to be taken out of. No file has a
row for a person, and no id can be read out of a filter; but whoever has a model's folder and an id can ask, as `who-saw` does.
`data.people: false` in a task keeps nothing of it. Then nobody can say whom the task was trained on once its data have changed,
and an erasure has to learn it anew whoever is erased.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lifelong.core.errors import ModelCorrupt
from lifelong.model.filters import BLOCK, IdFilter
from lifelong.store.store import Reference, Store
from lifelong.store.tensors import pack, read_metadata, unpack

PEOPLE = "people"
"""The role of a task's own file; `people-NAME` is that of another task's, for a task that learnt from its data, too."""
TRAINED, CHOSEN, PRESENT = "trained", "validated", "present"
PARTS = {
    TRAINED: "it was trained on",
    CHOSEN: "chose its epochs, in the validation",
    PRESENT: "neither, but in the data set, of which items, classes and cuts in time come",
}
"""Part -> what its users were to the task. Users whom the preparing left out (min_user_events) are in none."""
Files = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Seen:
    """The users of a task's data: their ids (U), and the places among them that were trained on and validated on, int64."""

    ids: pa.Array
    trained_n: np.ndarray
    chosen_n: np.ndarray

    def packed(self, lineage: str, task: str) -> bytes:
        """The file of the filters. The salt is of lineage and task, so that no two files of the world can be compared."""
        salt = hashlib.sha256(f"people of {task} in {lineage}".encode()).hexdigest()[:32]
        others_U = np.ones(len(self.ids), bool)
        others_U[self.trained_n] = others_U[self.chosen_n] = False
        places = {TRAINED: self.trained_n, CHOSEN: self.chosen_n, PRESENT: np.flatnonzero(others_U)}
        filters = {part: IdFilter.of(self.ids.take(pa.array(n)), salt) for part, n in places.items()}
        return pack({part: made.as_tensor() for part, made in filters.items()}, {"salt": salt})


def seen_in(ids: pa.Array, train_N: np.ndarray, valid_N: np.ndarray) -> Seen:
    """The users of cases: ids (U), and for each training and validation case the place of its user among them."""
    return Seen(ids, np.unique(train_N), np.unique(valid_N))


def roles(files: Mapping[str, Any]) -> list[str]:
    """The roles of those of a task's files that tell whom it has learnt from; none where nothing was kept."""
    return [role for role in files if role == PEOPLE or role.startswith(f"{PEOPLE}-")]


def carry_people(tasks: dict[str, Any], before: Mapping[str, Any], written: Iterable[str]) -> None:
    """Let entries that were written again keep whom their tasks had learnt from; in place. before: the entries so far.

    A strategy that changes earlier tasks learns from everybody's data: it, and all whose identity it has changed, then name the
    files of all.
    """
    again = [name for name in written if name in before]
    for name in again:
        tasks[name]["files"] |= _people(before[name]["files"])
    changed = [name for name in again if tasks[name]["identity"] != before[name]["identity"]]
    if not changed:
        return
    everybody = {_named(role, name): file for name in tasks for role, file in _people(tasks[name]["files"]).items()}
    for name in [*changed, *(n for n in written if n not in before)]:
        own = _people(tasks[name]["files"])
        tasks[name]["files"] |= {role: file for role, file in everybody.items() if file not in own.values()}


def _people(files: Mapping[str, Any]) -> Files:
    return {role: files[role] for role in roles(files)}


def _named(role: str, task: str) -> str:
    return f"{PEOPLE}-{task}" if role == PEOPLE else role


def found_in(store: Store, files: Files, ids: pa.Array) -> dict[str, np.ndarray] | None:
    """Part -> bool (U), which ids a task has learnt from so, by all of its files; None where nothing was kept.

    Raises ModelCorrupt for a file that is damaged.
    """
    if PEOPLE not in files:
        return None
    found = {part: np.zeros(len(ids), bool) for part in PARTS}
    for role in roles(files):
        for part, held in _filters(store, files[role], role).items():
            found[part] |= held.holds(ids)
    return found


def _filters(store: Store, file: dict[str, Any], role: str) -> dict[str, IdFilter]:
    where = f"objects/{file['sha256']} ({role})"
    data = store.get(Reference(**file))
    tensors, salt = unpack(data, where), read_metadata(data, where).get("salt")
    whole = [t.dtype == torch.uint8 and t.dim() == 1 and len(t) and len(t) % BLOCK == 0 for t in tensors.values()]
    if tensors.keys() != PARTS.keys() or not all(whole) or not salt:
        raise ModelCorrupt(f"{where}: is no file of people")
    return {part: IdFilter(bits.numpy(), salt) for part, bits in tensors.items()}
