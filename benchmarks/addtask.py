"""What adding a task costs beside training the same task from scratch: seconds to the same quality, bytes, peak memory.

    python -m benchmarks.addtask

Complete Journey. The base is the first task of tasks/complete_journey, trained once; each strategy then adds each task to a
copy of it, in a process of its own. The same quality: the best validation score that `scratch` ever reaches, and the time until
it does.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import common
from lifelong import LivingModel
from lifelong.model.task import Task

TASKS = common.ROOT.parent / "tasks" / "complete_journey"
ADDED = ("drug_gm", "kids", "household_size", "marital_status")
STRATEGIES = ("scratch", "conure", "peterrec")


def base(folder: Path, quick: bool) -> dict[str, Any]:
    """The living model that tasks are added to."""
    settings = ["fit.epochs=2"] if quick else []
    LivingModel.pretrain(folder / "model", Task.read(TASKS / "next_product.yaml", settings))
    return {"bytes": sum(f.stat().st_size for f in (folder / "model" / "objects").rglob("*") if f.is_file())}


def add(folder: Path, task: str, strategy: str, seed: int) -> dict[str, Any]:
    """One addition to a copy: its curve in seconds, bytes, memory; peak_mib is that of this process."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(folder / "model", copy / "model")
    model = LivingModel.open(copy / "model")
    before = common.peak_mib()
    settings = [] if strategy == "conure" else [f"strategy={strategy}"]
    if strategy == "scratch":
        settings += ["fit.epochs=30", "fit.patience=6"]  # it starts from nothing: give it the time it needs
    added = model.add_task(Task.read(TASKS / f"{task}.yaml", settings), seed=seed)
    curve = model.members[task].record["curve"]
    shutil.rmtree(copy)
    return {
        "stored_bytes": added.stored_bytes,
        "seconds": added.seconds,
        "curve": curve,
        "peak_mib": common.peak_mib(),
        "before_mib": before,
        "changed": sum(added.changed.values()),
    }


def seconds_to(curve: list[dict[str, Any]], quality: float) -> float | None:
    """Seconds of training until the validation score is there; phases one after the other."""
    done = 0.0
    for number, point in enumerate(curve):
        if number and point["phase"] != curve[number - 1]["phase"]:
            done += curve[number - 1]["seconds"]
        if point["valid"] >= quality:
            return done + point["seconds"]
    return None


def main() -> None:
    """All tasks, all strategies, some seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", nargs=2, metavar=("FOLDER", "QUICK"))
    parser.add_argument("--add", nargs=4, metavar=("FOLDER", "TASK", "STRATEGY", "SEED"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.base:
        print(json.dumps(base(Path(options.base[0]), options.base[1] == "1")))
    elif options.add:
        folder, task, strategy, seed = options.add
        print(json.dumps(add(Path(folder), task, strategy, int(seed))))
    else:
        _compare(options)


def _compare(options: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp())
    model = common.measured("addtask", "--base", str(folder), str(int(options.quick)))
    seeds = 1 if options.quick else options.seeds
    rows = []
    for task in ADDED[:2] if options.quick else ADDED:
        runs = {
            strategy: [
                common.measured("addtask", "--add", str(folder), task, strategy, str(seed)) for seed in range(seeds)
            ]
            for strategy in STRATEGIES
        }
        rows += [_row(task, strategy, runs, model["bytes"]) for strategy in STRATEGIES[1:]]
        common.keep("addtask", task, {"runs": runs, "model_bytes": model["bytes"]})
    header = (
        "task",
        "strategy",
        "time to scratch's best",
        "stored, of the model",
        "peak memory",
        "earlier bits changed",
    )
    common.table("Adding a task, in shares of training it from scratch (Complete Journey)", header, rows)
    shutil.rmtree(folder)


def _row(task: str, strategy: str, runs: dict[str, list[dict[str, Any]]], model_bytes: int) -> tuple[str, ...]:
    shares, missed = [], 0
    for mine, plain in zip(runs[strategy], runs["scratch"], strict=True):
        best = max(plain["curve"], key=lambda point: point["valid"])
        reached = seconds_to(mine["curve"], best["valid"])
        shares += [] if reached is None else [reached / best["seconds"]]
        missed += reached is None
    stored = common.spread(run["stored_bytes"] / model_bytes for run in runs[strategy])
    memory = common.spread(a["peak_mib"] / b["peak_mib"] for a, b in zip(runs[strategy], runs["scratch"], strict=True))
    time = str(common.spread(shares)) if shares else "never"
    time += f"; not reached {missed} times" if missed else ""
    return task, strategy, time, f"{stored.median:.1%}", str(memory), str(sum(r["changed"] for r in runs[strategy]))


if __name__ == "__main__":
    main()
