"""Tensors from torch's own checkpoint files, .pth and .pt, whose pickles are read as plain data and never run."""

import io
import math
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lifelong.core.errors import DataError
from lifelong.core.inert import Maker, Name, read_pickle

MAX_BYTES = 64 << 30
"""A larger checkpoint is not read."""
MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the older form holds this number."""
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""Kind of storage -> what its numbers are."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name, on the CPU; `state_dict` or `model` around it is taken off.

    Raises DataError where the file is no such checkpoint, is damaged, or holds anything but plain data.
    """
    what = str(path)
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise DataError(f"{what}: larger than {MAX_BYTES >> 30} GB; not read")
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{what}: cannot be read: {error.strerror}") from None
    value = _read_zip(data, what) if data[:2] == b"PK" else _read_old(data, what)
    while isinstance(value, dict) and not any(isinstance(v, _View) for v in value.values()):
        value = next((value[name] for name in ("state_dict", "model", "module") if name in value), None)
    if not isinstance(value, dict):
        raise DataError(f"{what}: holds no tensors by name")
    return {str(name): v.tensor(what) for name, v in value.items() if isinstance(v, _View)}


@dataclass
class _Storage:
    """Numbers in a row; of the older form they come after the pickle that speaks of them."""

    dtype: torch.dtype
    count: int
    data: bytes | memoryview = b""

    def numbers(self, what: str) -> Tensor:
        """All numbers (count,)."""
        if len(self.data) != self.count * self.dtype.itemsize:
            raise DataError(f"{what}: a tensor's data have {len(self.data)} bytes; the file is cut off or damaged")
        if not self.count:
            return torch.empty(0, dtype=self.dtype)
        return torch.frombuffer(bytearray(self.data), dtype=self.dtype)


@dataclass(frozen=True)
class _View:
    """A tensor as a part of a storage."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self, what: str) -> Tensor:
        """Its values, in memory of their own."""
        numbers = (self.offset, *self.size, *self.stride)
        if len(self.size) != len(self.stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise DataError(f"{what}: a tensor of size {self.size} and stride {self.stride}")
        ends = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True)) + 1
        if math.prod(list(self.size)) > self.storage.count or (0 not in self.size and ends > self.storage.count):
            raise DataError(f"{what}: a tensor reaches beyond its data")
        return self.storage.numbers(what).as_strided(self.size, self.stride, self.offset).clone()


@dataclass
class _Storages:
    """The storages that a pickle speaks of, by their key."""

    what: str
    fetch: Callable[[str], bytes] | None
    of_key: dict[str, _Storage] = field(default_factory=dict)

    def __call__(self, asked: Any) -> _Storage:
        """The storage of a persistent id ("storage", kind, key, place, count[, view])."""
        if (
            not isinstance(asked, tuple)
            or len(asked) not in (5, 6)
            or asked[0] != "storage"
            or asked[5:] not in ((), (None,))
        ):
            raise DataError(f"{self.what}: refers to {asked!r:.60}, which is no storage of numbers")
        dtype, key, count = asked[1], str(asked[2]), asked[4]
        dtype = getattr(dtype, "make", lambda: None)()
        if not isinstance(dtype, torch.dtype) or not isinstance(count, int) or count < 0:
            raise DataError(f"{self.what}: a storage of {count!r:.20} numbers of an unknown kind")
        if key not in self.of_key:
            self.of_key[key] = _Storage(dtype, count, self.fetch(key) if self.fetch else b"")
        return self.of_key[key]


def _view(storage: Any, offset: Any, size: Any, stride: Any, *more: Any) -> _View:
    if not isinstance(storage, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor of something else than a storage")
    return _View(storage, offset, size, stride)


def _kind(dtype: torch.dtype) -> Maker:
    return lambda: dtype


_ALLOWED: dict[Name, Maker] = {
    ("collections", "OrderedDict"): lambda *items: OrderedDict(*items),
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch._utils", "_rebuild_parameter"): lambda view, *more: view,
    **{("torch", name): _kind(dtype) for name, dtype in STORAGES.items()},
}


def _read_zip(data: bytes, what: str) -> Any:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"{what}: a damaged checkpoint: {error}") from None
    home = next((name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl")), None)
    if home is None:
        raise DataError(f"{what}: a zip file without data.pkl is no checkpoint of torch")

    def entry(name: str) -> bytes:
        found = entries.get(home + name)
        if found is None or found.compress_type != zipfile.ZIP_STORED or found.file_size > len(data):
            raise DataError(f"{what}: {name} is missing, or packed as torch never packs it")
        try:
            return archive.read(found)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, RuntimeError) as error:
            raise DataError(f"{what}: {name} is damaged: {error}") from None

    if home + "byteorder" in entries and entry("byteorder") != b"little":
        raise DataError(f"{what}: written on a machine of another byte order")
    storages = _Storages(what, lambda key: entry(f"data/{key}"))
    return read_pickle(entry("data.pkl"), _ALLOWED, what, storages)[0]


def _read_old(data: bytes, what: str) -> Any:
    """Five pickles (magic number, version, system, value, keys) and then each storage: its count, its numbers."""
    storages, place, values = _Storages(what, None), 0, []
    for _ in range(5):
        value, taken = read_pickle(data[place : _end(data, place, what)], _ALLOWED, what, storages)
        place += taken
        values.append(value)
    magic, _, system, value, keys = values
    if magic != MAGIC or not isinstance(keys, list) or not (isinstance(system, dict) and system.get("little_endian")):
        raise DataError(f"{what}: is no checkpoint of torch")
    for key in keys:
        storage = storages.of_key.get(str(key))
        if storage is None or place + 8 > len(data) or struct.unpack_from("<q", data, place)[0] != storage.count:
            raise DataError(f"{what}: the data of storage {key!r:.20} are not where they should be")
        end = place + 8 + storage.count * storage.dtype.itemsize
        storage.data = memoryview(data)[place + 8 : end]
        place = end
    return value


def _end(data: bytes, place: int, what: str) -> int:
    """Where the pickle that begins here ends."""
    window = io.BytesIO(data)
    window.seek(place)
    try:
        for _ in pickletools.genops(window):
            pass
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{what}: is no checkpoint of torch: {error}") from None
    return window.tell()
