"""One forgetting run from its task files to the report: checked, claimed, learnt, measured, written."""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifelong import __version__
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.fingerprint import json_hash
from lifelong.core.progress import Progress, Silent
from lifelong.core.registry import names as known_names
from lifelong.core.seeds import check_seed
from lifelong.core.written import PARTIAL, as_json, need_folder, write_whole
from lifelong.forgetting.cells import Cell, learn_all, make_cells
from lifelong.forgetting.compared import compare
from lifelong.forgetting.document import Document, describe, results_of
from lifelong.forgetting.named import Named, named
from lifelong.growing.making import make_strategy
from lifelong.living import LivingModel
from lifelong.model.task import Task
from lifelong.privacy.membership import membership
from lifelong.reports.csv import write_csv
from lifelong.reports.html import write_report


def run_forgetting(
    tasks: Sequence[str | Path],
    strategies: Sequence[str | Mapping[str, Any]],
    out: str | Path,
    *,
    orders: int = 1,
    seeds: int = 1,
    seed: int = 0,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    force: bool = False,
    command: str | None = None,
) -> Document:
    """Learn `tasks` (YAML files, the first one is pretrained) under each strategy; return and write the document.

    strategies: names, or {name: …, option: …}; in the document that is "conure keep=0.5". orders: how many orders of the tasks
    after the first, the given one included. seeds: how many seeds, from `seed` on. The first task is learnt once a seed, by its
    own strategy, and every strategy and order starts from that same model. A run that was killed goes on where it was, and one
    that is asked for more strategies, orders or seeds adds what is missing; other tasks, settings or first seed in `out` are
    refused unless `force` is given, which starts over.
    """
    began, out = time.perf_counter(), need_folder(out)
    for end in (seed, seed + seeds - 1):
        check_seed(end)
    read = [Task.read(path, settings) for path in tasks]
    chosen = named(strategies)
    _check(read, chosen, orders, seeds)
    cells = make_cells(read, chosen, out, orders, range(seed, seed + seeds))
    _claim_folder(read, seed, out, force)
    results = results_of(cells, learn_all(cells, progress or Silent()))
    document = describe(results, LivingModel.open(cells[0].base))
    document["statistics"] = compare(results)
    document["membership"] = _attacked(cells[0], progress or Silent())
    document["command"] = command or " ".join(["lifelong", *sys.argv[1:]])
    document["minutes"] = round((time.perf_counter() - began) / 60, 2)
    write_csv(document, out / "forgetting.csv")
    write_report(document, out / "report.html")
    write_whole(out / "forgetting.json", as_json(document))  # last, because it says that the run is finished
    return document


def _attacked(cell: Cell, progress: Progress) -> dict[str, dict[str, Any]]:
    """Task -> what attacks on its answers tell of whom it was trained on, of the first strategy's model, or why nothing can."""
    model, found = LivingModel.open(cell.model(next(iter(cell.strategies)))), {}
    for task in model.members:
        progress.say(f"whom {task} was trained on: attacked")
        try:
            found[task] = dict(membership(model, task, progress=progress).as_dict())
        except UsageError as refusal:  # one task without held-out users does not stop the others
            found[task] = {"refused": str(refusal)}
    return found


def covers(out: str | Path, strategies: Sequence[str | Mapping[str, Any]], orders: int, seeds: int) -> bool:
    """Whether `out` holds a finished run with all of that."""
    path = Path(out) / "forgetting.json"
    if not path.exists():
        return False
    found = json.loads(path.read_text())
    enough = len(found.get("orders", [0])) >= orders and len(found.get("seeds", [0])) >= seeds
    return enough and set(named(strategies)) <= set(found.get("strategies", {}))


def _check(tasks: Sequence[Task], strategies: Named, orders: int, seeds: int) -> None:
    if len(tasks) < 2:
        raise UsageError(
            "a forgetting run needs at least two tasks: one to learn first and one that could make it forgotten"
        )
    doubled = {t.name for t in tasks if sum(t.name == other.name for other in tasks) > 1}
    if doubled:
        raise ConfigError(f"two of the tasks are called {doubled.pop()!r}; their names must differ")
    for spec in strategies.values():
        make_strategy(replace(tasks[-1], strategy=spec))
    if not strategies:
        raise UsageError(f"name at least one strategy of: {', '.join(known_names('strategies'))}")
    if min(orders, seeds) < 1:
        raise UsageError(f"orders is {orders} and seeds is {seeds}; both must be at least 1")


def _claim_folder(tasks: Sequence[Task], seed: int, out: Path, force: bool) -> None:
    key = json_hash([[t.to_values() for t in tasks], seed, __version__])
    marker = out / "run.json"
    if force and marker.exists():
        shutil.rmtree(out)
    if marker.exists() and json.loads(marker.read_text())["key"] != key:
        raise UsageError(
            f"{out}: holds a run of other tasks or settings; choose another folder, or start over with --force"
        )
    if not marker.exists() and out.exists() and any(path.suffix != PARTIAL for path in out.iterdir()):
        raise UsageError(f"{out}: is not empty and no forgetting run; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(marker, json.dumps({"key": key}))
