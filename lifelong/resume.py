"""The state of an unfinished training, saved after an epoch, so that a killed run goes on to the same bits."""

import json
import os
import time
from pathlib import Path

import torch
from torch import Tensor

from lifelong.core.errors import ModelCorrupt
from lifelong.store.tensors import pack, unpack
from lifelong.task import Fit

SECONDS_BETWEEN_SAVES = 20.0


class State:
    """Everything that a phase's training carries from one epoch to the next."""

    def __init__(self, theta: dict[str, torch.nn.Parameter], own: dict[str, Tensor], fit: Fit) -> None:
        self.tensors: dict[str, Tensor] = {
            **{f"theta/{n}": p for n, p in theta.items()},
            **{f"own/{n}": p for n, p in own.items()},
        }
        self.optimizer = _optimizer(list(self.tensors.values()), fit)
        self.best = {name: value.detach().clone() for name, value in self.tensors.items()}
        self.best_valid = float("-inf")
        self.epoch = 0
        self.since_best = 0
        self.curve: list[tuple[int, float, float]] = []

    def set_rate(self, lr: float) -> None:
        """The learning rate of the steps to come."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def judge(self, loss: float, valid: float) -> None:
        """Take note of an epoch; keep its weights if no earlier one was as good."""
        self.epoch += 1
        self.since_best += 1
        self.curve.append((self.epoch, loss, valid))
        if valid > self.best_valid:
            self.best_valid, self.since_best = valid, 0
            self.best = {name: value.detach().clone() for name, value in self.tensors.items()}

    def restore_best(self) -> None:
        """Put the best epoch's weights back."""
        with torch.no_grad():
            for name, value in self.tensors.items():
                value.copy_(self.best[name])


class Resume:
    """A folder with one file a phase; `folder` None keeps nothing. A state of another task, data or release is not found,
    because the folder's name is a hash of them."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._saved_at = time.monotonic()

    def save(self, phase: int, state: State, *, now: bool = False) -> None:
        """Keep the state, if the last time is long enough ago."""
        if self.folder is None or (not now and time.monotonic() - self._saved_at < SECONDS_BETWEEN_SAVES):
            return
        numbers = {
            "epoch": state.epoch,
            "since_best": state.since_best,
            "best_valid": state.best_valid,
            "curve": state.curve,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"phase-{phase}.partial"
        partial.write_bytes(pack(_flatten(state), {"numbers": json.dumps(numbers)}))
        os.replace(partial, self.folder / f"phase-{phase}.safetensors")
        self._saved_at = time.monotonic()

    def load(self, phase: int, state: State) -> None:
        """Take the state up where it was left, if it was."""
        path = self.folder and self.folder / f"phase-{phase}.safetensors"
        if path is None or not path.exists():
            return
        data = path.read_bytes()
        _unflatten(state, unpack(data, str(path)))
        numbers = _numbers(data, path)
        state.epoch, state.since_best, state.best_valid = numbers["epoch"], numbers["since_best"], numbers["best_valid"]
        state.curve = [tuple(point) for point in numbers["curve"]]


def _optimizer(parameters: list[Tensor], fit: Fit) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": fit.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=fit.lr, betas=(0.9, 0.98), fused=True)


def _flatten(state: State) -> dict[str, Tensor]:
    tensors = {f"now/{n}": v.detach() for n, v in state.tensors.items()} | {
        f"best/{n}": v for n, v in state.best.items()
    }
    for name, value in state.tensors.items():
        tensors |= {f"optimizer/{key}/{name}": v for key, v in state.optimizer.state.get(value, {}).items()}
    return {name: value.contiguous() for name, value in tensors.items()}


def _unflatten(state: State, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in state.tensors.items():
            value.copy_(tensors[f"now/{name}"])
            state.best[name] = tensors[f"best/{name}"]
            keys = [k.split("/")[1] for k in tensors if k.startswith("optimizer/") and k.split("/", 2)[2] == name]
            state.optimizer.state[value] = {key: tensors[f"optimizer/{key}/{name}"] for key in keys}


def _numbers(data: bytes, path: Path) -> dict:
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return dict(json.loads(header["__metadata__"]["numbers"]))
    except (ValueError, KeyError) as error:
        raise ModelCorrupt(f"{path}: the training state cannot be read ({error}); delete it to start over") from None
