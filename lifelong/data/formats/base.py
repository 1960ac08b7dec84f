"""What every format gives: blocks of raw columns with the number of each row, and the rows that are none."""

import codecs
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from lifelong.core.errors import DataError

BLOCK_BYTES = 16 << 20
"""Bytes of text read at a time; also the most that one row may have."""
BLOCK_ROWS = 1 << 18
MAX_COLUMNS = 10_000
FREE_BYTES, MAX_RATIO = 64 << 20, 200
"""A compressed file may grow to so many bytes, or else to so many times what was read of it. Events that differ from each
other grow 3 to 30 times; a file made to fill the memory grows a thousand times and more."""
SHORT_LINES = 1 << 20
"""So many lines that are empty or almost, one after the other, are refused: each costs a hundred times its size in memory."""
BLANK = "blank line"
MARK = "\x1a"
"""ASCII's SUB, in the place of a byte that is not UTF-8."""
codecs.register_error("lifelong.mark", lambda error: (MARK, error.start + 1))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that is no row: its number in the file (1-based), the reason, and what is there.

    It may stand for all rows of a block that are bad for this reason: how many, and the last of them. A file of a hundred
    million empty lines must not become as many objects.
    """

    row: int
    reason: str
    shown: str = ""
    rows: int = 1
    last: int = 0

    @property
    def end(self) -> int:
        """The number of the last row that it stands for."""
        return max(self.row, self.last)


@dataclass(frozen=True)
class Block:
    """N rows: role -> raw column (N), and rows_N, int64, the number of each in the file (1-based, a header counted)."""

    columns: dict[str, pa.Array]
    rows_N: np.ndarray
    bad: tuple[Bad, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A file or frame of which the columns are known: blocks(role -> column name) reads it."""

    label: str
    format: str
    names: list[str]
    blocks: Callable[[dict[str, str]], Iterator[Block]]
    delimiter: str | None = None


def alike(rows_n: np.ndarray, reason: str, shown: str = "") -> tuple[Bad, ...]:
    """One Bad for all rows that are bad for one reason, `shown` what is in the first; none where there are none."""
    if not len(rows_n):
        return ()
    return (Bad(int(rows_n[0]), reason, shown, len(rows_n), int(rows_n[-1])),)


def counted(bad: Iterable[Bad]) -> Counter[str]:
    """Reason -> rows."""
    found: Counter[str] = Counter()
    for one in bad:
        found[one.reason] += one.rows
    return found


class Stream(io.RawIOBase):
    """The bytes of a text file, decompressed; with `marked`, a MARK for each that is not UTF-8.

    Raises DataError at a NUL byte and where a file expands without end.
    """

    def __init__(self, path: Path, marked: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("lifelong.mark") if marked else None
        self._path, self._bytes, self._lines, self._last = path, 0, 0, b""
        self._raw: IO[bytes] = open(path, "rb")  # noqa: SIM115
        self._compressed = path.suffix == ".gz"
        file: Any = gzip.GzipFile(fileobj=self._raw) if self._compressed else self._raw
        self._file: IO[bytes] = file

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        wanted = max(size - 4, 1)  # a character begun before and a line end are added
        data = self._file.read(wanted)
        if len(data) < wanted and (data[-1:] or self._last) not in (b"", b"\n"):
            data += b"\n"  # the last line, too, has an end
        self._last = data[-1:] or self._last
        nul = data.find(b"\0")
        if nul >= 0:
            line = self._lines + data.count(b"\n", 0, nul) + 1
            raise DataError(f"{self._path}: line {line}: a NUL byte; is this a text file in UTF-8?")
        lines = data.count(b"\n")
        if lines > max(SHORT_LINES, len(data) // 3):
            raise DataError(
                f"{self._path}: more than a third of the bytes from line {self._lines + 1} on are line ends; is this the file "
                "that is meant?"
            )
        self._bytes += len(data)
        self._lines += lines
        if self._compressed and self._bytes > FREE_BYTES:
            self._check_growth()
        return data if self._decoder is None else self._marked(data, self._decoder, size)

    def _check_growth(self) -> None:
        """Raises DataError where what was read so far is far larger than what it was made of."""
        limit = max(FREE_BYTES, MAX_RATIO * self._raw.tell())
        if self._bytes > limit:
            raise DataError(f"{self._path}: grows beyond {limit} bytes when decompressed; unpack it if that is meant")

    def _marked(self, data: bytes, decoder: codecs.IncrementalDecoder, size: int) -> bytes:
        """The same in valid UTF-8: Arrow's reader of CSV cannot show a row of the wrong width otherwise."""
        if data.isascii() and data and not decoder.getstate()[0]:
            return data
        text = decoder.decode(data, final=not data)
        return text.encode() if text or not data else self.read(size)  # nothing would be the end of the file

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()
        super().close()


@contextmanager
def explained(path: Path | str, format: str) -> Iterator[None]:
    """Turns what the readers raise at a file that is not what it should be into one DataError that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is no whole gzip file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or _first_line(error)}") from None
    except (pa.ArrowException, UnicodeDecodeError, OverflowError) as error:
        if "straddl" in str(error):
            raise DataError(f"{path}: a row is longer than {BLOCK_BYTES:,} bytes; is a quote not closed?") from None
        raise DataError(f"{path}: cannot be read as {format}: {_first_line(error)}") from None


def stat_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def unchanged(path: Path, before: tuple[int, ...], blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks. Raises DataError at their end, or in the place of another one, where the file is not what it was."""
    try:
        yield from blocks
    except DataError:
        _check_unchanged(path, before)
        raise
    _check_unchanged(path, before)


def _check_unchanged(path: Path, before: tuple[int, ...]) -> None:
    with explained(path, "file"):
        after = stat_of(path)
    if after != before:
        raise DataError(f"{path}: changed while it was read; try again when nothing writes to it") from None


def pieces(path: Path, format: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """A text file in pieces of whole lines, without BOM; about `size` bytes each. Raises DataError for a longer line."""
    with explained(path, format), Stream(path) as stream:
        rest = stream.read(size).removeprefix(codecs.BOM_UTF8)
        while data := stream.read(size):
            whole, newline, tail = (rest + data).rpartition(b"\n")
            if newline:
                yield whole + newline
            rest = tail
            if len(rest) > BLOCK_BYTES:
                raise DataError(f"{path}: a line is longer than {BLOCK_BYTES} bytes")
    if rest:
        yield rest


def first_line(path: Path, format: str) -> str:
    """The first line of a text file without BOM and line end. Raises DataError where it is empty or no UTF-8."""
    with explained(path, format), Stream(path) as stream:
        start = stream.read(1 << 20)
        while b"\n" not in start and b"\r" not in start and (more := stream.read(1 << 20)):
            start += more
            if len(start) > BLOCK_BYTES:
                raise DataError(f"{path}: line 1: is longer than {BLOCK_BYTES:,} bytes; is this a text file?")
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{path}: is empty")
    line = start.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(b"\n")[0]
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise DataError(f"{path}: line 1: is not UTF-8; save the file as UTF-8") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
