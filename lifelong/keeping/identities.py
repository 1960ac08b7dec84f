"""What became of every task over the versions of a model: its identities, what ended each, and what nothing explains."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lifelong.core.fingerprint import canonical_json, json_hash
from lifelong.keeping.entries import check_body
from lifelong.store.documents import FORMAT
from lifelong.store.store import Version

Entry = dict[str, Any]


def identity_of(design: dict[str, Any], fingerprint: str, files: Mapping[str, Any]) -> str:
    """A hash of everything that decides a task's answers: another identity is another task. design: as the version's body that
    brought the task holds it; files: the task's."""
    read = {role: files[role]["sha256"] for role in ("catalogue", "items")}
    return json_hash([design, fingerprint, read])[:16]


@dataclass
class Life:
    """One identity of a task: the numbers of the versions that hold it, and what the last of them says of it.

    ended: how it came out of the newest version, such as "retrain, version 7"; nothing where it is there.
    """

    task: str
    identity: str
    versions: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    """What versions may say of it: one entry, and another after each migration, and each erasure that moves no weight."""
    ended: str = ""

    @property
    def entry(self) -> Entry:
        """What the latest format says of it."""
        return self.entries[-1]


def follow(log: Sequence[Version]) -> tuple[list[Life], list[str]]:
    """All identities in the order in which they appear, and every change that nothing explains.

    A task may come and go and be another one, but only by an operation that says so; under one identity every byte of it stays.
    Raises ModelCorrupt where a version's body is of no form that could be followed.
    """
    for version in log:
        if version.format == FORMAT:
            check_body(version.body)
    lives: dict[tuple[str, str], Life] = {}
    problems = [problem for before, after in pairwise(log) for problem in _unexplained(before, after, log)]
    for version in log:
        for name, entry in version.body["tasks"].items():
            life = lives.setdefault((name, entry["identity"]), Life(name, entry["identity"]))
            problems += list(_told_otherwise(life, entry, version))
            life.versions.append(version.number)
    for life in lives.values():
        life.ended = _end(life, log)
    return list(lives.values()), problems + list(_other_names(lives.values(), log))


def spans(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending numbers as [first, last] of each run.

    >>> spans([1, 2, 3, 7])
    [[1, 3], [7, 7]]
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _told_otherwise(life: Life, entry: Entry, version: Version) -> Iterator[str]:
    """Take the entry in, or say what in it is not as it was."""
    if entry in life.entries:
        return
    if not life.entries or (version.op in ("migrate", "erase") and entry["fingerprint"] == life.entry["fingerprint"]):
        life.entries.append(entry)
        return
    before = life.entry
    files = [role for role in before["files"] | entry["files"] if before["files"].get(role) != entry["files"].get(role)]
    others = [key for key in before | entry if key != "files" and before.get(key) != entry.get(key)]
    said = ", ".join([f"its file {role}" for role in files] + others)
    yield f"task {life.task}: changed in version {version.number} ({version.op}) under the same identity: {said}"


def _unexplained(before: Version, after: Version, log: Sequence[Version]) -> Iterator[str]:
    old, new = before.body["tasks"], after.body["tasks"]
    if after.number != before.number + 1 or _is_as_before(after, log):
        return  # what lay between was lost, and a repair says so; or it is an earlier state again
    for name, entry in old.items():
        if name not in new and after.op not in ("remove", "erase"):
            yield f"task {name}: is gone in version {after.number}, and {after.op} takes none out"
        elif name in new and new[name]["identity"] != entry["identity"] and not _may_change(name, after):
            yield f"task {name}: is another one in version {after.number}, and {after.op} changes none"


def _is_as_before(version: Version, log: Sequence[Version]) -> bool:
    if version.op not in ("rollback", "repair"):
        return False
    return any(v.number < version.number and v.body["tasks"] == version.body["tasks"] for v in log)


def _may_change(name: str, version: Version) -> bool:
    """Whether the version says that it made the task another one on purpose."""
    if version.op == "retrain":
        return bool(version.body["order"][-1] == name)
    if version.op == "add":  # by a strategy that writes back; it counts what it changed
        changed = version.body.get("changed")
        return isinstance(changed, dict) and changed.get(name) not in (None, 0)
    return version.op == "erase"


def _end(life: Life, log: Sequence[Version]) -> str:
    if life.versions[-1] == log[-1].number:
        return ""
    after = next(version for version in log if version.number > life.versions[-1])
    return f"{after.op}, version {after.number}"


def _other_names(lives: Iterable[Life], log: Sequence[Version]) -> Iterator[str]:
    """Identities that are not the hash of what decides the answers, by the design of any version."""
    designs: Mapping[bytes, Any] = {canonical_json(v.body["design"]): v.body["design"] for v in log}
    for life in lives:
        first = life.entries[0]
        if life.identity not in {identity_of(d, first["fingerprint"], first["files"]) for d in designs.values()}:
            yield f"task {life.task}: its identity {life.identity} is not the hash of what it computes with"
