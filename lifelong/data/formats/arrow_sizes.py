"""How large the batches of an Arrow file get, told from their headers before anything is decompressed.

The file is ARROW1, two bytes, and a stream of messages: a marker, the header's length, the header (a flatbuffer), the body.
A compressed buffer begins with its size (Arrow columnar format, "Compressed buffer"). Arrow itself allocates what stands there.
"""

import struct
from pathlib import Path
from typing import IO

from lifelong.core.errors import DataError

ARROW_START = 8
"""Where the stream of messages begins."""
CONTINUES = 0xFFFFFFFF
DICTIONARY, BATCH = 2, 3
HEADER_BYTES = 16 << 20
"""Of one message's header, at most."""


def batch_sizes(path: Path) -> list[tuple[int, int]]:
    """Bytes (of its dictionaries, too) and rows of every batch. Raises DataError where the headers make no sense."""
    found: list[tuple[int, int]] = []
    waiting, end = 0, path.stat().st_size
    with open(path, "rb") as file:
        file.seek(ARROW_START)
        try:
            while (header := _next_header(file)) is not None:
                kind, table, length = _message(header)
                body = file.tell()
                if not 0 <= length <= end - body:
                    raise DataError(f"{path}: a message says {length} bytes, and the file has fewer")
                size, rows = _batch(header, table, file, body, end) if kind in (DICTIONARY, BATCH) else (0, 0)
                waiting += size
                if kind == BATCH:
                    found.append((waiting, rows))
                    waiting = 0
                file.seek(body + length)
        except struct.error:
            raise DataError(f"{path}: is no whole Arrow file: a header points outside itself") from None
    return found


def _next_header(file: IO[bytes]) -> bytes | None:
    """The next message's flatbuffer, None at the end of the stream."""
    start = file.read(8)
    if len(start) < 8:
        return None
    marker, length = struct.unpack("<II", start)
    if marker != CONTINUES:  # as Arrow wrote it before 0.15: no marker
        length = marker
        file.seek(-4, 1)
    if length == 0:
        return None
    if length > HEADER_BYTES:
        raise struct.error
    return file.read(length)


def _message(header: bytes) -> tuple[int, int, int]:
    """Kind of a message, where the batch's table is, and the length of the body."""
    root = _there(header, 0)
    kind_at, table_at, length_at = (_field(header, root, number) for number in (1, 2, 3))
    if not table_at:
        return 0, 0, 0
    kind = header[kind_at] if kind_at else 0
    table = _there(header, table_at)
    if kind == DICTIONARY:
        inner = _field(header, table, 1)
        table = _there(header, inner) if inner else table
    return kind, table, _number(header, length_at) if length_at else 0


def _batch(header: bytes, table: int, file: IO[bytes], body: int, end: int) -> tuple[int, int]:
    """Bytes that the buffers of a batch have when they are decompressed, and its rows."""
    rows_at, buffers_at, compressed = (_field(header, table, number) for number in (0, 2, 3))
    rows = _number(header, rows_at) if rows_at else 0
    if rows < 0 or not buffers_at:
        return 0, max(rows, 0)
    vector, size = _there(header, buffers_at), 0
    (count,) = struct.unpack_from("<I", header, vector)
    for number in range(count):
        offset, length = struct.unpack_from("<qq", header, vector + 4 + 16 * number)
        if not 0 <= offset <= offset + length <= end - body:
            raise struct.error
        size += _decompressed(file, body + offset, length) if compressed and length else length
    return size, rows


def _decompressed(file: IO[bytes], at: int, length: int) -> int:
    file.seek(at)
    (size,) = struct.unpack("<q", file.read(8))
    if size < -1:
        raise struct.error
    return length if size == -1 else int(size)


def _field(header: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table lies, 0 where it is left out."""
    (back,) = struct.unpack_from("<i", header, table)
    (size,) = struct.unpack_from("<H", header, _inside(table - back))
    place = 4 + 2 * number
    if place + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", header, table - back + place)
    return table + offset if offset else 0


def _there(header: bytes, at: int) -> int:
    """Where an offset points that lies at `at`."""
    (offset,) = struct.unpack_from("<I", header, at)
    return _inside(at + offset)


def _number(header: bytes, at: int) -> int:
    (found,) = struct.unpack_from("<q", header, at)
    return int(found)


def _inside(at: int) -> int:
    if at < 0:
        raise struct.error  # struct itself would count from the end
    return at
