"""Reading the state of an unfinished training back: nothing is taken in that is not of this very training."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lifelong.core.errors import ModelCorrupt
from lifelong.store.files import Files, read_plain
from lifelong.store.tensors import read_metadata, unpack

NUMBERS = {"epoch": int, "since_best": int, "steps": int, "best_valid": float, "seconds": float, "lr": float}
"""What is kept beside the tensors, and the curve."""


class Trained(Protocol):
    """What a state is read for, and what it is put into; see resume.State."""

    tensors: dict[str, Tensor]
    means: dict[str, Tensor]
    epoch: int
    since_best: int
    best_valid: float
    seconds: float
    steps: int
    curve: list[tuple[int, float | None, float, float]]


@dataclass(frozen=True)
class Kept:
    """A state as it was read, checked against the training that it is for."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]

    def into(self, state: Trained) -> None:
        """Take the numbers up."""
        numbers = self.numbers
        state.epoch, state.since_best, state.best_valid = numbers["epoch"], numbers["since_best"], numbers["best_valid"]
        state.seconds, state.steps = numbers["seconds"], numbers["steps"]
        state.curve = [tuple(point) for point in numbers["curve"]]


def read_state(path: Path, state: Trained) -> Kept:
    """What lies at `path`, if it can be of the training that `state` is of. Raises ModelCorrupt naming file and way out."""
    try:
        data = read_plain(Files(), path)
        tensors, numbers = unpack(data, str(path)), _numbers(data, path)
        _check_fits(tensors, state, path)
    except ModelCorrupt as error:
        raise ModelCorrupt(f"{error}; delete it, and the training starts over") from None
    return Kept(tensors, numbers)


def how_far(path: Path) -> dict[str, Any]:
    """The numbers of a kept state. Raises ModelCorrupt."""
    return _numbers(read_plain(Files(), path), path)


def _check_fits(tensors: Mapping[str, Tensor], state: Trained, path: Path) -> None:
    """Raises ModelCorrupt unless there is what resume.py writes: of each tensor the optimizer knows all or nothing."""
    wanted = {f"{kind}/{n}": v for n, v in state.tensors.items() for kind in ("now", "best")}
    wanted |= {f"mean/{n}": v for n, v in state.means.items()}
    for name, value in state.tensors.items():
        if f"optimizer/step/{name}" in tensors:
            wanted |= {f"optimizer/{key}/{name}": value for key in ("exp_avg", "exp_avg_sq")}
    steps = {n for n in tensors if n.startswith("optimizer/step/") and n.split("/", 2)[2] in state.tensors}
    if odd := sorted(tensors.keys() ^ (wanted.keys() | steps)):
        raise ModelCorrupt(f"{path}: tensors missing, or not of this training: {odd!r:.120}")
    for name, tensor in tensors.items():
        if name in steps:
            fits = tensor.dim() == 0 and tensor.dtype in (torch.float32, torch.int64)
        else:
            fits = tensor.shape == wanted[name].shape and tensor.dtype == wanted[name].dtype
        if not fits:
            raise ModelCorrupt(f"{path}: {name!r} is {tensor.dtype} {tuple(tensor.shape)}, which does not fit")


def _numbers(data: bytes, path: Path) -> dict[str, Any]:
    try:
        numbers = json.loads(read_metadata(data, str(path)).get("numbers", ""))
    except (ValueError, RecursionError):
        numbers = None
    if not isinstance(numbers, dict) or numbers.keys() != NUMBERS.keys() | {"curve"}:
        raise ModelCorrupt(f"{path}: does not say how far the training is")
    points = numbers["curve"]
    whole = all(
        type(numbers[key]) is kind and not numbers[key] < 0 for key, kind in NUMBERS.items() if key != "best_valid"
    )
    if not whole or not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 4 for p in points):
        raise ModelCorrupt(f"{path}: does not say how far the training is")
    return numbers
