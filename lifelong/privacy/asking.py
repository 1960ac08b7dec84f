"""Which tasks have learnt from somebody: every identity of every task that a model's folder still holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lifelong.keeping.identities import Life, follow
from lifelong.model.seen import CHOSEN, PARTS, PRESENT, TRAINED, found_in
from lifelong.store.store import Store, Version

UNKNOWN, NOT, GONE = "unknown", "no", "gone"


@dataclass(frozen=True)
class Exposure:
    """What somebody was to one identity of a task.

    how: trained, validated (chose its epochs), present (in its data set alone), no, unknown (nothing was kept), or gone (its
    files were collected). through: parents that have learnt from the person. ended: how it came out of the newest version,
    nothing where it is there.
    """

    task: str
    identity: str
    versions: list[int]
    how: str
    through: list[str] = field(default_factory=list)
    ended: str = ""

    @property
    def exposed(self) -> bool:
        """Whether it holds anything that it has learnt from the person."""
        return self.how in PARTS or bool(self.through)


def who_saw(store: Store, user: str) -> list[Exposure]:
    """What the user was to every identity of every task, in the order in which they were learnt.

    One of 70,000 that a task has never seen is taken for one that it has (filters.py); one that it has seen is never missed. A
    task sealed by a release that kept nothing, or with data.people: false, is unknown. Raises ModelCorrupt.
    """
    log, collected, ids = store.log(), store.collected(), pa.array([user], pa.string())
    lives, _ = follow(log)
    versions = {version.number: version for version in log}
    how = {(life.task, life.identity): _how(store, life, collected, ids) for life in lives}
    return [
        Exposure(
            life.task,
            life.identity,
            life.versions,
            how[life.task, life.identity],
            _through(life, versions[life.versions[-1]], how),
            life.ended,
        )
        for life in lives
    ]


def parents_of(tasks: Mapping[str, Any], name: str) -> list[str]:
    """The line of parents of a task in a version's body, the nearest first."""
    line: list[str] = []
    above = tasks[name]["parent"]
    while above is not None:
        line.append(above)
        above = tasks[above]["parent"]
    return line


def _how(store: Store, life: Life, collected: set[int], ids: pa.Array) -> str:
    if set(life.versions) <= collected:
        return GONE
    found = found_in(store, life.entry["files"], ids)
    if found is None:
        return UNKNOWN
    return next((part for part in (TRAINED, CHOSEN, PRESENT) if bool(np.any(found[part]))), NOT)


def _through(life: Life, version: Version, how: Mapping[tuple[str, str], str]) -> list[str]:
    tasks = version.body["tasks"]
    return [name for name in parents_of(tasks, life.task) if how[name, tasks[name]["identity"]] in PARTS]
