"""Who says which versions must stay: aliases such as the pin of what is served, and leases of whoever serves just now."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from lifelong.core.errors import ModelCorrupt
from lifelong.store import folder as layout
from lifelong.store.documents import Version, decode_note, encode_note, references, seal, unseal
from lifelong.store.files import read_plain, remove_partial, writing_errors
from lifelong.store.names import check_name
from lifelong.store.reading import Readable
from lifelong.store.store import Store

SERVING = "serving"
"""The alias that says what is served; where there is none the newest version is."""
LEASE_FILE = re.compile(r"lease-[a-z0-9-]{1,64}-[0-9]+-[0-9a-f]{8}")
SECONDS = 3600.0
"""How long a lease lasts that nobody refreshes: much longer than clocks differ, shorter than anybody waits for space."""
_SERVED_AS_BEFORE = "what is served stays as it was; try again"


def pin(store: Store, number: int | None, name: str = SERVING) -> Version:
    """Let an alias name a version, after reading every file of it; None takes the alias away. Returns what it now means.

    A gc never takes what an alias names. Raises ConfigError for a bad name, UsageError for a version that is not there or
    was collected, ModelCorrupt for one that is damaged.
    """
    target = store.path / layout.ALIASES / check_name(name)
    if number is None:
        newest = store.newest()
        with writing_errors(target, _SERVED_AS_BEFORE):
            if os.path.lexists(target):
                store.files.unlink(target)
                store.files.fsync_dir(target.parent)
        return newest
    with store.writing(), writing_errors(target, _SERVED_AS_BEFORE):  # no gc is at work while it is looked at
        version = store.version(number)
        for reference in set(references(version.body)):
            store.get(reference)
        layout.make_folder(store.files, target.parent)
        store.put_in_place(encode_note(version), target)
        store.files.fsync_dir(target.parent)
    return version


def pins(store: Readable) -> dict[str, int]:
    """Alias -> number of the version it names. Raises ModelCorrupt for an alias that is damaged or names another version."""
    folder = store.path / layout.ALIASES
    found = {}
    for name in layout.listing(store.files, folder) if folder.is_dir() else ():
        found[name] = _pinned(store, folder / name).number
    return found


def served(store: Readable) -> Version:
    """The version that is served: the one pinned as `serving`, else the newest. Raises ModelCorrupt, UsageError."""
    path = store.path / layout.ALIASES / SERVING
    return _pinned(store, path) if os.path.lexists(path) else store.newest()


def _pinned(store: Readable, path: Path) -> Version:
    note = decode_note(read_plain(store.files, path), str(path))
    version = store.version(note["v"])
    if version.sha256 != note["sha256"]:
        raise ModelCorrupt(f"{path}: names another version {note['v']} than the one that is there; pin it again")
    return version


class Lease:
    """Whoever serves versions says so in tmp/lease-<host>-<pid>-…, and again at times, so that no gc takes them meanwhile.

    >>> with Lease(store) as lease:      # doctest: +SKIP
    ...     lease.hold([41])             # then load version 41; call it again every few minutes, with all that is served
    """

    def __init__(self, store: Store, seconds: float = SECONDS, clock: Callable[[], float] = time.time) -> None:
        self.store, self.seconds, self.clock = store, seconds, clock
        host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:48] or "host"
        self.path = store.path / "tmp" / f"lease-{host}-{os.getpid()}-{token_hex(4)}"

    def hold(self, numbers: Iterable[int]) -> None:
        """These versions, and no others, stay for another `seconds`. Raises UsageError for one that a gc took already."""
        versions = [self.store.version(number) for number in sorted(set(numbers))]
        document = {"versions": [version.number for version in versions], "until": int(self.clock() + self.seconds)}
        with writing_errors(self.path, "load nothing that may be collected; try again"):
            self.store.put_in_place(seal(document), self.path)
        for version in versions:
            self.store.claim(version)  # also from a gc that had listed the leases before this one was there
            self.store.version(version.number)

    def end(self) -> None:
        """Give all back."""
        remove_partial(self.store.files, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def leases(store: Readable) -> dict[str, tuple[list[int], int]]:
    """Name of a lease's file -> the versions that it holds, and until when (Unix seconds). Raises ModelCorrupt."""
    folder, found = store.path / "tmp", {}
    for name in layout.listing(store.files, folder) if folder.is_dir() else ():
        if LEASE_FILE.fullmatch(name):
            try:
                document = unseal(read_plain(store.files, folder / name), str(folder / name))[1]
            except ModelCorrupt:
                if os.path.lexists(folder / name):
                    raise
                continue  # ended at this moment
            found[name] = _held(document, folder / name)
    return found


def _held(document: Any, path: Path) -> tuple[list[int], int]:
    numbers, until = (document.get("versions"), document.get("until")) if isinstance(document, dict) else (None, None)
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers) or type(until) is not int:
        raise ModelCorrupt(f"{path}: is no lease; remove it if nobody serves this model")
    return numbers, until
