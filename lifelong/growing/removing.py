"""Taking a task out of a model: what it owned is free again, and no other task changes by one bit."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifelong.continual.bank import FREE
from lifelong.core.errors import UsageError
from lifelong.keeping.checkpoint import Loaded, load
from lifelong.keeping.committing import next_body
from lifelong.store.store import Store, Version


@dataclass(frozen=True)
class Removed:
    """What taking a task out did: the version without it, the share of the encoder that it gave back, and how many probe values
    of the others changed."""

    task: str
    version: int
    identity: str
    given_back: float
    free: float
    changed: Mapping[str, int] = field(default_factory=dict)


def remove(store: Store, version: Version, name: str, free: float) -> tuple[Removed, Version, Loaded]:
    """Commit the version after `version`, in which the task `name` is not; `free` is the share that nobody owned so far.

    Its files stay where they are, for the versions before. Raises what `without` and `next_body` raise, and Conflict.
    """
    remaining = without(version.body, name)
    loaded = load(store, remaining)
    with store.writing():
        body = next_body(store, loaded, remaining, None, isolates=True)
        made = store.commit(body, "remove", version, int(time.time()))
    now = loaded.bank.shares()[FREE]
    identity = version.body["tasks"][name]["identity"]
    return Removed(name, made.number, identity, now - free, now, body["changed"]), made, loaded


def without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A version's body without one of its tasks; nothing else in it changes.

    The rows of items that the task brought keep their numbers and are nobody's, and zero, so that no other row moves; those at
    the end of the table are dropped (checkpoint.py). Raises UsageError where other tasks stand on it, or none would be left.
    """
    standing = _standing_on(body, name)
    if standing:
        others = f"take {'it' if len(standing) == 1 else 'them'} out first: {', '.join(reversed(standing))}"
        raise UsageError(
            f"task {name!r} cannot be taken out: {', '.join(standing)} {'stands' if len(standing) == 1 else 'stand'} on it and "
            f"would change with it; {others}"
        )
    if len(body["order"]) == 1:
        raise UsageError(
            f"task {name!r} cannot be taken out: it is the only one, and no model is without a task; pretrain another one"
        )
    tasks = {other: entry for other, entry in body["tasks"].items() if other != name}
    return {**body, "order": [other for other in body["order"] if other != name], "tasks": tasks}


def _standing_on(body: Mapping[str, Any], name: str) -> list[str]:
    """The tasks that have `name` in their line of parents, in the order in which they were learnt."""
    line = {name}
    for other in body["order"]:
        if body["tasks"][other]["parent"] in line:
            line.add(other)
    return [other for other in body["order"] if other in line and other != name]
