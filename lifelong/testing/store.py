"""File operations that fail, kill or remember, and a disk that loses what was not synced, to torment the store with."""

import itertools
import os
import random
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lifelong.store.files import Files

WRITES = ("create", "write", "fsync", "rename", "link", "unlink", "mkdir", "fsync_dir", "remove_tree", "touch")
READS = ("open_plain", "size", "read", "names", "close", "lock", "look")


class Watched(Files):
    """Counts the operations and passes each through `step`; `watched` says which."""

    def __init__(self, watched: tuple[str, ...] = WRITES) -> None:
        self.watched, self.count = watched, 0

    def step(self, operation: str, arguments: tuple[Any, ...], perform: Callable[..., Any]) -> Any:
        """Do it. `perform(*arguments)` is the real operation."""
        return perform(*arguments)


def _through_step(operation: str) -> Callable[..., Any]:
    def method(self: Watched, *arguments: Any) -> Any:
        perform = getattr(super(Watched, self), operation)
        if operation not in self.watched:
            return perform(*arguments)
        self.count += 1
        return self.step(operation, arguments, perform)

    return method


for _operation in (*WRITES, *READS):
    setattr(Watched, _operation, _through_step(_operation))


class FailAt(Watched):
    """The N-th operation (from 1), then named by `failed`, raises an OSError; a write has written half by then."""

    def __init__(self, at: int, errno: int, watched: tuple[str, ...] = (*WRITES, *READS)) -> None:
        super().__init__(watched)
        self.at, self.errno, self.failed = at, errno, ""

    def step(self, operation: str, arguments: tuple[Any, ...], perform: Callable[..., Any]) -> Any:
        """Do it, or fail."""
        if self.count != self.at:
            return perform(*arguments)
        self.failed = operation
        if operation == "write":
            perform(arguments[0], arguments[1][: len(arguments[1]) // 2])
        if operation == "close":
            perform(*arguments)  # the descriptor is gone, whatever close says
        raise OSError(self.errno, os.strerror(self.errno))


class KillAt(Watched):
    """SIGKILL at the N-th operation: before it, after it, or (a write) in the middle of it. For forked children."""

    def __init__(self, at: int, when: str, share: float = 0.5) -> None:
        super().__init__()
        self.at, self.when, self.share = at, when, share

    def step(self, operation: str, arguments: tuple[Any, ...], perform: Callable[..., Any]) -> Any:
        """Do it, or die."""
        if self.count != self.at:
            return perform(*arguments)
        if self.when == "after":
            perform(*arguments)
        elif self.when == "middle" and operation == "write":
            perform(arguments[0], arguments[1][: int(self.share * len(arguments[1]))])
        os.kill(os.getpid(), signal.SIGKILL)


class Died(BaseException):
    """What DieAt raises; nothing may catch it."""


class DieAt(Watched):
    """Death at the N-th operation without a process to kill, a hundred times faster: that operation does not happen (or half
    of it, or it is the last), and none after it does, whatever clears up on the way out.

    Every change of the disk goes through Files, so the disk cannot tell this from SIGKILL; a test compares the two.
    """

    def __init__(self, at: int, when: str, share: float = 0.5) -> None:
        super().__init__()
        self.at, self.when, self.share = at, when, share

    def step(self, operation: str, arguments: tuple[Any, ...], perform: Callable[..., Any]) -> Any:
        """Do it, or die, or be dead."""
        if self.count < self.at:
            return perform(*arguments)
        if self.count == self.at and self.when == "after":
            perform(*arguments)
        elif self.count == self.at and self.when == "middle" and operation == "write":
            perform(arguments[0], arguments[1][: int(self.share * len(arguments[1]))])
        raise Died


def in_child(work: Callable[[], object]) -> bool:
    """Run `work` in a forked process; whether it came to its end (False: it was killed). Raises where it raised."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the child failed; its traceback is on stderr")
    return not os.WIFSIGNALED(status)


class Operation(NamedTuple):
    """One recorded operation; a descriptor stands for the file that it opened."""

    name: str
    arguments: tuple[Any, ...]


class Recorder(Watched):
    """Remembers every operation that changes the disk, in order; `mark` puts a remark in between."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._file_of: dict[int, int] = {}

    def mark(self, remark: Any) -> None:
        """Remember `remark` at this place, for instance what was acknowledged here."""
        self.operations.append(Operation("mark", (remark,)))

    def step(self, operation: str, arguments: tuple[Any, ...], perform: Callable[..., Any]) -> Any:
        """Do it and remember it."""
        result = perform(*arguments)
        if operation == "create":
            self._file_of[result] = len(self.operations)
            arguments = (*arguments, len(self.operations))
        elif operation in ("write", "fsync"):
            arguments = (self._file_of[arguments[0]], *arguments[1:])
        self.operations.append(Operation(operation, arguments))
        return result


FOLDER = -1
"""Stands where a name is a folder's."""
DAMAGES = ("none", "half", "zeros", "all")
"""What may be there of the bytes of a file that was not synced."""


@dataclass
class _Entry:
    """A change of names in `folder` that a power cut may undo: each path gets a file, FOLDER, or nothing (None)."""

    folder: Path
    changes: tuple[tuple[Path, int | None], ...]


@dataclass
class Disk:
    """What a power cut may leave of a folder.

    A change of names is atomic and may be lost until its folder is synced, each by itself and in any order; a file's
    bytes may be none, half, zeros or all until it is synced.

    `ignore` is a folder whose loss nobody minds: its names are kept, which keeps the states few.
    """

    ignore: Path
    names: dict[Path, int] = field(default_factory=dict)
    pending: list[_Entry] = field(default_factory=list)
    content: dict[int, bytes] = field(default_factory=dict)
    unsynced: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, root: Path, ignore: Path) -> "Disk":
        """A disk that holds a real folder, all of it synced."""
        disk = cls(ignore, {root.parent: FOLDER})
        for number, path in enumerate(sorted(root.rglob("*")) if root.exists() else [], start=1):
            disk.names[path] = FOLDER if path.is_dir() else -1 - number
            if path.is_file():
                disk.content[-1 - number] = path.read_bytes()
        if root.exists():
            disk.names[root] = FOLDER
        return disk

    def apply(self, operation: Operation) -> None:
        """Let a recorded operation happen."""
        name, arguments = operation
        if name == "create":
            self.content[arguments[1]] = b""
            self.unsynced.add(arguments[1])
            self._rename((arguments[0], arguments[1]))
        elif name == "write":
            self.content[arguments[0]] += bytes(arguments[1])
            self.unsynced.add(arguments[0])
        elif name == "fsync":
            self.unsynced.discard(arguments[0])
        elif name == "rename":
            self._rename((arguments[1], self._at(arguments[0])), (arguments[0], None))
        elif name == "link":
            self._rename((arguments[1], self._at(arguments[0])))
        elif name == "unlink":
            self._rename((arguments[0], None))
        elif name == "mkdir":
            self._rename((arguments[0], FOLDER))
        elif name == "fsync_dir":
            self._sync(arguments[0])

    def states(self, most: int, rng: random.Random) -> Iterator[dict[Path, bytes | None]]:
        """What the next power cut may leave: path -> bytes, None for a folder. All, or about `most` at random."""
        damages = DAMAGES if self.unsynced else ("all",)
        count = len(self.pending)
        if len(damages) * 2**count <= most:
            choices = list(itertools.product(itertools.product((False, True), repeat=count), damages))
        else:
            drawn = [tuple(rng.random() < 0.5 for _ in range(count)) for _ in range(most)]
            choices = [(keep, rng.choice(damages)) for keep in [(False,) * count, (True,) * count, *drawn]]
        for keep, damage in choices:
            yield self._state(keep, damage)

    def _state(self, keep: tuple[bool, ...], damage: str) -> dict[Path, bytes | None]:
        names = dict(self.names)
        for entry in itertools.compress(self.pending, keep):
            _change(names, entry)
        return {
            path: None if file == FOLDER else self._bytes(file, damage)
            for path, file in sorted(names.items())
            if all(parent in names for parent in path.parents if self._inside(parent))
        }

    def _bytes(self, file: int, damage: str) -> bytes:
        data = self.content[file]
        if file not in self.unsynced:
            return data
        return {"none": b"", "half": data[: len(data) // 2], "zeros": bytes(len(data)), "all": data}[damage]

    def _inside(self, path: Path) -> bool:
        return self.ignore.parent.parent in path.parents

    def _at(self, path: Path) -> int:
        names = dict(self.names)
        for entry in self.pending:
            _change(names, entry)
        return names[path]

    def _rename(self, *changes: tuple[Path, int | None]) -> None:
        folders = [
            path.parent for path, _ in changes if path.parent != self.ignore
        ]  # a rename out of tmp/ is objects/'
        entry = _Entry(folders[0] if folders else self.ignore, changes)
        if entry.folder == self.ignore:
            _change(self.names, entry)
        else:
            self.pending.append(entry)

    def _sync(self, folder: Path) -> None:
        for entry in [entry for entry in self.pending if entry.folder == folder]:
            _change(self.names, entry)
            self.pending.remove(entry)


def materialise(state: dict[Path, bytes | None], root: Path, target: Path) -> None:
    """Lay a state of the disk out as a real folder: what was `root` is at `target`."""
    for path, data in state.items():
        if path == root or root in path.parents:
            place = target / path.relative_to(root)
            if data is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_bytes(data)


def _change(names: dict[Path, int], entry: _Entry) -> None:
    for path, file in entry.changes:
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file
