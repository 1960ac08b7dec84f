"""Whether sealed tasks still are what they were: storage, rendered weights, and what they answer; run in a fresh process.

`python -m lifelong.keeping.verification FOLDER CANDIDATE BEFORE` is how add_task checks a version that is not committed yet.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lifelong.asking.inference import Answering
from lifelong.core.errors import LifelongError, ModelCorrupt
from lifelong.core.fingerprint import numeric_stack
from lifelong.keeping.checkpoint import Loaded, load, read_probes
from lifelong.keeping.formats import readable
from lifelong.keeping.identities import follow
from lifelong.keeping.sealing import (
    REQUEST_SIZES,
    THREADS,
    answering_of,
    changed_answers,
    fingerprint,
    largest_difference,
)
from lifelong.store.store import Store, VerifyReport, Version


@dataclass
class Check:
    """ok, and what was looked at. changed: task -> probe values that differ. On another numeric stack than the one a task was
    sealed on, bits are not promised; then `difference` tells the largest difference found."""

    ok: bool
    version: int
    checked: dict[str, int]
    problems: list[str] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    same_stack: bool = True
    difference: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_version(store: Store, version: Version, files: VerifyReport) -> Check:
    """All files of the store; then fingerprint and probes of every task of a version, and whether every change of every task in
    any version is explained."""
    problems = [f"{p.file}: {p.reason}" for p in files.problems]
    check = Check(True, version.number, {"files": files.checked, "tasks": 0, "probes": 0}, problems)
    if not problems:
        try:
            _check_tasks(store, version, check)
        except ModelCorrupt as error:
            check.problems.append(str(error))
    check.ok = not check.problems
    return check


def _check_tasks(store: Store, version: Version, check: Check) -> None:
    check.problems += follow(store.log())[1]
    store, version = readable(store, version)
    loaded = load(store, version.body)
    for name, entry in version.body["tasks"].items():
        _check_task(store, loaded, name, entry, check)


Ways = Sequence[tuple[int, int]]
"""(size of a request, number of threads) in which probes are asked."""
EVERY_WAY: Ways = [(size, threads) for threads in THREADS for size in REQUEST_SIZES]


def in_turn(place: int) -> Ways:
    """All probes in one request, and some of them in requests of another size: what a commit asks of the task at that place.

    With the tasks that follow each task comes by every way, while a commit's cost grows hardly with the tasks before it.
    """
    largest, others = max(REQUEST_SIZES), sorted(REQUEST_SIZES)[:-1]
    return [
        (largest, THREADS[place % len(THREADS)]),
        (others[place % len(others)], THREADS[(place + 1) % len(THREADS)]),
    ]


def compare(
    store: Store, body: dict[str, Any], before: dict[str, Any], ways: Callable[[int], Ways] = lambda place: EVERY_WAY
) -> dict[str, int]:
    """Task of `before` -> how many of its golden probe values differ under `body`, at worst over the ways of asking; a
    fingerprint or a stored file that differs counts as one. ways: of the place of a task, counted from the newest."""
    loaded = load(store, body)
    changed = {}
    for place, (name, entry) in enumerate(reversed(before["tasks"].items())):
        answering = answering_of(loaded, name)
        golden = read_probes(store, entry, answering.length)
        counts = _changed_counts(golden, answering, entry, ways(place))
        differs = fingerprint(answering.net) != entry["fingerprint"] or body["tasks"][name]["files"] != entry["files"]
        changed[name] = max(counts) + (1 if differs and not max(counts) else 0)
    return {name: changed[name] for name in before["tasks"]}


def check_candidate(store: Store, body: dict[str, Any], before: dict[str, Any] | None) -> dict[str, int]:
    """compare() in a fresh process, on exactly the bytes on disk, each earlier task in the ways whose turn it is (in_turn). The
    new tasks must give their own probes again, in every way.

    Returns task -> changed probe values. Raises LifelongError where the process cannot finish.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("candidate.json", "before.json")]
        for place, document in zip(places, (body, before or {"tasks": {}}), strict=True):
            place.write_text(json.dumps(document))
        told = in_fresh_process("lifelong.keeping.verification", str(store.path.resolve()), *map(str, places))
    return dict(json.loads(told))


def in_fresh_process(module: str, *arguments: str) -> str:
    """The last line that `python -m module …` prints. Raises LifelongError, with the end of what it says, where it fails."""
    command = [sys.executable, "-m", module, *arguments]
    waiting = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}  # two threads that spin stand still on a busy machine
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=waiting)
    if done.returncode != 0:
        raise LifelongError(f"the check failed, so nothing was committed: {done.stderr.strip()[-500:]}")
    return done.stdout.splitlines()[-1]


def changed_weights(loaded: Loaded, before: dict[str, Any]) -> list[str]:
    """The tasks of `before` whose rendered weights, as they are in this process, are not those that were sealed."""
    entries = before["tasks"].items()
    return [name for name, entry in entries if fingerprint(answering_of(loaded, name).net) != entry["fingerprint"]]


def _check_task(store: Store, loaded: Loaded, name: str, entry: dict[str, Any], check: Check) -> None:
    answering = answering_of(loaded, name)
    golden = read_probes(store, entry, answering.length)
    check.checked["tasks"] += 1
    check.checked["probes"] += sum(golden[key].numel() for key in ("users", "scores"))
    if fingerprint(answering.net) != entry["fingerprint"]:
        check.problems.append(f"task {name}: the rendered weights are not those that were sealed")
    if entry["stack"] != numeric_stack():
        check.same_stack = False
        check.difference = max(check.difference, largest_difference(golden, answering)[0])
    changed = max(_changed_counts(golden, answering, entry))
    if changed:
        check.changed[name] = changed
        check.problems.append(f"task {name}: {changed} probe values differ from those that were sealed")


def _changed_counts(
    golden: dict[str, Tensor], answering: Answering, entry: dict[str, Any], ways: Ways = EVERY_WAY
) -> list[int]:
    """Changed probe values for each way of asking. On another numeric stack than the task was sealed on,
    bits are not promised: there all count where they differ by more than the tolerance, else none."""
    if entry["stack"] != numeric_stack():
        close = largest_difference(golden, answering)[1]
        return [0 if close else golden["users"].numel()]
    return [changed_answers(golden, answering, size, threads) for size, threads in ways]


def _main(folder: str, candidate: str, before: str) -> None:
    store = Store.open(folder)
    body, earlier = (json.loads(Path(p).read_bytes()) for p in (candidate, before))
    loaded = load(store, body)
    check = Check(True, 0, {"tasks": 0, "probes": 0})
    for name in body["tasks"].keys() - earlier["tasks"].keys():
        _check_task(store, loaded, name, body["tasks"][name], check)
    if check.problems:
        raise SystemExit("; ".join(check.problems))
    print(json.dumps(compare(store, body, earlier, in_turn)))


if __name__ == "__main__":
    with torch.inference_mode():
        _main(*sys.argv[1:4])
