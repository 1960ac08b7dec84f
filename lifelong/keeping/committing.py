"""From a grown task to the next version: what is written, what is checked before it counts, and what is told afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifelong import __version__
from lifelong.core.config import plain
from lifelong.core.errors import ForgettingError
from lifelong.core.fingerprint import numeric_stack
from lifelong.keeping.checkpoint import Loaded, save_member
from lifelong.keeping.identities import identity_of
from lifelong.keeping.sealing import PROBE_ROLE, seal
from lifelong.keeping.verification import changed_weights, check_candidate
from lifelong.model.seen import carry_people
from lifelong.store.store import Store


@dataclass(frozen=True)
class Addition:
    """What adding a task did: the version it became, what was trained, and how many probe values of earlier tasks changed."""

    task: str
    version: int
    identity: str
    seconds: float
    trained: int
    stored_bytes: int
    free: float
    changed: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    """Why this strategy, where it was chosen among others (strategy: auto)."""


def next_body(
    store: Store, loaded: Loaded, before: dict[str, Any] | None, added: str | None, isolates: bool
) -> dict[str, Any]:
    """Write what is new and return the body of the next version, checked; nothing is committed yet. added: None where a task
    was taken out, and nothing is new.

    A strategy that isolates writes the added task alone: the entries of the others are taken over as they are, and what this
    process and a fresh one make of them must be what was sealed, bit for bit, or ForgettingError is raised. Another strategy
    writes all tasks again, and `changed` tells how many of their probe values moved.
    """
    if isolates and before and (moved := changed_weights(loaded, before)):
        raise ForgettingError(f"nothing was committed: the rendered weights of {', '.join(moved)} would change")
    new = [added] if added else []
    body = write_body(store, loaded, before, new if isolates else list(loaded.members))
    body["changed"] = check_candidate(store, body, before)
    total = sum(body["changed"].values())
    if isolates and total:
        raise ForgettingError(
            f"nothing was committed: {total} probe values of earlier tasks would change: {body['changed']}"
        )
    return body


def write_body(store: Store, loaded: Loaded, before: dict[str, Any] | None, written: list[str]) -> dict[str, Any]:
    """Put the files of the tasks in `written` into the store; the entries of the others come from `before`."""
    tasks = {name: before["tasks"][name] for name in loaded.members if before and name not in written}
    for name in written:
        entry = save_member(store, loaded.bank, loaded.members[name])
        sealed = seal(loaded, name)
        entry["files"][PROBE_ROLE] = store.put(sealed.probes).as_dict()
        identity = identity_of(plain(loaded.design), sealed.fingerprint, entry["files"])
        tasks[name] = {**entry, "fingerprint": sealed.fingerprint, "identity": identity, "stack": numeric_stack()}
    carry_people(tasks, before["tasks"] if before else {}, written)
    return {"lifelong": __version__, "design": plain(loaded.design), "order": list(loaded.members), "tasks": tasks}
