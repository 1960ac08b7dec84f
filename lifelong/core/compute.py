"""Where and how numbers are computed while a task is trained: device, precision, compilation."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lifelong.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How to train. It never touches how a sealed task answers: that is float32 in one fixed shape."""

    device: str = "auto"
    """cpu, cuda, cuda:1, …; auto: the first GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto: bfloat16 on GPUs that have it. Weights, losses and the optimizer stay float32.

    On processors that have it (AVX-512) casts cost an encoder of width 64 more than the products gain: an epoch of SASRec takes
    1.23 times as long, one of GRU4Rec 1.04 times (benchmarks/configs, MovieLens-100k).
    """
    compile: bool = False
    """Let torch.compile fuse a step; pays on a GPU, in runs of some minutes."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under torchrun: every process holds all weights (ddp), or a part of each (fsdp)."""

    def place(self) -> torch.device:
        """The device. Raises UsageError where there is none of that name."""
        name = self.device
        if name == "auto":
            name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(name)
        except RuntimeError:
            raise UsageError(f"there is no device {name!r}; it is cpu, cuda, cuda:1, … or auto") from None
        if device == torch.device("cuda"):  # under torchrun each rank has its own
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if device.type not in ("cpu", "cuda"):
            raise UsageError(f"training on {name!r} is not supported; use cpu or cuda")
        if device.type == "cuda" and (
            not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()
        ):
            found = torch.cuda.device_count() if torch.cuda.is_available() else 0
            raise UsageError(f"device {name!r}: this process sees {found} GPUs; use --device cpu, or auto")
        return device

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """What a step's forward pass runs in."""
        return torch.autocast(device.type, torch.bfloat16) if self._in_bfloat16(device) else nullcontext()

    def compiled(self, module: nn.Module) -> Callable[..., Any]:
        """The module as it is called: fused where that is wanted. Batches differ in length and points, so shapes stay open."""
        return torch.compile(module, dynamic=True) if self.compile else module

    def identity(self) -> list[str]:
        """What of it decides the bits of a training, for the name of its resume file."""
        device = self.place()
        return [device.type, "bfloat16" if self._in_bfloat16(device) else "float32", str(self.compile)]

    def _in_bfloat16(self, device: torch.device) -> bool:
        if self.precision == "auto":
            return device.type == "cuda" and torch.cuda.is_bf16_supported()
        return self.precision == "bfloat16"
