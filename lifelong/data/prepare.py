"""A data set prepared once: sorted sequences in memory-mapped Arrow files, found by a hash of their inputs, reused.

The folder is named by what went in: the files, the options, and the code that reads them. The key is what came out, so tasks go
on when a file was sorted anew, turned from CSV into Parquet, or is read by a newer version of this library.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lifelong.core.errors import ConfigError, DataError
from lifelong.core.fingerprint import json_hash
from lifelong.core.types import DropReport
from lifelong.data.arrow_file import write_arrow
from lifelong.data.contents_hash import contents_hash
from lifelong.data.datasets.base import Source
from lifelong.data.filehash import file_identity
from lifelong.data.gather import Gathered, gather
from lifelong.data.spill import Room

PREPARE_VERSION = 3
"""Raised whenever the same inputs would give other files; changes of the module of a data set are seen without it."""
FILES = ("events.arrow", "users.arrow", "items.arrow")
SMALL = 64 << 20
"""Bytes up to which a file's SHA-256 is compared at every opening; of a larger one the size is."""
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


@dataclass(frozen=True)
class Prepared:
    """U users, V items, E events; events of a user lie together, in (time, tie) order.

    key: name and hash of all values below; two data sets of one key are the same to every task.
    offsets_U1 int64; items_E int32, index into `items`; times_E int64 unix seconds; channel_E int8, index into
    `channels`, or None. users, items: "id" string and nullable string columns, sorted by id. label_cuts: label -> unix
    seconds before which events may be read for it. The arrays are memory-mapped and read-only.
    """

    name: str
    key: str
    folder: Path
    notice: str
    report: DropReport
    offsets_U1: np.ndarray
    items_E: np.ndarray
    times_E: np.ndarray
    users: pa.Table
    items: pa.Table
    label_cuts: dict[str, int] = field(default_factory=dict)
    channels: list[str] = field(default_factory=list)
    channel_E: np.ndarray | None = None


def cache_folder() -> Path:
    """Where prepared data live: $LIFELONG_CACHE, else ~/.cache/lifelong."""
    return Path(os.environ.get("LIFELONG_CACHE") or Path.home() / ".cache" / "lifelong")


def memory_for_events() -> int:
    """Bytes of events that preparing holds before it writes them to disk: $LIFELONG_MEMORY, else 1 GB.

    A whole number of bytes, or one with kB, MB or GB. Raises ConfigError for anything else.
    """
    text = os.environ.get("LIFELONG_MEMORY", "").strip() or "1GB"
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *(kB|MB|GB)?", text, re.IGNORECASE)
    if not found:
        raise ConfigError(
            f"LIFELONG_MEMORY is {text!r}; write a number of bytes, or one with kB, MB or GB such as 500MB"
        )
    return int(float(found[1]) * UNITS[(found[2] or "").lower()])


def prepare(
    source: Source,
    cache: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    memory: int | None = None,
) -> Prepared:
    """The prepared form of a source, made now or taken from the cache.

    memory: bytes of events held at a time, memory_for_events() where it is left out; what is more lies on the cache's
    disk meanwhile, about 50 bytes an event. The ids, the blocks being read and Python itself come on top. It changes
    nothing in the result. Two processes may prepare at once: each writes a folder of its own and the first to finish
    wins. A damaged folder is made again. Raises DataError for unusable rows, when nothing is left, when the disk is
    full, or when the input changed while it was read.
    """
    identity = source.identity()
    inputs = json_hash([PREPARE_VERSION, identity, _code(source)])
    folder = (cache or cache_folder()) / f"{source.name}-{inputs[:16]}"
    if not _is_whole(folder):
        say(f"preparing {source.name}")
        limit = memory_for_events() if memory is None else memory
        with _partial(folder) as partial:
            gathered = gather(source, Room(partial, limit))
            if source.identity() != identity:
                raise DataError(
                    f"{source.name}: the data changed while they were read; try again when nothing writes to them"
                )
            _keep(gathered, source, folder, partial)
        if gathered.report.dropped:
            said = ", ".join(f"{count:,} {reason}" for reason, count in gathered.report.dropped.items())
            say(f"{source.name}: left out of {gathered.report.rows_read:,} rows: {said}")
    return _open(source, folder)


def _code(source: Source) -> list[Any]:
    """The modules that read this data set, by their contents: a reader that was changed is not given what the old one found."""
    modules = (sys.modules.get(kind.__module__) for kind in type(source).__mro__ if issubclass(kind, Source))
    files = (getattr(module, "__file__", None) for module in modules)
    return [file_identity(file) for file in files if file and Path(file).is_file()]


def remove_prepared(cache: Path, key: str) -> int:
    """Remove the folders of a cache that hold the data of this key; how many there were."""
    held = [path.parent for path in cache.glob("*/meta.json") if _key_in(path) == key]
    for folder in held:
        shutil.rmtree(folder)
    return len(held)


def _key_in(meta: Path) -> str | None:
    try:
        return json.loads(meta.read_text(encoding="utf-8")).get("key")
    except (OSError, ValueError, AttributeError):  # a damaged folder: whoever needs it makes it again
        return None


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A folder beside for everything unfinished, gone afterwards."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise DataError(f"{folder.parent}: cannot be written: {error.strerror}; set LIFELONG_CACHE") from error
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _keep(gathered: Gathered, source: Source, folder: Path, partial: Path) -> None:
    """Write a folder beside and rename it into place; what a faster process has put there stays."""
    try:
        _write(gathered, source, partial / "whole")
        if folder.exists() and not _is_whole(folder):
            os.replace(folder, partial / "damaged")  # moved, not emptied in place: nobody opens half of it
        os.replace(partial / "whole", folder)
    except OSError as error:
        if not _is_whole(folder):  # else another process was faster
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


def _write(gathered: Gathered, source: Source, folder: Path) -> None:
    folder.mkdir()
    arrays = {"item": gathered.items_E, "time": gathered.times_E, "channel": gathered.channel_E}
    present = {name: array for name, array in arrays.items() if array is not None}
    events = pa.table({name: pa.array(array) for name, array in present.items()})
    write_arrow(events, folder / FILES[0], list(present.values()))
    write_arrow(gathered.users.append_column("events", pa.array(np.diff(gathered.offsets_U1))), folder / FILES[1])
    write_arrow(gathered.items, folder / FILES[2])
    meta = {
        "files": {name: _state(folder / name) for name in FILES},
        "report": {**vars(gathered.report), "dropped": dict(gathered.report.dropped)},
        "channels": gathered.channels,
        "label_cuts": source.label_cuts(),
        "key": f"{source.name}-{contents_hash(gathered, source.label_cuts())[:16]}",
        "identity": source.identity(),
    }
    document = {**meta, "sha256": json_hash(meta)}
    (folder / "meta.json").write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")


def _state(path: Path) -> dict[str, Any]:
    """What a file is compared by: its size, and its SHA-256 if it is small."""
    size = path.stat().st_size
    return {"size": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if size <= SMALL else None}


def _is_whole(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return meta.pop("sha256") == json_hash(meta) and meta["files"] == {n: _state(folder / n) for n in FILES}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # whatever a damaged file may hold
        return False


def _open(source: Source, folder: Path) -> Prepared:
    events, users, items = (pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all() for name in FILES)
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Prepared(
        name=source.name,
        key=meta["key"],
        folder=folder,
        notice=source.notice,
        report=DropReport(**meta["report"]),
        offsets_U1=np.concatenate(([0], np.cumsum(_array(users, "events")))).astype(np.int64),
        items_E=_array(events, "item"),
        times_E=_array(events, "time"),
        users=users.drop_columns(["events"]),
        items=items,
        label_cuts=meta["label_cuts"],
        channels=meta["channels"],
        channel_E=_array(events, "channel") if "channel" in events.column_names else None,
    )


def _array(table: pa.Table, column: str) -> np.ndarray:
    """The column as it lies in the file, without a copy."""
    return table[column].chunk(0).to_numpy()
