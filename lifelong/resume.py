"""The state of an unfinished training, saved after an epoch, so that a killed run goes on to the same bits."""

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lifelong.core.errors import ModelCorrupt
from lifelong.parallel.group import ALONE, Group
from lifelong.parallel.wrap import full, laid_like
from lifelong.store.tensors import pack, unpack
from lifelong.task import Fit

SECONDS_BETWEEN_SAVES = 20.0
BETAS = (0.9, 0.98)
"""Of Adam; the second is lower than torch's own: gradients of sequences change quickly."""


class State:
    """Everything that a phase's training carries from one epoch to the next.

    `tensors` are the trained ones by name; those in `sparse` get gradients of single rows, and SparseAdam, which leaves the
    other rows and their moments alone. With `fit.average` a running mean of the others is what is validated and kept (Polyak
    & Juditsky 1992): it settles the noise of a high learning rate at once, where a falling rate takes the rest of the epochs.
    """

    def __init__(self, tensors: Mapping[str, Tensor], sparse: Collection[str], fit: Fit) -> None:
        self.tensors = dict(tensors)
        self.optimizers = _optimizers(self.tensors, sparse, fit)
        self.best = {name: value.detach().clone() for name, value in self.tensors.items()}
        self.decay, self.steps = fit.average, 0
        dense = {name: value for name, value in self.tensors.items() if name not in sparse}
        self.means = {name: value.detach().clone() for name, value in dense.items()} if self.decay else {}
        self.best_valid = float("-inf")
        self.epoch = 0
        self.since_best = 0
        self.seconds = 0.0
        self.curve: list[tuple[int, float | None, float, float]] = []

    def set_rate(self, lr: float) -> None:
        """The learning rate of the steps to come."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr

    def advance(self) -> None:
        """One step by the gradients that lie there, which are dropped."""
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        if self.means:
            decay = min(self.decay, self.steps / (self.steps + 9.0))  # the first steps are soon forgotten
            values: list[Any] = [self.tensors[name].detach() for name in self.means]
            get_ema_multi_avg_fn(decay)(list(self.means.values()), values, self.steps)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the trained tensors hold their means."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        """By copies: a wrapper (sharding) knows where its tensors lie."""
        for name, mean in self.means.items():
            value = self.tensors[name].detach().clone()
            self.tensors[name].copy_(mean)
            mean.copy_(value)

    def start(self, valid: float, seconds: float) -> None:
        """What is there before the first step counts, too: nothing worse is kept."""
        self.best_valid, self.seconds = valid, seconds
        self.curve.append((0, None, valid, round(seconds, 3)))

    def judge(self, loss: float, valid: float, seconds: float) -> None:
        """Take note of an epoch that took so long; keep its weights if no earlier one was as good."""
        self.epoch += 1
        self.since_best += 1
        self.seconds += seconds
        self.curve.append((self.epoch, loss, valid, round(self.seconds, 3)))
        if valid > self.best_valid:
            self.best_valid, self.since_best = valid, 0
            for name, value in self.tensors.items():
                self.best[name].copy_(self.means.get(name, value.detach()))

    def restore_best(self) -> None:
        """Put the best epoch's weights back."""
        with torch.no_grad():
            for name, value in self.tensors.items():
                value.copy_(self.best[name])

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """Name -> what the optimizers remember of that tensor."""
        known = {value: memory for optimizer in self.optimizers for value, memory in optimizer.state.items()}
        return {name: known[value] for name, value in self.tensors.items() if value in known}

    def remember(self, name: str, memory: dict[str, Any]) -> None:
        """Give an optimizer back what it knew of a tensor."""
        value = self.tensors[name]
        for optimizer in self.optimizers:
            if any(value is p for group in optimizer.param_groups for p in group["params"]):
                optimizer.state[value] = memory


class Resume:
    """A folder with one file a phase; `folder` None keeps nothing. A state of another task, data or release is not found,
    because the folder's name is a hash of them. Of several processes rank 0 writes and all read; a state holds whole tensors,
    so that any number of processes can go on with it."""

    def __init__(self, folder: Path | None, group: Group = ALONE) -> None:
        self.folder, self.group = folder, group
        self._saved_at = time.monotonic()

    def save(self, phase: int, state: State, *, now: bool = False) -> None:
        """Keep the state, if the last time is long enough ago."""
        if self.folder is None or not self.group.tell(
            now or time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES
        ):
            return
        tensors = _flatten(state)
        self.group.first(lambda: self._write(phase, tensors, state), "keeping the state of the training")
        self._saved_at = time.monotonic()

    def _write(self, phase: int, tensors: dict[str, Tensor], state: State) -> None:
        assert self.folder is not None
        numbers = {
            "epoch": state.epoch,
            "since_best": state.since_best,
            "best_valid": state.best_valid,
            "seconds": state.seconds,
            "steps": state.steps,
            "curve": state.curve,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"phase-{phase}.partial"
        partial.write_bytes(pack(tensors, {"numbers": json.dumps(numbers)}))
        os.replace(partial, self.folder / f"phase-{phase}.safetensors")

    def load(self, phase: int, state: State) -> None:
        """Take the state up where it was left, if it was."""
        path = self.folder and self.folder / f"phase-{phase}.safetensors"
        if path is None or not self.group.tell(path.exists()):
            return
        self.group.attempt(lambda: self._read(path, state), "reading the state of the training")

    def _read(self, path: Path, state: State) -> None:
        data = path.read_bytes()
        _unflatten(state, unpack(data, str(path)))
        numbers = _numbers(data, path)
        state.epoch, state.since_best, state.best_valid = numbers["epoch"], numbers["since_best"], numbers["best_valid"]
        state.seconds, state.steps = numbers["seconds"], numbers["steps"]
        state.curve = [tuple(point) for point in numbers["curve"]]


def _optimizers(tensors: Mapping[str, Tensor], sparse: Collection[str], fit: Fit) -> list[torch.optim.Optimizer]:
    dense = [value for name, value in tensors.items() if name not in sparse]
    groups = [
        {"params": [p for p in dense if p.dim() >= 2], "weight_decay": fit.weight_decay},
        {"params": [p for p in dense if p.dim() < 2], "weight_decay": 0.0},
    ]
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=fit.lr, betas=BETAS, fused=True)] if dense else []
    rows = [tensors[name] for name in tensors if name in sparse]
    return [*made, torch.optim.SparseAdam(rows, lr=fit.lr, betas=BETAS)] if rows else made


def _flatten(state: State) -> dict[str, Tensor]:
    tensors = {f"now/{n}": v.detach() for n, v in state.tensors.items()} | {
        f"best/{n}": v for n, v in state.best.items()
    }
    tensors |= {f"mean/{name}": value for name, value in state.means.items()}
    for name, memory in state.moments().items():
        tensors |= {f"optimizer/{key}/{name}": torch.as_tensor(v) for key, v in memory.items()}
    return {name: full(value).cpu().contiguous() for name, value in tensors.items()}


def _unflatten(state: State, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in state.tensors.items():
            value.copy_(laid_like(value, tensors[f"now/{name}"]))
            state.best[name].copy_(laid_like(value, tensors[f"best/{name}"]))
            if name in state.means:
                state.means[name].copy_(laid_like(value, tensors[f"mean/{name}"]))
            keys = [k.split("/")[1] for k in tensors if k.startswith("optimizer/") and k.split("/", 2)[2] == name]
            if keys:
                state.remember(name, {key: _memory(key, tensors[f"optimizer/{key}/{name}"], value) for key in keys})


def _memory(key: str, kept: Tensor, like: Tensor) -> Any:
    """As the optimizer had it: moments beside their tensor, a sparse one's count of steps as a number."""
    if key == "step" and kept.dtype == torch.int64:
        return int(kept)
    return laid_like(like, kept) if kept.shape == like.shape else kept.to(like.device)


def _numbers(data: bytes, path: Path) -> dict:
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return dict(json.loads(header["__metadata__"]["numbers"]))
    except (ValueError, KeyError) as error:
        raise ModelCorrupt(f"{path}: the training state cannot be read ({error}); delete it to start over") from None
