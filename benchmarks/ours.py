"""Our side: a configuration of benchmarks/configs, trained through the library's public interface on the protocol's events.

    python -m benchmarks.ours sasrec_ml100k --seed 1 --set fit.lr=0.002

Prints and keeps (results/ours.json) the curve with wall and CPU seconds after every epoch, the test figures at the best one by
validation, and whether our splits and ranks are the protocol's.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import common, protocol
from lifelong import LivingModel
from lifelong.asking.answers import sequences_of
from lifelong.asking.evaluation import Removal, removal_of
from lifelong.asking.inference import last_points
from lifelong.core.config import override, read_yaml
from lifelong.core.types import Event
from lifelong.data.prepare import prepare
from lifelong.data.sequences import gather_windows
from lifelong.metrics.ranking import ranks
from lifelong.model.cases import Cases, make_cases
from lifelong.model.network import Design
from lifelong.model.task import Task
from lifelong.opened import make_source

CONFIGS = Path(__file__).resolve().parent / "configs"


class Watch:
    """A lifelong Progress that notes wall and CPU seconds at the end of every epoch, from the first step of training on."""

    def __init__(self, say: bool = False) -> None:
        self.points: list[tuple[float, float]] = []
        self.began: tuple[float, float] | None = None
        self.aloud = say

    def start(self, label: str, total: int) -> None:
        self.began = self.began or (time.perf_counter(), time.process_time())

    def advance(self, steps: int = 1, **numbers: float) -> None:
        pass

    def end(self) -> None:
        pass

    def say(self, text: str) -> None:
        if re.search(r" epoch \d", text) and self.began:  # not what it says of an epoch beforehand
            self.points.append((time.perf_counter() - self.began[0], time.process_time() - self.began[1]))
        if self.aloud:
            print(f"{self.points[-1] if self.points else ''} {text}", flush=True)


def read_task(config: str, settings: list[str]) -> Task:
    """The task of a configuration, with its events, and items, where the protocol keeps them."""
    values = override(read_yaml(CONFIGS / f"{config}.yaml"), settings)
    data = Path(values["data"]["dataset"]["events"]).stem
    values["data"]["dataset"]["events"] = str(protocol.events_file(data))
    if "items" in values["data"]["dataset"]:
        values["data"]["dataset"]["items"] = str(protocol.items_file())
    return Task.from_values(values, config).check()


def data_of(task: Task) -> protocol.Interactions:
    """The protocol's events of a task."""
    return protocol.load(Path(task.data.dataset["events"]).stem)


def train(task: Task, seed: int, aloud: bool = False) -> dict[str, Any]:
    """One run: curve, times, test figures."""
    folder, watch = Path(tempfile.mkdtemp()), Watch(aloud)
    try:
        with common.Clock() as whole:
            model = LivingModel.pretrain(folder / "model", task, seed=seed, progress=watch)
        return {**_curve(model, task, watch), "whole": whole.values(), **_quality(model, task)}
    finally:
        shutil.rmtree(folder)


def rate(task: Task, seed: int) -> dict[str, float]:
    """Supervised targets and tokens a CPU second over whole epochs, validation included."""
    record = train(task, seed)
    last, epochs = record["curve"][-1], len(record["curve"])
    return {
        "targets_per_cpu_s": record["points"] * epochs / last["cpu_s"],
        "tokens_per_cpu_s": record["tokens"] * epochs / last["cpu_s"],
        "targets_per_s": record["points"] * epochs / last["wall_s"],
        "peak_mib": record["peak_mib"],
    }


def _curve(model: LivingModel, task: Task, watch: Watch) -> dict[str, Any]:
    told = model.members[task.name].record["curve"]
    curve = [
        {
            "epoch": n,
            "wall_s": round(wall, 3),
            "cpu_s": round(cpu, 3),
            "valid": p["valid"],
            "loss": p["loss"],
            "phase": p["phase"],
        }
        for n, (p, (wall, cpu)) in enumerate(zip(told, watch.points, strict=True), 1)
    ]
    cases = model.cases(task.name)
    return {
        "curve": curve,
        "best": max(curve, key=lambda point: point["valid"]),
        "parameters": sum(p.numel() for p in model.answering(task.name).net.parameters()),
        "points": len(cases.train),
        "tokens": len(cases.train) + len(np.unique(cases.train.users_N)),
        "peak_mib": common.peak_mib(),
    }


def _quality(model: LivingModel, task: Task) -> dict[str, Any]:
    """The library's own test figures, and the same by the protocol's harness from the same model's scores."""
    data, answering, cases = data_of(task), model.answering(task.name), model.cases(task.name)
    order_I = np.array([cases.catalogue.index(str(item)) for item in range(1, data.item_count + 1)])

    def score(users_B: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        begins_B = data.offsets_U1[users_B - 1]
        events = [
            [Event(str(item), None, int(time)) for item, time in zip(history, data.times_E[begin:], strict=False)]
            for begin, history in zip(begins_B, histories, strict=True)
        ]
        sequences = sequences_of(events, cases.known, model.design, "error", task.name)
        history = answering.history(sequences, last_points(sequences))
        scores_BC = torch.cat(list(answering.scores(answering.users(history), history))).numpy()
        return np.concatenate([np.zeros((len(users_B), 1), np.float32), scores_BC[:, order_I]], axis=1)

    test, ranks_U = protocol.evaluate(data, score, "test")
    own = {name: found.value for name, found in model.evaluate([task.name])[task.name].items()}
    same = all(abs(own[name] - test[name]) < 1e-9 for name in own if name in test)
    return {"test": test, "own_test": own, "harness_agrees": same, "test_ranks": " ".join(map(str, ranks_U))}


def agreement(task: Task) -> dict[str, bool]:
    """Whether the library's cases and ranks are the protocol's: targets, windows, training events, history removal."""
    data = data_of(task)
    cases = make_cases(task, prepare(make_source(task.data.dataset, task.name)), None, 1)
    number_C = np.array([int(name) for name in cases.catalogue])
    found = {"items": sorted(number_C) == list(range(1, data.item_count + 1))}
    for part in ("valid", "test"):
        found |= _part_agrees(data, cases, part, number_C, task.length or Design.length)
    wanted = sum(len(data.history(u, "valid")) - 1 for u in range(1, data.users + 1))
    return {**found, "training targets": len(cases.train) == wanted}


def _part_agrees(
    data: protocol.Interactions, cases: Cases, part: str, number_C: np.ndarray, length: int
) -> dict[str, bool]:
    """Users are numbered by their ids as text on our side, so both are compared by what a user read and chose."""
    points = getattr(cases, part)
    number_of_row = np.zeros(len(cases.known.rows_n) + 1, np.int64)
    number_of_row[cases.known.rows_n] = [int(name) for name in cases.known.ids.to_pylist()]
    users_N = np.array([int(n) for n in sorted(map(str, range(1, data.users + 1)))])[points.users_N]
    targets_N = np.array([data.target(u, part) for u in users_N])
    starts_N = cases.sequences.offsets_U1[points.users_N]
    windows_NL = number_of_row[gather_windows(cases.sequences.rows_E, starts_N, points.ends_N, length)]
    histories = [data.history(u, part) for u in users_N]
    right = [np.array_equal(w[w > 0], h[-length:]) for w, h in zip(windows_NL, histories, strict=True)]
    scores_NI = np.random.default_rng(0).integers(0, 50, (len(points), data.item_count + 1)).astype(np.float32)
    theirs_N = protocol.ranks_of(scores_NI, targets_N, histories if protocol.REMOVES_HISTORY[data.name] else [])
    scores_NC = torch.from_numpy(scores_NI[:, number_C].copy())
    if protocol.REMOVES_HISTORY[data.name]:
        removal: Removal = removal_of(cases)
        removal.remove(scores_NC, points)
    ours_N = ranks(scores_NC, torch.from_numpy(points.targets_N)).numpy()
    return {
        f"{part} users": sorted(users_N) == list(range(1, data.users + 1)),
        f"{part} targets": bool((number_C[points.targets_N] == targets_N).all()),
        f"{part} windows": all(right),
        f"{part} ranks": bool((ours_N == theirs_N).all()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a file of benchmarks/configs, without .yaml")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the task, KEY=VALUE")
    parser.add_argument("--say", action="store_true", help="print every epoch")
    parser.add_argument(
        "--check", action="store_true", help="compare splits and ranks with the protocol's, train nothing"
    )
    parser.add_argument("--probe", action="store_true", help="time two epochs, keep nothing")
    args = parser.parse_args()
    task = read_task(args.config, [*args.set, *(["fit.epochs=2"] if args.probe else [])])
    if args.check:
        print(json.dumps(agreement(task)))
        return
    if args.probe:
        print(json.dumps(rate(task, args.seed)))
        return
    values = task.to_values()
    what = {"settings": args.set, "seed": args.seed, "encoder": values["encoder"], "fit": values["fit"]}
    record = {**train(task, args.seed, args.say), **what}
    common.keep("ours", "-".join([args.config, f"seed{args.seed}", *args.set]), record)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
