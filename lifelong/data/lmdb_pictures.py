"""Pictures out of an LMDB file as Westlake's repositories write it, as PNG files; nothing in the file is ever run.

Each value there is a Python object written by a serialiser that can run code when it is read. Here it is not given to that
serialiser: `stored_picture` reads the few operations that such an object needs, and refuses every other. No class is looked up.
"""

import importlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.core.errors import DataError
from lifelong.data.picture_object import stored_picture

INTERNAL = (b"__keys__", b"__len__")
SIDE = 224
"""Height and width of MicroLens's pictures, whose objects do not say it."""
LONGEST_KEY = 200


def unpack(path: str | Path, folder: str | Path) -> dict[str, int]:
    """Write every picture of an LMDB file (or folder) as `folder/<key>.png`; returns how many were written and left out.

    The files are what a data set's option `pictures` reads. Raises DataError where lmdb is not installed, the file cannot be
    opened, a key cannot be a file's name, or a value is no picture.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"written": 0, "left out (keys of the database itself)": 0}
    for key, value in _entries(Path(path)):
        if key in INTERNAL:
            counts["left out (keys of the database itself)"] += 1
            continue
        name = _file_name(key, path)
        (folder / f"{name}.png").write_bytes(png(picture_of(value, f"{path}: key {name!r}")))
        counts["written"] += 1
    return counts


def picture_of(value: bytes, where: str) -> np.ndarray:
    """uint8 (H, W, C) of a stored object.

    Two forms are known: raw uint8 with its size and channels, and float32 (3, 224, 224) normalised with mean and deviation
    one half, which MicroLens has. Raises DataError for any other.
    """
    stored = stored_picture(value, where)
    raw = len(stored.image)
    if stored.size is not None and stored.channels is not None:
        height, width = stored.size
        if min(height, width) < 1 or stored.channels not in (1, 3, 4) or raw != height * width * stored.channels:
            raise DataError(
                f"{where}: {raw} bytes are no picture of {height} x {width} with {stored.channels} channels"
            )
        return np.frombuffer(stored.image, np.uint8).reshape(height, width, stored.channels)
    if raw != 4 * 3 * SIDE * SIDE:
        raise DataError(f"{where}: {raw} bytes without a size are no picture of {SIDE} x {SIDE}")
    values_CHW = np.frombuffer(stored.image, "<f4").reshape(3, SIDE, SIDE)
    if not np.isfinite(values_CHW).all():
        raise DataError(f"{where}: not all of its numbers are finite")
    return np.rint((values_CHW * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def png(picture_HWC: np.ndarray) -> bytes:
    """A PNG file of uint8 (H, W, C) with 1 (grey), 3 (RGB) or 4 (RGBA) channels; nothing is lost."""
    height, width, channels = picture_HWC.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # the first byte of a row: unfiltered
    rows[:, 1:] = picture_HWC.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _entries(path: Path) -> Iterator[tuple[bytes, bytes]]:
    if not path.exists():
        raise DataError(f"{path}: is not there")
    try:
        lmdb: Any = importlib.import_module("lmdb")
    except ImportError:
        raise DataError(f"{path}: reading LMDB needs a package; run pip install 'lifelong[lmdb]'") from None
    try:
        with (
            lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False) as database,
            database.begin() as reading,
        ):
            yield from reading.cursor()
    except lmdb.Error as error:
        raise DataError(f"{path}: cannot be read as LMDB: {error}") from None


def _file_name(key: bytes, path: str | Path) -> str:
    name = key.decode("ascii", "replace")
    if not name or len(name) > LONGEST_KEY or not all(c.isalnum() or c in "-_" for c in name) or not name.isascii():
        raise DataError(f"{path}: the key {name!r:.60} is no item's id of letters, digits, - and _")
    return name
