"""What a file is known by: its SHA-256, or for a very large one its place, size and time of change."""

import functools
import hashlib
import time
from pathlib import Path
from typing import Any

from lifelong.core.errors import DataError

HASHED_BYTES = 256 << 20
"""Larger files are known by path, size and time of change."""
RACY_NS = 2 * 10**9
"""A file written to so short ago is hashed again: a second write within one tick of the clock changes no time (as in git)."""


def file_identity(path: str | Path) -> dict[str, Any]:
    """Plain JSON that changes when the file does. Raises DataError where it cannot be read."""
    path = Path(path)
    try:
        stat = path.stat()
        if stat.st_size > HASHED_BYTES:
            return {"path": str(path.resolve()), "bytes": stat.st_size, "changed": stat.st_mtime_ns}
        settled = time.time_ns() - stat.st_mtime_ns > RACY_NS
        digest = _sha256 if settled else _sha256.__wrapped__
        return {"bytes": stat.st_size, "sha256": digest(path.resolve(), stat.st_size, stat.st_mtime_ns)}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:  # size and time make a changed file another key
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
