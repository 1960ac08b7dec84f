"""SHA-256 of named tensors, and the record of the numeric stack on which bits are promised."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NUMERIC_VERSION = 1
"""Raised whenever a change of ours may change the bits of an output."""

KERNEL_SWITCHES = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that let the libraries take other kernels: with MKL_CBWR=COMPATIBLE half of all answers have other
bits. Named in the stack only where they are set."""


def tensor_bytes(tensor: Tensor) -> bytes:
    """The raw little-endian bytes of a tensor, NaN payloads and signed zeros included."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over name, dtype, shape and bytes of every tensor, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def json_hash(document: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a plain document. Raises ValueError for NaN or infinity."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def canonical_json(document: Any) -> bytes:
    """One spelling for equal documents: sorted keys, no spaces, no NaN, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def numeric_stack(device: str | torch.device = "cpu") -> dict[str, str]:
    """What decides the bits of a float32 result: device, instruction set, library versions, switches that choose kernels."""
    stack = {
        "numeric_version": str(NUMERIC_VERSION),
        "device": str(torch.device(device).type),
        "machine": platform.machine(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "mkl": _library_version("Math Kernel Library"),
        "onednn": _library_version("MKL-DNN"),
    }
    stack |= {name: os.environ[name] for name in KERNEL_SWITCHES if os.environ.get(name)}
    if stack["device"] == "cuda":
        stack |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }
    return stack


def changed_values(before: Tensor, after: Tensor) -> int:
    """How many values differ in at least one bit; every value of the larger counts where the shapes differ."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return max(before.numel(), after.numel())
    size = before.element_size()
    a, b = (t.detach().cpu().contiguous().view(-1).view(torch.uint8).view(-1, size) for t in (before, after))
    return int((a != b).any(dim=1).sum())


def _library_version(name: str) -> str:
    for line in torch.__config__.show().splitlines():
        if name in line:
            return line.strip(" -")[:120]
    return "absent"
