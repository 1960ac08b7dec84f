"""Partitions of events: which files there are, whose turn each is, and which one a user belongs to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import UsageError
from lifelong.core.written import need_folder
from lifelong.data.columns import Columns
from lifelong.data.events import FORMATS
from lifelong.data.mixing import splitmix

_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@dataclass(frozen=True)
class Shard:
    """One process's part of the partitions: those at `index`, `index + count`, … of their sorted list."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> "Shard":
        """`1/4` (0/4 to 3/4); where it is left out, RANK and WORLD_SIZE as torchrun sets them, else all. Raises UsageError."""
        rank, world = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
        if text is None and rank is not None and world is not None:
            text = f"{rank}/{world}"
        index, _, count = (text or "0/1").partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise UsageError(f"--shard {text}: write I/N with I from 0 to N - 1, such as 0/4")
        return cls(int(index), int(count))


@dataclass(frozen=True)
class Partition:
    """An input file, its name below the input folder, and the file of its answers."""

    input: Path
    name: str
    output: Path


def find_partitions(inputs: Sequence[str | Path], out: str | Path) -> list[Partition]:
    """The event files in folders (at any depth; names that begin with _ or . are left out) and those named, sorted by name.

    Raises UsageError where there is none, two would have one output, or `out` lies within an input or is no folder.
    """
    need_folder(out)
    found: list[Partition] = []
    for given in map(Path, inputs):
        if given.is_dir() and Path(out).resolve().is_relative_to(given.resolve()):
            raise UsageError(f"--out {out}: lies within the input {given}; choose a folder outside")
        for file in [p for p in given.rglob("*") if _is_events(p, given)] if given.is_dir() else [given]:
            name = file.relative_to(given).as_posix() if given.is_dir() else file.name
            found.append(Partition(file, name, Path(out) / Path(name.removesuffix(".gz")).with_suffix(".parquet")))
    said = f"--input {' '.join(map(str, inputs))}"
    if not found:
        raise UsageError(f"{said}: there is no event file ({', '.join(FORMATS)})")
    found.sort(key=lambda p: (str(p.output), p.name))
    for one, other in pairwise(found):
        if one.output == other.output:
            raise UsageError(
                f"{said}: {one.input} and {other.input} would both be answered in {one.output}; rename one"
            )
    return found


def user_hash(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A 64-bit hash (N, uint64) of each id as text, the same on every machine: FNV-1a, finished by splitmix64.

    >>> user_hash(pa.array([7])) == user_hash(pa.array(["7"]))
    array([ True])
    """
    whole = pa.chunked_array([ids]) if isinstance(ids, pa.Array) else ids
    text = _array(whole.cast(pa.large_string()))
    hash_N = np.full(len(text), _FNV_OFFSET)
    if not len(text):
        return hash_N
    offsets, data = text.buffers()[1:]
    bounds = np.frombuffer(offsets, np.int64, len(text) + 1, text.offset * 8)
    bytes_M, lengths_N = np.frombuffer(data or b"", np.uint8), np.diff(bounds)
    for place in range(int(lengths_N.max())):  # a column of bytes at a time; ids are short
        row_n = np.flatnonzero(lengths_N > place)
        byte_n = bytes_M[bounds[row_n] + place].astype(np.uint64)
        hash_N[row_n] = (hash_N[row_n] ^ byte_n) * _FNV_PRIME
    return splitmix(hash_N)


def partition_of(ids: pa.Array | pa.ChunkedArray, parts: int) -> np.ndarray:
    """The partition (N, int32, 0 to parts - 1) of each user's id: a user never lies in two."""
    return (user_hash(ids) % np.uint64(parts)).astype(np.int32)


def whole_users(events: pa.Table, columns: Columns) -> pa.Table:
    """One row a user: the id, the items and the times as lists in order of time (and of the tie column, or the item).

    The same for the same events in whatever order they come; a reader of lists takes it as it takes the events.
    """
    keys = [columns.user, columns.time, columns.tie or columns.item]
    order = pc.sort_indices(events, sort_keys=[(name, "ascending") for name in keys if name])
    events = events.take(order).combine_chunks()
    users = events[columns.user]
    first_n = (
        np.flatnonzero(pc.not_equal(users[1:], users[:-1]).to_numpy()) + 1 if len(users) else np.empty(0, np.int64)
    )
    offsets = np.concatenate(([0], first_n, [len(users)] if len(users) else [])).astype(np.int64)
    lists = [name for name in (columns.item, columns.time) if name]
    rows = {columns.user: users.take(pa.array(offsets[:-1]))}
    return pa.table(rows | {name: pa.LargeListArray.from_arrays(offsets, _array(events[name])) for name in lists})


def _array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _is_events(path: Path, folder: Path) -> bool:
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    hidden = any(part[0] in "._" for part in path.relative_to(folder).parts)
    return ending.lower() in FORMATS and not hidden and path.is_file()
