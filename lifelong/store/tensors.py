"""Named tensors as bytes and back: safetensors with a checksum, and nothing is taken in unchecked.

safetensors itself checks neither values nor duplicate names: of 5 000 flipped bits it loads 4 981 without a word.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lifelong.core.errors import LifelongError, ModelCorrupt, UsageError
from lifelong.core.fingerprint import canonical_json

CHECKSUM = "sha256"
"""Metadata key: SHA-256 over the header without this entry, and the values."""
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_ENTRY = {"dtype", "shape", "data_offsets"}
MAX_HEADER_BYTES = 100_000_000
Expected = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, allow_nonfinite: bool = False) -> bytes:
    """Tensors and metadata as the bytes of a safetensors file; equal contents give equal bytes.

    Raises LifelongError naming a tensor that holds NaN or infinity, UsageError for a dtype that a model never stores.
    """
    ready = _ready(tensors)
    for name, tensor in ready.items():
        if tensor.dtype not in DTYPES.values():
            raise UsageError(f"tensor {name!r} is {tensor.dtype}; there is: {', '.join(map(str, DTYPES.values()))}")
        if not allow_nonfinite and not _finite(tensor):
            raise LifelongError(f"tensor {name!r} holds NaN or infinity, which no model stores; nothing was written")
    if "__metadata__" in ready:
        raise UsageError("a tensor cannot be called '__metadata__'; give it another name")
    if CHECKSUM in metadata or not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise UsageError(f"metadata are texts under texts other than {CHECKSUM!r}, found {dict(metadata)!r:.80}")
    header, values = _split(save(ready), "pack")
    header.pop("__metadata__", None)
    header["__metadata__"] = dict(metadata)
    header["__metadata__"][CHECKSUM] = _checksum(header, values)
    return b"".join((_header_bytes(header), values))


def unpack(
    data: bytes, where: str, *, expect: Expected | None = None, allow_nonfinite: bool = False
) -> dict[str, Tensor]:
    """The tensors in bytes that `pack` made, in memory of their own; `where` is what an error message calls them.

    `expect` is the exact set of names with dtype and shape. Raises ModelCorrupt for any change of any byte, for NaN or
    infinity unless allowed, and for anything that is not as expected.
    """
    _checked_header(data, where)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise ModelCorrupt(f"{where}: is no safetensors file: {error}") from None
    for name, tensor in tensors.items():
        if not allow_nonfinite and not _finite(tensor):
            raise ModelCorrupt(f"{where}: tensor {name!r} holds NaN or infinity")
    if expect is not None:
        _check_expected(tensors, expect, where)
    return tensors


def read_metadata(data: bytes, where: str) -> dict[str, str]:
    """The metadata given to `pack`. Raises ModelCorrupt for any change of any byte."""
    metadata = dict(_checked_header(data, where)["__metadata__"])
    del metadata[CHECKSUM]
    return metadata


def _ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor by itself, on the CPU and contiguous: safetensors refuses two that share memory."""
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        ready[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return ready


def _checked_header(data: bytes, where: str) -> dict[str, Any]:
    header, values = _split(data, where)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if not isinstance(entry, dict) or entry.keys() != _ENTRY or entry["dtype"] not in DTYPES:
            raise ModelCorrupt(f"{where}: tensor {name!r} is not of a dtype of {', '.join(DTYPES)}, or not described")
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(CHECKSUM), str):
        raise ModelCorrupt(f"{where}: has no checksum, so lifelong did not write it")
    found = _checksum(header, values)
    if metadata[CHECKSUM] != found:
        raise ModelCorrupt(f"{where}: expected sha256 {metadata[CHECKSUM]!r:.70}, found {found}")
    if not data.startswith(_header_bytes(header)):
        raise ModelCorrupt(f"{where}: its header is not as lifelong writes it")
    return header


def _split(data: bytes, where: str) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER_BYTES):
        raise ModelCorrupt(f"{where}: is no safetensors file, or cut short: {len(data)} bytes, a header of {length}")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelCorrupt(f"{where}: its header cannot be read: {error}") from None
    if not isinstance(header, dict):
        raise ModelCorrupt(f"{where}: its header is no mapping")
    return header, memoryview(data)[8 + length :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name stands twice")
    return mapping


def _checksum(header: Mapping[str, Any], values: memoryview) -> str:
    metadata = {key: text for key, text in header["__metadata__"].items() if key != CHECKSUM}
    try:
        digest = hashlib.sha256(canonical_json({**header, "__metadata__": metadata}))
    except ValueError:
        return "none: the header holds NaN or infinity"
    digest.update(values)
    return digest.hexdigest()


def _header_bytes(header: Mapping[str, Any]) -> bytes:
    text = canonical_json(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _check_expected(tensors: Mapping[str, Tensor], expect: Expected, where: str) -> None:
    if tensors.keys() != expect.keys():
        missing, strange = sorted(expect.keys() - tensors.keys()), sorted(tensors.keys() - expect.keys())
        raise ModelCorrupt(f"{where}: tensors missing: {missing!r:.80}, not expected: {strange!r:.80}")
    for name, (dtype, shape) in expect.items():
        found = tensors[name]
        if found.dtype != dtype or tuple(found.shape) != tuple(shape):
            is_, should = f"{found.dtype} {tuple(found.shape)}", f"{dtype} {tuple(shape)}"
            raise ModelCorrupt(f"{where}: tensor {name!r} is {is_}, expected {should}")
