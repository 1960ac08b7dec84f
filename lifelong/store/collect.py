"""Garbage collection in two steps, a mark and a deletion: what is served, pinned, young or unknown is never taken.

What goes: objects that no kept version refers to, leftovers of interrupted commits, expired leases, the state of jobs that
nobody went on with; versions that an erasure has ended are not kept once its time is over. Files of versions stay for ever, so
the chain of hashes can always be checked; of a version whose objects go, a note beside it says so, on the disk before the first
of them goes. A writer claims what it refers to by making it young, and an object is looked at once more after it was taken out
of the way; so a gc needs neither a lock nor a right clock.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeGuard

from lifelong.core.errors import ModelCorrupt, UsageError
from lifelong.store import folder as layout
from lifelong.store.documents import OBJECT_FILE, Version, encode_note, ended, references, seal, unseal
from lifelong.store.files import read_plain, reading_error, writing_errors
from lifelong.store.leases import LEASE_FILE, leases, pins
from lifelong.store.names import is_name
from lifelong.store.reading import Readable
from lifelong.store.store import Store

MARK = "gc-mark"
_PARTIAL = re.compile(r"[0-9a-f]{32}\.partial")
_OURS = re.compile(rf"lock|{MARK}|{LEASE_FILE.pattern}|[0-9a-f]{{32}}\.partial|[0-9a-f]{{64}}\.collected")
_TAKEN = re.compile(r"[0-9a-f]{64}\.collected")
_STATE_FILE = re.compile(r".+\.(safetensors|json|partial)")
_AGAIN = "nothing that a kept version needs was taken; run it again"


@dataclass(frozen=True)
class Rules:
    """What stays, whatever else is said: the newest `last` versions, all that is younger than `young` seconds, the state of
    jobs that were at work less than `job` seconds ago. Raises UsageError for fewer than one version."""

    last: int = 10
    young: float = 86_400.0
    job: float = 7 * 86_400.0
    """A training that was killed on a Friday goes on on Monday."""

    def __post_init__(self) -> None:
        if self.last < 1 or self.young < 0 or self.job < 0:
            raise UsageError(
                f"keep at least the newest version; asked for {self.last}, {self.young:g} s, {self.job:g} s"
            )


@dataclass
class Plan:
    """What a gc would take, and what it keeps. `kept` is number -> why; sizes are in bytes."""

    kept: dict[int, str] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    """Versions that would lose an object."""
    objects: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Object -> its size, and when it was last written or claimed, in nanoseconds."""
    jobs: dict[str, int] = field(default_factory=dict)
    leftovers: dict[str, int] = field(default_factory=dict)
    """Names in tmp/."""
    unknown: list[str] = field(default_factory=list)
    """What lies there and is none of ours; it is never taken."""

    @property
    def bytes(self) -> int:
        """How much space would be free."""
        return sum(size for size, _ in self.objects.values()) + sum(self.jobs.values()) + sum(self.leftovers.values())


def plan(store: Readable, rules: Rules, now: float) -> Plan:
    """Look at everything, change nothing. Raises ModelCorrupt where a version, an alias or a lease cannot be read: then
    nobody knows what is needed; Unsupported for a later format."""
    found, history = Plan(), store.log()
    found.kept = _kept(store, history, rules, now)
    collected = store.collected()
    needed = {r.sha256 for version in history if version.number in found.kept for r in references(version.body)}
    for name in layout.listing(store.files, store.path / "objects"):
        seen = _look(store, store.path / "objects" / name)
        if not _is_file(seen) or not OBJECT_FILE.fullmatch(name):
            found.unknown.append(f"objects/{name}")
        elif name not in needed and now - seen.st_mtime >= rules.young:
            found.objects[name] = (seen.st_size, seen.st_mtime_ns)
    for version in history:
        goes = any(r.sha256 in found.objects for r in references(version.body))
        if goes and version.number not in found.kept and version.number not in collected:
            found.versions[version.number] = version
    _plan_jobs(store, rules, now, found)
    _plan_leftovers(store, rules, now, found)
    return found


def collect(
    store: Store,
    rules: Rules | None = None,
    *,
    wait: float = 60.0,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> Plan:
    """Mark what may go, wait for whoever is reading it, look again, and take what was marked and still may go.

    Returns what was taken. It may be killed at any time, and goes on when it is run again; a mark that is older than `wait`
    seconds is not waited for. Raises what `plan` raises, and Conflict where others keep writing.
    """
    rules = rules or Rules()
    _put_back(store)
    first = plan(store, rules, clock())
    _clear(store, first)  # first of all, for it needs no space
    wanted = {name: when for name, (_, when) in first.objects.items()}
    marked, since = _marked(store)
    if not wanted.items() <= marked.items():
        marked, since = wanted, clock()
        with store.writing(), writing_errors(store.path / "tmp" / MARK, _AGAIN):  # under it others clear partial files
            layout.make_folder(store.files, store.path / "tmp")
            store.put_in_place(seal({"at": int(since), "objects": marked}), store.path / "tmp" / MARK)
    if first.objects and (rest := wait - max(0.0, clock() - since)) > 0:
        pause(rest)
    with store.writing(), writing_errors(store.path, _AGAIN):
        due = plan(store, rules, clock())
        due.objects = {name: seen for name, seen in due.objects.items() if marked.get(name) == seen[1]}
        _note(store, due, int(clock()))
        _take(store, due)
    return replace(due, jobs=first.jobs, leftovers=first.leftovers)


def _kept(store: Readable, history: list[Version], rules: Rules, now: float) -> dict[int, str]:
    there = {version.number for version in history}
    over = ended(history, now)  # what an erasure took out has no other right to stay
    kept = {v.number: f"among the newest {rules.last}" for v in history[-rules.last :] if v.number not in over}
    for version in history:
        if version.created > now - rules.young and version.number not in over:
            kept.setdefault(version.number, "young")
    for name, (numbers, until) in leases(store).items():
        if until > now:
            kept |= {number: f"leased by {name.removeprefix('lease-')}" for number in numbers}
    kept |= {number: f"pinned as {name}" for name, number in pins(store).items()}
    kept |= {number: f"{why}, though an erasure ended it" for number, why in kept.items() if number in over}
    if kept.keys() - there:
        raise ModelCorrupt(
            f"{store.path}: version {min(kept.keys() - there)} is to be kept and cannot be read; repair first"
        )
    return kept


def _plan_jobs(store: Readable, rules: Rules, now: float, found: Plan) -> None:
    folder = store.path / "resume"
    for name in _names(store, folder):
        files = list(_files(store, folder / name))
        strange = [path for path, seen in files if not _is_file(seen) or not _STATE_FILE.fullmatch(path.name)]
        if strange or not is_name(name) or (folder / name).is_symlink() or not (folder / name).is_dir():
            found.unknown += [path.relative_to(store.path).as_posix() for path in strange or [folder / name]]
            continue
        seen = [s for s in (_look(store, folder / name), *(s for _, s in files)) if s is not None]
        if all(now - s.st_mtime >= rules.job for s in seen):
            found.jobs[name] = sum(s.st_size for s in seen[1:])


def _plan_leftovers(store: Readable, rules: Rules, now: float, found: Plan) -> None:
    folder = store.path / "tmp"
    expired = {name for name, (_, until) in leases(store).items() if until <= now}
    for name in _names(store, folder):
        seen = _look(store, folder / name)
        if seen is None:
            continue  # its owner was faster
        if name in expired or (_PARTIAL.fullmatch(name) and now - seen.st_mtime >= rules.young):
            sizes = [s.st_size for _, s in _files(store, folder / name) if s is not None]
            found.leftovers[name] = seen.st_size if _is_file(seen) else sum(sizes)
        elif not _OURS.fullmatch(name):
            found.unknown.append(f"tmp/{name}")


def _marked(store: Store) -> tuple[dict[str, int], float]:
    """What an earlier gc marked, and when; nothing where its mark cannot be read."""
    path = store.path / "tmp" / MARK
    with suppress(ModelCorrupt, AttributeError):
        document = unseal(read_plain(store.files, path), str(path))[1]
        objects, at = document.get("objects"), document.get("at")
        if isinstance(objects, dict) and type(at) is int:
            return objects, float(at)
    return {}, 0.0


def _note(store: Store, due: Plan, now: int) -> None:
    """Say of every version that is going to lose an object that it does, for good, before it does."""
    due.versions = {
        number: version
        for number, version in due.versions.items()
        if any(r.sha256 in due.objects for r in references(version.body))
    }
    for number, version in due.versions.items():
        store.link_new(encode_note(version, collected=now), layout.collected_path(store.path, number))
    store.files.fsync_dir(store.path / "versions")  # also of notes that were there: their writer may have died


def _take(store: Store, due: Plan) -> None:
    tmp = store.path / "tmp"
    for name, (_, when) in list(due.objects.items()):
        taken = tmp / f"{name}.collected"
        store.files.rename(store.path / "objects" / name, taken)
        if store.files.look(taken).st_mtime_ns != when:  # claimed meanwhile by a writer that waits for no lock
            _back(store, taken)
            del due.objects[name]
        else:
            store.files.unlink(taken)
    store.files.fsync_dir(store.path / "objects")
    if (tmp / MARK).exists():
        store.files.unlink(tmp / MARK)


def _clear(store: Store, found: Plan) -> None:
    with writing_errors(store.path / "tmp", _AGAIN), store.writing():
        for name in found.jobs:
            store.clear_resume(name)
        for name in found.leftovers:
            with suppress(FileNotFoundError):
                gone = store.path / "tmp" / name
                (store.files.remove_tree if gone.is_dir() and not gone.is_symlink() else store.files.unlink)(gone)


def _put_back(store: Store) -> None:
    """Where a gc was killed with an object in its hand: put it back, for it may have been claimed at that moment."""
    with writing_errors(store.path / "objects", _AGAIN), store.writing():
        for name in _names(store, store.path / "tmp"):
            if _TAKEN.fullmatch(name):
                _back(store, store.path / "tmp" / name)


def _back(store: Store, taken: Path) -> None:
    with suppress(FileExistsError):  # written again meanwhile
        store.files.link(taken, store.path / "objects" / taken.stem)
        store.files.fsync_dir(store.path / "objects")
    store.files.unlink(taken)


def _look(store: Readable, path: Path) -> os.stat_result | None:
    """What is known of a name; None where it is gone."""
    try:
        return store.files.look(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise reading_error(path, error) from error


def _is_file(seen: os.stat_result | None) -> TypeGuard[os.stat_result]:
    return seen is not None and stat.S_ISREG(seen.st_mode)


def _names(store: Readable, folder: Path) -> list[str]:
    """The names in a folder of the model; none where it is absent, or a link to somewhere else."""
    return layout.listing(store.files, folder) if folder.is_dir() and not folder.is_symlink() else []


def _files(store: Readable, folder: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Everything below a folder but the folders themselves."""
    for name in _names(store, folder):
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            yield from _files(store, folder / name)
        else:
            yield folder / name, _look(store, folder / name)
