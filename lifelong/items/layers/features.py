"""What a frozen backbone makes of each text or picture, on disk by the content's hash, shared by all data sets and tasks."""

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from lifelong.core.fingerprint import json_hash

KEY = 16
"""Bytes of a content's hash that tell it from others."""
SEGMENT_BYTES = 256 << 20
"""About so much is computed before it is put down, so that an interrupted run starts from there."""
ENDING = ".safetensors"
_DTYPES = {"U8": "u1", "I64": "<i8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class _Segment:
    """One file: of n contents their keys (sorted), where the rows of each end, and the rows (R, W)."""

    keys_n: np.ndarray
    starts_n: np.ndarray
    counts_n: np.ndarray
    values_RW: np.ndarray


class Features:
    """Rows of width W for contents known by their keys: of a text one a token, of a picture one.

    A folder of files, each named by the hash of what is in it and written in one move; a file that is damaged is thrown away,
    and what it held computed again. `identity` says what computed the rows: other values, other folder.
    """

    def __init__(self, cache: Path, identity: dict[str, object], width: int, dtype: str) -> None:
        """dtype: float32 or float16, of what lies on disk."""
        self.folder = cache / "items" / json_hash({**identity, "width": width, "dtype": dtype})[:32]
        self.width, self.dtype = width, np.dtype(dtype)
        self._segments: list[_Segment] = []
        self._segment_n = np.zeros(0, np.int32)
        self._start_n = np.zeros(0, np.int64)
        self.counts_n = np.zeros(0, np.int64)
        """Rows of each content that was asked for by `find`."""

    def find(self, keys_n: np.ndarray) -> np.ndarray:
        """Look for contents; indices of those that are not there (int64), to be added before `rows` is asked for them."""
        self._segments = [s for s in map(self._open, sorted(self.folder.glob(f"*{ENDING}"))) if s is not None]
        self._segment_n = np.full(len(keys_n), -1, np.int32)
        self._start_n, self.counts_n = np.zeros(len(keys_n), np.int64), np.zeros(len(keys_n), np.int64)
        for number, segment in enumerate(self._segments):
            place_n = np.searchsorted(segment.keys_n, keys_n).clip(max=len(segment.keys_n) - 1)
            here_n = segment.keys_n[place_n] == keys_n
            self._segment_n[here_n] = number
            self._start_n[here_n] = segment.starts_n[place_n[here_n]]
            self.counts_n[here_n] = segment.counts_n[place_n[here_n]]
        return np.flatnonzero(self._segment_n < 0)

    def rows(self, which_u: np.ndarray, length: int) -> np.ndarray:
        """The rows (u, length, W) float32 of contents that were found, by index into the keys; 0 behind the last one."""
        made_uLW = np.zeros((len(which_u), length, self.width), np.float32)
        for number in np.unique(self._segment_n[which_u]):
            here_u = np.flatnonzero(self._segment_n[which_u] == number)
            counts_h = self.counts_n[which_u[here_u]]
            user_R = np.repeat(here_u, counts_h)
            place_R = np.arange(len(user_R)) - np.repeat(counts_h.cumsum() - counts_h, counts_h)
            source_R = np.repeat(self._start_n[which_u[here_u]], counts_h) + place_R
            made_uLW[user_R, place_R] = self._segments[number].values_RW[source_R]
        return made_uLW

    def add(self, made: Iterator[tuple[np.ndarray, Sequence[np.ndarray]]]) -> None:
        """Put down what is made: keys (n,) and rows (R, W) of each, piece by piece."""
        keys: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        held = 0
        for keys_n, rows_n in made:
            keys.append(keys_n)
            rows.extend(np.asarray(r, self.dtype) for r in rows_n)
            held += sum(r.nbytes for r in rows[len(rows) - len(rows_n) :])
            if held >= SEGMENT_BYTES:
                self._write(np.concatenate(keys), rows)
                keys, rows, held = [], [], 0
        if keys:
            self._write(np.concatenate(keys), rows)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.folder.glob(f"*{ENDING}"))

    def _write(self, keys_n: np.ndarray, rows: list[np.ndarray]) -> None:
        order_n = np.argsort(keys_n)
        ordered = [rows[i].reshape(-1, self.width) for i in order_n]
        data = save(
            {
                "keys": keys_n[order_n].view(np.uint8).reshape(-1, KEY),
                "ends": np.cumsum([len(r) for r in ordered], dtype=np.int64),
                "values": np.concatenate(ordered),
            }
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, self.folder / f"{hashlib.sha256(data).hexdigest()[:32]}{ENDING}")

    def _open(self, path: Path) -> _Segment | None:
        """The file, mapped; None where it is damaged, and then it is gone."""
        with open(path, "rb") as file:
            sound = hashlib.file_digest(file, "sha256").hexdigest()[:32] == path.stem
        if not sound:
            path.unlink(missing_ok=True)
            return None
        keys_n8, ends_n, values_RW = _mapped(path)
        starts_n = np.concatenate([[0], ends_n[:-1]])
        return _Segment(_as_keys(keys_n8.tobytes()), starts_n, ends_n - starts_n, values_RW)


def content_keys(contents: Sequence[bytes]) -> np.ndarray:
    """The keys (n,) by which contents are known."""
    return _as_keys(b"".join(hashlib.blake2b(content, digest_size=KEY).digest() for content in contents))


def _as_keys(data: bytes) -> np.ndarray:
    return np.frombuffer(data, f"S{KEY}")  # text that is compared byte by byte; all are as long, so no zero is lost


def _mapped(path: Path) -> tuple[np.ndarray, ...]:
    """keys (n, 16) uint8, ends (n,) int64 and values (R, W) of a safetensors file, as they lie on disk."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return tuple(
        np.memmap(path, _DTYPES[h["dtype"]], "r", 8 + size + h["data_offsets"][0], tuple(h["shape"]))
        for h in (header[name] for name in ("keys", "ends", "values"))
    )
