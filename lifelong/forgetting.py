"""The forgetting run: the same tasks in the same order under several strategies, every task measured after every addition."""

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lifelong import __version__
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.fingerprint import json_hash
from lifelong.core.progress import Progress, Silent
from lifelong.core.registry import names as known_names
from lifelong.core.types import Measure
from lifelong.evaluation import baselines
from lifelong.growing import make_strategy
from lifelong.living import LivingModel
from lifelong.metrics import forgetting as measures
from lifelong.reports.csv import write_csv
from lifelong.reports.html import write_report
from lifelong.task import Task
from lifelong.verification import check_candidate

Document = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What one forgetting run is made of; `out` gets models/, steps/, report.html, forgetting.json and forgetting.csv."""

    tasks: list[Task]
    strategies: list[str]
    out: Path
    seed: int
    progress: Progress


def run_forgetting(
    tasks: Sequence[str | Path],
    strategies: Sequence[str],
    out: str | Path,
    *,
    seed: int = 0,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    force: bool = False,
    command: str | None = None,
) -> Document:
    """Learn `tasks` (YAML files, the first one is pretrained) in order under each strategy; return and write the document.

    The first task is learnt once, by its own strategy, and every strategy starts from that same model. A run that was killed
    goes on where it was; one with other tasks, settings or seed in `out` is refused unless `force` is given, which starts over.
    """
    began = time.perf_counter()
    read = [Task.read(path, settings) for path in tasks]
    run = Run(read, list(strategies), Path(out), seed, progress or Silent())
    _check(run)
    _claim_folder(run, force)
    base = _base(run)
    results = _under_all(run)
    document = _document(run, base, results)
    document["command"] = command or " ".join(["lifelong", *sys.argv[1:]])
    document["minutes"] = round((time.perf_counter() - began) / 60, 2)
    (run.out / "forgetting.json").write_text(json.dumps(document, indent=1, allow_nan=False))
    write_csv(document, run.out / "forgetting.csv")
    write_report(document, run.out / "report.html")
    return document


def _check(run: Run) -> None:
    if len(run.tasks) < 2:
        raise UsageError(
            "a forgetting run needs at least two tasks: one to learn first and one that could make it forgotten"
        )
    doubled = {t.name for t in run.tasks if sum(t.name == other.name for other in run.tasks) > 1}
    if doubled:
        raise ConfigError(f"two of the tasks are called {doubled.pop()!r}; their names must differ")
    for name in run.strategies:
        make_strategy(replace(run.tasks[-1], strategy=name))
    if len(set(run.strategies)) != len(run.strategies) or not run.strategies:
        raise UsageError(f"name each strategy once, at least one of: {', '.join(known_names('strategies'))}")


def _claim_folder(run: Run, force: bool) -> None:
    key = json_hash([[t.to_values() for t in run.tasks], run.seed, __version__])
    marker = run.out / "run.json"
    if force and marker.exists():
        shutil.rmtree(run.out)
    if marker.exists() and json.loads(marker.read_text())["key"] != key:
        raise UsageError(
            f"{run.out}: holds a run of other tasks or settings; choose another folder, or start over with --force"
        )
    if not marker.exists() and run.out.exists() and any(run.out.iterdir()):
        raise UsageError(f"{run.out}: is not empty and no forgetting run; choose another folder")
    run.out.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"key": key}))


def _base(run: Run) -> LivingModel:
    """The model with the first task, trained once."""
    path = run.out / "models" / "base"
    run.progress.say(f"first task: {run.tasks[0].name}")
    if (path / "versions").exists() and any((path / "versions").iterdir()):
        return LivingModel.open(path)
    return LivingModel.pretrain(path, run.tasks[0], seed=run.seed, progress=run.progress)


def _under_all(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Strategy -> its step records; strategies run side by side, one process for each that the cores allow.

    Threads of one process wait for each other at every operation; processes do not.
    """
    at_once = min(len(run.strategies), max(1, (os.cpu_count() or 1) // torch.get_num_threads()))
    if at_once == 1:
        return {name: _under(run, name) for name in run.strategies}
    with ProcessPoolExecutor(at_once, get_context("spawn"), torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        told = not isinstance(run.progress, Silent)
        apart = [replace(run, progress=_Apart(name) if told else Silent()) for name in run.strategies]
        return dict(zip(run.strategies, pool.map(_under, apart, run.strategies), strict=True))


@dataclass
class _Apart(Silent):
    """What a process of its own has to say, on stderr, a line at a time, with the strategy's name before it."""

    strategy: str

    def say(self, text: str) -> None:
        """The line."""
        print(f"{self.strategy}: {text}", file=sys.stderr, flush=True)


def _under(run: Run, strategy: str) -> list[dict[str, Any]]:
    """One step record after each task, the first one included."""
    base = run.out / "models" / "base"
    path, kept = run.out / "models" / strategy, run.out / "steps" / f"{strategy}.json"
    steps: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    if not steps:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(base, path)
    model = LivingModel.open(path)
    for number in range(len(steps), len(run.tasks)):
        task = run.tasks[number]
        if number and task.name not in model.members:
            run.progress.say(f"task {number + 1} of {len(run.tasks)}: {task.name}")
            model.add_task(_with(task, strategy), seed=run.seed, allow_forgetting=True, progress=run.progress)
        steps.append(_step(run, model, number))
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(steps))
    return steps


def _with(task: Task, strategy: str) -> Task:
    """The task under a strategy; its own options stay where it is the one that the file names."""
    own = task.strategy if isinstance(task.strategy, str) else task.strategy["name"]
    return task if own == strategy else replace(task, strategy=strategy)


def _step(run: Run, model: LivingModel, number: int) -> dict[str, Any]:
    """What is measured after a task: every task so far, on its test cases, and what the version says of it."""
    task = run.tasks[number]
    measured = model.evaluate([t.name for t in run.tasks[: number + 1]], progress=run.progress)
    inspected, body = model.inspect(), model.version.body if model.version else {}
    entry = body["tasks"][task.name]
    return {
        "measured": {name: {spec: vars(m) for spec, m in by_metric.items()} for name, by_metric in measured.items()},
        "entry": entry,
        "changed": body["changed"] if number else {},
        "free": inspected["free"],
        "owned": {t["name"]: t["owned"] for t in inspected["tasks"]},
        "fingerprints": {name: e["fingerprint"] for name, e in body["tasks"].items()},
        "seconds": model.members[task.name].record["seconds"],
        "trained": model.members[task.name].record["trained"],
        "curve": model.members[task.name].record["curve"],
    }


def _document(run: Run, base: LivingModel, results: dict[str, list[dict[str, Any]]]) -> Document:
    scratch = _matrix(run, results["scratch"], "value").diagonal() if "scratch" in results else None
    cases = {t.name: base.cases(t.name, run.progress) for t in run.tasks[:1]}
    first = run.tasks[0]
    return {
        "lifelong": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "seed": run.seed,
        "dataset": cases[first.name].dataset_key,
        "notice": cases[first.name].notice,
        "strategies": {name: _strategy(run, name, steps, scratch) for name, steps in results.items()},
        "baselines": {first.name: _baselines(run, base)},
    }


def _strategy(run: Run, name: str, steps: list[dict[str, Any]], scratch_T: np.ndarray | None) -> dict[str, Any]:
    matrix_TT = _matrix(run, steps, "value")
    metric = [t.measured_by[0] for t in run.tasks]
    changed = _changed_since_learnt(run, name, steps)
    return {
        "tasks": [t.name for t in run.tasks],
        "metric": metric,
        "isolates": make_strategy(replace(run.tasks[-1], strategy=name)).isolates,
        "matrix": _plain(matrix_TT),
        "low": _plain(_matrix(run, steps, "low")),
        "high": _plain(_matrix(run, steps, "high")),
        "cases": [steps[i]["measured"][t.name][metric[i]]["n"] for i, t in enumerate(run.tasks)],
        "average": measures.average_by_metric(matrix_TT, metric),
        "backward_transfer": measures.backward_transfer(matrix_TT),
        "forgetting": measures.forgetting(matrix_TT),
        "forgetting_per_task": measures.forgetting_per_task(matrix_TT).tolist(),
        "forward_gain": None if scratch_T is None or name == "scratch" else _forward_gain(matrix_TT, scratch_T),
        "changed_bits": sum(changed.values()),
        "changed_bits_per_task": changed,
        "changed_bits_per_step": [sum(step["changed"].values()) for step in steps],
        "parameters": [step["trained"] for step in steps],
        "bytes": [sum(f["bytes"] for f in step["entry"]["files"].values()) for step in steps],
        "seconds": [step["seconds"] for step in steps],
        "fingerprints": {t.name: [step["fingerprints"].get(t.name) for step in steps] for t in run.tasks},
        "capacity": [
            *({"task": t, "share": share} for t, share in steps[-1]["owned"].items()),
            {"task": "free", "share": steps[-1]["free"]},
        ],
        "curves": {t.name: steps[i]["curve"] for i, t in enumerate(run.tasks)},
        "measured": {
            t.name: {"just_learnt": steps[i]["measured"][t.name], "at_the_end": steps[-1]["measured"][t.name]}
            for i, t in enumerate(run.tasks)
        },
    }


def _changed_since_learnt(run: Run, strategy: str, steps: list[dict[str, Any]]) -> dict[str, int]:
    """Earlier task -> how many of its probe values at the end are not the bits of when it was learnt; in a fresh process."""
    model = LivingModel.open(run.out / "models" / strategy)
    assert model.version is not None
    learnt = {t.name: steps[i]["entry"] for i, t in enumerate(run.tasks[:-1])}
    return check_candidate(model.store, model.version.body, {"tasks": learnt})


def _matrix(run: Run, steps: list[dict[str, Any]], key: str) -> np.ndarray:
    """R (T, T): row = after learning task i, column = task; nan where not yet learnt. `key`: value, low or high."""
    matrix_TT = np.full((len(run.tasks), len(run.tasks)), np.nan)
    for i, step in enumerate(steps):
        for j, task in enumerate(run.tasks[: i + 1]):
            matrix_TT[i, j] = step["measured"][task.name][task.measured_by[0]][key]
    return matrix_TT


def _forward_gain(matrix_TT: np.ndarray, scratch_T: np.ndarray) -> dict[str, Any]:
    """Over the tasks after the first, which has nothing to gain from."""
    gain_T = measures.forward_gain_per_task(matrix_TT, scratch_T)
    return {
        "value": float(np.mean(gain_T[1:])),
        "per_task": [None, *gain_T[1:].tolist()],
        "scratch": [None, *scratch_T[1:].tolist()],
    }


def _baselines(run: Run, base: LivingModel) -> dict[str, dict[str, Any]]:
    """Counting baselines beside the model, on the test cases of the first task."""
    task = run.tasks[0]
    cases = base.cases(task.name, run.progress)
    made: dict[str, dict[str, Measure]] = {"model": base.evaluate([task.name])[task.name]}
    if task.data.label is None:
        repeats = bool(getattr(base.answering(task.name).net.head.config, "repeats", True))  # type: ignore[union-attr]
        made |= baselines(cases, task.measured_by, repeats=repeats)
    return {name: {spec: vars(m) for spec, m in by_metric.items()} for name, by_metric in made.items()}


def _plain(matrix_TT: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in matrix_TT]
