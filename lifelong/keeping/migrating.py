"""Moving a model to the format of this release: a new version, checked like any other; those before stay as they are."""

import time
from dataclasses import dataclass

from lifelong.core.errors import ForgettingError, UsageError
from lifelong.keeping.formats import Body, stepped
from lifelong.keeping.verification import check_candidate
from lifelong.store import documents
from lifelong.store.store import Store, Version

KEPT = ("identity", "fingerprint", "stack")
"""What a migration may not change of a task: it is still the same task."""


@dataclass(frozen=True)
class Migration:
    """What moving a model did: the version that it became, from which format to which, and how many tasks were checked."""

    version: int
    before: int
    after: int
    tasks: int


def migrate(store: Store) -> Migration:
    """Commit the newest version again in this release's format.

    Every task must keep its identity and its fingerprint, and a fresh process must get the sealed answers out of the new files,
    bit for bit, asked in every way; else ForgettingError or LifelongError, and nothing is committed. Raises UsageError where
    there is nothing to move.
    """
    newest = store.newest()
    if newest.format == documents.FORMAT:
        raise UsageError(f"{store.path}: is of format {newest.format} already; there is nothing to migrate")
    with store.writing():
        body = stepped(newest, store)
        _need_same_tasks(newest, body)
        check_candidate(store, body, None)
        made = store.commit({**body, "changed": {}}, "migrate", newest, int(time.time()))
    return Migration(made.number, newest.format, documents.FORMAT, len(body["tasks"]))


def _need_same_tasks(before: Version, after: Body) -> None:
    if list(after["order"]) != list(before.body["order"]) or after["tasks"].keys() != before.body["tasks"].keys():
        raise ForgettingError(f"nothing was committed: the tasks of version {before.number} would be others")
    for name, entry in after["tasks"].items():
        changed = [key for key in KEPT if entry[key] != before.body["tasks"][name][key]]
        if changed:
            raise ForgettingError(f"nothing was committed: task {name!r} would have another {', '.join(changed)}")
