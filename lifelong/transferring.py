"""What a pretrained model is worth on other data: one table of target tasks, taken in by policies that say what travels."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelong import __version__
from lifelong.asking.evaluation import baselines, outcome_of
from lifelong.asking.inference import Answering
from lifelong.core.compute import Compute
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.fingerprint import json_hash
from lifelong.core.progress import Progress, Silent
from lifelong.core.types import Outcome, Ranked
from lifelong.core.written import as_json, need_folder, write_whole
from lifelong.forgetting.outcomes import keep, kept
from lifelong.forgetting.statistics import over_seeds, paired, scores
from lifelong.growing.growth import Growth
from lifelong.growing.resume import Resume
from lifelong.living import LivingModel
from lifelong.model.cases import Cases
from lifelong.model.member import mount
from lifelong.model.task import Task


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What of the source a target task starts from, and what of that it may change.

    The source's optimizer, its random state and its learning rates never travel: a target trains as its own file says.
    """

    about: str
    strategy: Any = None
    """The strategy that takes the target in; None: the source is not looked at."""
    loaded: str = "nothing"
    trained: str = "nothing"
    steps: bool = True
    """Whether anything is trained at all."""


POLICIES: Mapping[str, Policy] = {
    "zero-shot": Policy(
        about="the source as it is: no step, no bias, no idea of what is popular",
        strategy="probe",
        loaded="item encoder, user encoder",
        steps=False,
    ),
    "full": Policy(
        about="everything of the source, trained on",
        strategy="finetune",
        loaded="item encoder, user encoder",
        trained="all of it, and the bias of items",
    ),
    "adapters": Policy(
        about="the source frozen, adapters in both encoders",
        strategy="adapters",
        loaded="item encoder, user encoder",
        trained="adapters, the bias of items",
    ),
    "scratch": Policy(
        about="the same network without the source; a pretrained backbone of the items stays",
        strategy="scratch",
        loaded="the backbone of the item encoder",
        trained="everything else, from random values",
    ),
    "ids": Policy(about="a table of item vectors in place of contents, without the source", trained="everything"),
}
"""Name -> policy; the order of the table. NineRec calls scratch NoPT and full HasPT (Zhang et al. 2023, section 4)."""
ALONE = "ids"


def run_transfer(
    source: str | Path,
    targets: Sequence[str | Path | Task],
    out: str | Path,
    *,
    policies: Sequence[str] = tuple(POLICIES),
    seeds: int = 1,
    settings: Sequence[str] = (),
    compute: Compute | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Take every target in under every policy, from the model at `source`, which stays as it is; write transfer.json.

    A target names the items that it reads in data.inputs, or reads those that the source knows. Differences are to ids, paired
    user by user. A run that was stopped goes on at the cell it was in. Raises UsageError, ConfigError, DataError.
    """
    out = need_folder(out)
    model = LivingModel.open(source)
    tasks = [_target(model, target, settings) for target in targets]
    if unknown := [name for name in policies if name not in POLICIES]:
        raise UsageError(f"there is no policy {unknown[0]!r}; there are {', '.join(POLICIES)}")
    progress = progress or Silent()
    run = Run(model, out, list(policies), seeds, compute or Compute(), progress)
    document = {
        "lifelong": __version__,
        "source": {"model": model.store.path.name, "version": model.version and model.version.number},
        "policies": {name: asdict(POLICIES[name]) for name in policies},
        "seeds": seeds,
        "targets": {task.name: run.target(task) for task in tasks},
    }
    write_whole(out / "transfer.json", as_json(document))
    return document


def _target(model: LivingModel, target: str | Path | Task, settings: Sequence[str]) -> Task:
    task = target if isinstance(target, Task) else Task.read(target, settings)
    if task.answers != "items":
        raise ConfigError(
            f"task {task.name!r}: transfer compares rankings of items; judge profiles with `evaluate --profile`"
        )
    unset = Task(name=task.name, data=task.data, head=task.head)
    first = {option: getattr(unset, option) for option in task.only_first}  # a file that could begin a model of its own
    every = dict[str, Any]() if task.data.inputs is None and task.parent is None else task.data.inputs
    name = task.name if task.name not in model.members else f"{task.name}-target"
    return replace(
        task, name=name, **first, parent=task.parent or next(iter(model.members)), data=replace(task.data, inputs=every)
    )


@dataclass(frozen=True)
class Run:
    """The cells target x policy x seed of one run."""

    model: LivingModel
    out: Path
    policies: list[str]
    seeds: int
    compute: Compute
    progress: Progress

    def target(self, task: Task) -> dict[str, Any]:
        """All cells of a target: values over seeds, differences to ids, what was trained, and baselines."""
        cells = {name: dict(self._cells(task, name)) for name in self.policies}
        metrics, cases = task.measured_by, self._growth(task, self.policies[0], 0)[0].cases
        found = {name: {m: _scores(cells[name], m) for m in metrics} for name in cells}
        rows = {
            name: {
                "values": {m: over_seeds((s, v.value) for (_, s), v in found[name][m].items()) for m in metrics},
                "users": {m: _interval(found[name][m]) for m in metrics},
                "over_ids": {m: paired(found[name][m], found[ALONE][m]) for m in metrics} if ALONE in found else {},
                **self._told(task, name),
            }
            for name in cells
        }
        return {
            "metrics": metrics,
            "cases": len(cases.test),
            "items": len(cases.catalogue),
            "policies": rows,
            "baselines": _rivals(task, cases),
        }

    def _cells(self, task: Task, policy: str) -> Iterator[tuple[int, Outcome]]:
        for seed in range(self.seeds):
            path = self._path(task, policy, seed)
            if not path.exists():
                self.progress.say(f"{task.name}: {policy}, seed {seed}")
                outcome, told = self._learn(task, policy, seed)
                keep(outcome, path)
                path.with_suffix(".json").write_text(json.dumps(told))
            yield seed, kept(path)

    def _path(self, task: Task, policy: str, seed: int) -> Path:
        version = self.model.version.sha256 if self.model.version else ""
        key = json_hash([task.to_values(), asdict(POLICIES[policy]), seed, version, __version__])[:16]
        return self.out / "cells" / f"{task.name}.{policy}.{seed}.{key}.npz"

    def _told(self, task: Task, policy: str) -> dict[str, Any]:
        told = [json.loads(self._path(task, policy, s).with_suffix(".json").read_text()) for s in range(self.seeds)]
        return {key: float(np.mean([one[key] for one in told])) for key in told[0]}

    def _learn(self, task: Task, policy: str, seed: int) -> tuple[Outcome, dict[str, float]]:
        growth, folder = self._growth(task, policy, seed)
        try:
            member = growth.run(self.progress, Resume(None)) if POLICIES[policy].steps else growth.untrained()
        finally:
            if folder:
                shutil.rmtree(folder)
        answering = Answering(mount(growth.design, growth.site.bank, member, growth.cases.known), growth.design)
        told = {"trained": growth.trained, "share": growth.trained / growth.size(), "seconds": growth.seconds}
        return outcome_of(answering, growth.cases, growth.cases.test), told

    def _growth(self, task: Task, policy: str, seed: int) -> tuple[Growth, Path | None]:
        strategy = POLICIES[policy].strategy
        if strategy is not None:
            own = (
                task.strategy if isinstance(task.strategy, Mapping) and task.strategy["name"] == strategy else strategy
            )
            return self.model._growth(replace(task, strategy=own), seed, self.compute, self.progress), None
        design, folder = self.model.design, Path(tempfile.mkdtemp())
        same: dict[str, Any] = {
            "length": design.length,
            "past": design.past,
            "actions": design.actions,
            "gaps": design.gaps,
        }
        first = replace(
            task,
            parent=None,
            strategy="scratch",
            encoder={"name": design.encoder, **design.options},
            longterm=design.longterm,
            **same,
        )
        alone = LivingModel._unborn(folder / "model", first, self.model.cache)
        return alone._growth(first, seed, self.compute, self.progress), folder


def _scores(outcomes: Mapping[int, Outcome], metric: str) -> dict[tuple[int, int], Any]:
    return {(0, seed): scores(outcome, metric) for seed, outcome in outcomes.items()}


def _interval(found: Mapping[tuple[int, int], Any]) -> dict[str, float]:
    """95 % over users, of the mean over seeds."""
    low, high = np.nanquantile(np.mean([one.values_R for one in found.values()], axis=0), [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


def _rivals(task: Task, cases: Cases) -> dict[str, Any]:
    """Chance, and what counting reaches; each metric with its interval over users."""
    ranks = np.random.default_rng(0).integers(1, len(cases.catalogue) + 1, len(cases.test))
    chance = {
        m: _interval({(0, 0): scores(Ranked(ranks), m)}) | {"value": scores(Ranked(ranks), m).value}
        for m in task.measured_by
    }
    repeats = not isinstance(task.head, Mapping) or bool(task.head.get("repeats", True))
    counted = baselines(cases, task.measured_by, repeats=repeats)
    return {"chance": chance} | {n: {m: vars(v) for m, v in by.items() if "/" not in m} for n, by in counted.items()}
