"""Rows of events in memory, and in files beyond what memory they may take."""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

import numpy as np

from lifelong.core.errors import DataError

SLICE = 1 << 22
"""Numbers copied at a time from file to file."""


@dataclass(frozen=True)
class Rows:
    """N events: user, item int32 codes or places; time int64 unix seconds; tie uint64, None where all are 0; channel int8."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    tie: np.ndarray | None = None
    channel: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)

    def where(self, picked: np.ndarray | slice) -> "Rows":
        """The rows that a bool mask, an index array or a slice picks."""
        return Rows(*(None if column is None else column[picked] for column in self.columns()))  # type: ignore[arg-type]

    def columns(self) -> list[np.ndarray | None]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in self.columns() if column is not None)


TYPES = (np.int32, np.int32, np.int64, np.uint64, np.int8)
"""Of the columns of Rows."""


class Room:
    """How many bytes of events may lie in memory, and the folder for all others; without a folder all lie in memory."""

    def __init__(self, folder: Path | None = None, memory: int = 0) -> None:
        self.folder, self.memory, self.held, self._files = folder, memory, 0, 0

    def is_full(self) -> bool:
        """Whether what is added next belongs on disk."""
        return self.folder is not None and self.held > self.memory

    def file(self) -> IO[bytes]:
        """An empty file of the folder."""
        self._files += 1
        assert self.folder is not None, "a room without a folder is never full"
        return open(self.folder / f"spill-{self._files}", "w+b")

    def write(self, file: IO[bytes], array: np.ndarray) -> None:
        """Append to a file. Raises DataError where the disk is full."""
        try:
            file.write(_bytes(np.ascontiguousarray(array)))
        except OSError as error:
            raise DataError(f"{file.name}: cannot be written: {error.strerror}; set LIFELONG_CACHE") from error


@dataclass(frozen=True)
class _Lying:
    """Some rows in a file: where they begin, how many, and which columns they have, one behind the other."""

    start: int
    rows: int
    present: tuple[bool, ...]


class Shelf:
    """Rows put in numbered boxes, piece by piece; a box gives them back in the order in which they came."""

    def __init__(self, room: Room, boxes: int = 1) -> None:
        self._room, self._pieces = room, [[] for _ in range(boxes)]  # type: tuple[Room, list[list[Rows | _Lying]]]
        self._file: IO[bytes] | None = None
        self._end = 0

    def put(self, rows: Rows, box: int = 0) -> None:
        """Add rows to a box."""
        if self._file is None and self._room.is_full():
            self._move_out()
        self._room.held += rows.nbytes if self._file is None else 0
        self._pieces[box].append(rows if self._file is None else self._written(rows))

    def box(self, number: int, empty: bool = False) -> Rows:
        """All rows of a box; `empty` takes them out."""
        pieces = self._pieces[number]
        if len(pieces) == 1 and isinstance(pieces[0], Rows):
            joined = pieces[0]
        else:
            joined = _empty(_present(pieces), sum(_length(piece) for piece in pieces))
            start = 0
            for piece in pieces:
                self._copy(piece, joined, start)
                start += _length(piece)
        if empty:
            self._forget(number)
        return joined

    def pieces(self) -> Iterator[Rows]:
        """The rows of the first box as they came, each taken out."""
        while self._pieces[0]:
            piece = self._pieces[0].pop(0)
            if isinstance(piece, Rows):
                self._room.held -= piece.nbytes
                yield piece
            else:
                rows = _empty(piece.present, piece.rows)
                self._copy(piece, rows, 0)
                yield rows

    def close(self) -> None:
        """Give memory and disk back."""
        for number in range(len(self._pieces)):
            self._forget(number)
        if self._file is not None:
            self._file.close()
            os.unlink(self._file.name)
            self._file = None

    def _forget(self, number: int) -> None:
        self._room.held -= sum(piece.nbytes for piece in self._pieces[number] if isinstance(piece, Rows))
        self._pieces[number] = []

    def _move_out(self) -> None:
        self._file = self._room.file()
        for pieces in self._pieces:
            for place, piece in enumerate(pieces):
                if isinstance(piece, Rows):
                    self._room.held -= piece.nbytes
                    pieces[place] = self._written(piece)

    def _written(self, rows: Rows) -> _Lying:
        assert self._file is not None, "rows are written to an open file"
        start = self._end
        for column in rows.columns():
            if column is not None:
                self._room.write(self._file, column)
        self._end += rows.nbytes
        return _Lying(start, len(rows), tuple(column is not None for column in rows.columns()))

    def _copy(self, piece: "Rows | _Lying", into: Rows, at: int) -> None:
        if isinstance(piece, Rows):
            for column, target in zip(piece.columns(), into.columns(), strict=True):
                if column is not None and target is not None:
                    target[at : at + len(piece)] = column
            return
        assert self._file is not None, "rows that lie in a file have one"
        self._file.seek(piece.start)
        for there, target in zip(piece.present, into.columns(), strict=True):
            if there and target is not None:
                self._file.readinto(_bytes(target[at : at + piece.rows]))  # type: ignore[attr-defined]
        self._file.seek(0, os.SEEK_END)


class Column:
    """One growing array of numbers."""

    def __init__(self, room: Room, kind: type) -> None:
        self._room, self._kind = room, kind
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None

    def append(self, array: np.ndarray) -> None:
        """Add numbers at the end."""
        array = array.astype(self._kind, copy=False)
        if self._file is None and self._room.is_full():
            self._file = self._room.file()
            for part in self._parts:
                self._room.held -= part.nbytes
                self._room.write(self._file, part)
            self._parts = []
        if self._file is None:
            self._room.held += array.nbytes
            self._parts.append(array)
        else:
            self._room.write(self._file, array)

    def whole(self, renamed: np.ndarray | None = None) -> np.ndarray:
        """All of it, each number n as renamed[n] where that is given; memory-mapped where it lies in a file."""
        if self._file is None:
            joined = np.concatenate(self._parts) if self._parts else np.empty(0, self._kind)
            self._parts = []
            return joined if renamed is None else renamed[joined]
        if renamed is not None:
            self._rename(renamed)
        self._file.flush()
        with self._file as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), self._kind)

    def _rename(self, renamed: np.ndarray) -> None:
        assert self._file is not None, "what lies in memory is renamed there"
        self._file.seek(0)
        with self._file as old:
            self._file = self._room.file()
            while data := old.read(SLICE * np.dtype(self._kind).itemsize):
                self._room.write(self._file, renamed[np.frombuffer(data, self._kind)])
        os.unlink(old.name)


def release(array: np.ndarray) -> None:
    """Let the system take back the pages of a memory-mapped array; they are read again when they are needed."""
    base = array.base
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _bytes(array: np.ndarray) -> memoryview:
    """What lies in an array, without a copy."""
    return array.view(np.uint8).data


def _length(piece: "Rows | _Lying") -> int:
    return len(piece) if isinstance(piece, Rows) else piece.rows


def _present(pieces: "list[Rows | _Lying]") -> tuple[bool, ...]:
    """Which columns some piece has; where one lacks a column that others have, its numbers are 0."""
    found = [[c is not None for c in p.columns()] if isinstance(p, Rows) else p.present for p in pieces]
    return tuple(any(there) for there in zip(*found, strict=True)) if found else (True, True, True, False, False)


def _empty(present: tuple[bool, ...], rows: int) -> Rows:
    return Rows(*(np.zeros(rows, kind) if there else None for kind, there in zip(TYPES, present, strict=True)))  # type: ignore[arg-type]
