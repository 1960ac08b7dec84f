"""The state of an unfinished training, saved after an epoch, so that a killed run goes on to the same bits."""

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lifelong.keeping.kept import how_far, read_state
from lifelong.model.task import Fit
from lifelong.parallel.group import ALONE, Group
from lifelong.parallel.wrap import full, laid_like
from lifelong.store.tensors import pack

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
        self.lr, self.decay, self.steps = fit.lr, fit.average, 0
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
                group["lr"] = lr * group.get("scale", 1.0)

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
    so that any number of processes can go on with it.

    What is kept is the end of an epoch. A killed run does the epoch again in which it was: the objective, the penalty and the
    batches on their way have no state between epochs, inside one they have.

    aside: where the states of a training lie that has diverged. Its name has no learning rate in it: there the same training
    goes on from its last good epoch with a lower one.
    """

    def __init__(self, folder: Path | None, group: Group = ALONE, aside: Path | None = None) -> None:
        self.folder, self.group, self.aside = folder, group, aside
        self._saved_at = time.monotonic()

    def within(self, name: str) -> "Resume":
        """The same for a part of the training that is kept apart."""
        return Resume(self.folder and self.folder / name, self.group, self.aside and self.aside / name)

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
            "lr": state.lr,
            "curve": state.curve,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        written = self.folder / f"phase-{phase}.partial"
        with written.open("wb") as file:
            file.write(pack(tensors, {"numbers": json.dumps(numbers)}))
            file.flush()
            os.fsync(file.fileno())  # or a power cut leaves a whole name for half a file
        os.replace(written, self.folder / _name(phase))

    def load(self, phase: int, state: State) -> None:
        """Take the state up where it was left, if it was. Raises ModelCorrupt for a file that is not this training's."""
        found = self.group.tell([path is not None and os.path.lexists(path) for path in self._places(phase)])
        for path, there in zip(self._places(phase), found, strict=True):
            if path is None or not there:
                continue
            kept = self.group.attempt(partial(read_state, path, state), "reading the state of the training")
            if path.parent == self.folder or kept.numbers["lr"] > state.lr:
                _unflatten(state, kept.tensors)
                kept.into(state)
                return

    def put_aside(self, lr: float) -> str:
        """Leave what was kept of a training that has diverged to one with a lower rate; returns the way out in words."""
        epoch = self.group.tell(self.group.first(self._put_aside, "keeping the last good epoch"))
        if not epoch:
            return f"lower fit.lr (it is {lr:g}) and run it again"
        return f"lower fit.lr (it is {lr:g}) and run it again: it goes on from epoch {epoch}, the last good one that was kept"

    def _put_aside(self) -> int:
        """The last epoch that was kept, of the last phase of which there is one; 0 for none."""
        if self.folder is None or self.aside is None:
            return 0
        kept = sorted(self.folder.glob("phase-*.safetensors"))
        self.aside.mkdir(parents=True, exist_ok=True)
        for path in kept:
            os.replace(path, self.aside / path.name)
        return int(how_far(self.aside / kept[-1].name)["epoch"]) if kept else 0

    def _places(self, phase: int) -> list[Path | None]:
        return [folder and folder / _name(phase) for folder in (self.folder, self.aside)]


def _name(phase: int) -> str:
    return f"phase-{phase}.safetensors"


def _optimizers(tensors: Mapping[str, Tensor], sparse: Collection[str], fit: Fit) -> list[torch.optim.Optimizer]:
    """A tensor with an attribute `lr_scale`, such as those of a pretrained backbone, learns at that share of the rate."""
    dense = [value for name, value in tensors.items() if name not in sparse]
    by_kind: dict[tuple[float, float], list[Tensor]] = {}
    for value in dense:
        decay = fit.weight_decay if value.dim() >= 2 else 0.0
        by_kind.setdefault((decay, float(getattr(value, "lr_scale", 1.0))), []).append(value)
    groups = [{"params": same, "weight_decay": decay, "scale": scale} for (decay, scale), same in by_kind.items()]
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
