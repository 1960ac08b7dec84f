"""A model that knows every item by its text: what it is worth where no item is shared, and that it forgets nothing."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.studies.tables import Entries, ranged, short, signed, table
from benchmarks.studies.worlds import ROOT, RUNS, SEEDS, tree
from lifelong import LivingModel
from lifelong.model.task import Task
from lifelong.transferring import run_transfer

TITLE = "Items by their text"
ABOUT = (
    "One model, pretrained on Complete Journey's groceries, every product known by MiniLM's reading of its category, type, "
    "brand and size (tasks/by_text/grocery.yaml). Its targets share no item with it: the same households' other products, and "
    "films by title and genres."
)
CHEAP, DEAR = ("zero-shot", "full", "scratch", "ids"), "adapters"
"""Adapters within the text encoder send every candidate of a step through it; that row has one seed."""
TARGETS = ("drug_gm", "films")
SIX: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("by_text", "drug_gm", ("strategy=adapters", "fit.epochs=1")),
    ("by_text", "films", ("strategy={name: adapters, part: lora}", "fit.epochs=1")),
    ("complete_journey", "kids", ("parent=grocery", "strategy=conure")),
    ("complete_journey", "age", ("parent=grocery", "strategy=peterrec")),
    ("complete_journey", "marital_status", ("parent=grocery", "strategy={name: adapters, part: compacter}")),
    ("complete_journey", "household_size", ("parent=grocery", "strategy=probe")),
)
"""Folder, task, settings: what the model learns after its first task."""


def jobs(quick: bool) -> list[str]:
    """Both need the real texts, and the films theirs."""
    return [] if quick or not os.environ.get("LIFELONG_MOVIELENS") else ["transfer", "promise"]


def run(key: str, quick: bool) -> dict[str, Any]:
    """One of the two."""
    return {"transfer": _transfer, "promise": _promise}[key]()


def grocery() -> Path:
    """The folder of the model with its first task; trained once."""
    path = RUNS / "bases" / f"by_text-{tree()}"
    if not (path / "versions").exists():
        LivingModel.pretrain(path, Task.read(ROOT / "tasks" / "by_text" / "grocery.yaml"))
    return path


def _transfer() -> dict[str, Any]:
    """Both targets under every policy, as `lifelong transfer` does it; goes on at the cell in which it was stopped."""
    model, out = grocery(), RUNS / "transfer"
    targets = [ROOT / "tasks" / "by_text" / f"{name}.yaml" for name in TARGETS]
    made = run_transfer(model, targets, out, policies=CHEAP, seeds=len(SEEDS))
    dear = run_transfer(model, targets, out, policies=(DEAR, "ids"), seeds=1)
    for name, target in made["targets"].items():
        target["policies"][DEAR] = dear["targets"][name]["policies"][DEAR]
    return made


def _promise() -> dict[str, Any]:
    """Six tasks, one after the other, and a certificate of every task in every version."""
    with tempfile.TemporaryDirectory(dir=RUNS) as folder:
        path = Path(shutil.copytree(grocery(), Path(folder) / "model"))
        model, told = LivingModel.open(path), []
        for place, name, settings in SIX:
            added = model.add_task(Task.read(ROOT / "tasks" / place / f"{name}.yaml", settings))
            told.append({"task": name, "strategy": _strategy(model, name), "bytes": added.stored_bytes})
        certificate = model.certify()
    asked = {key: certificate.document[key] for key in ("ok", "problems", "asked", "compared", "changed")}
    return {"added": told, **asked}


def _strategy(model: LivingModel, name: str) -> str:
    spec = model.members[name].task.strategy
    return spec if isinstance(spec, str) else f"{spec['name']} ({spec.get('part', 'houlsby')})"


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A table a target, and one of the promise."""
    made = []
    for name, target in entries.get("transfer", {}).get("targets", {}).items():
        made.append(_target(name, target))
    if "promise" in entries:
        made.append(_kept(entries["promise"]))
    return made


def _target(name: str, target: Any) -> dict[str, Any]:
    metric, wide = target["metrics"][0], target["metrics"][-1]
    rows = []
    for policy in ("zero-shot", "full", DEAR, "scratch", "ids"):
        row = target["policies"][policy]
        over = "" if policy == "ids" else signed(row["over_ids"][metric])
        seeds = ranged(row["values"][metric]["values"])
        beside = f"{short(row['values'][wide]['mean'])} ({_span(row['users'][wide])})"
        rows.append(
            (policy, seeds, _span(row["users"][metric]), over, beside, f"{row['share']:.1%}", f"{row['seconds']:.0f} s")
        )
    for rival, values in target["baselines"].items():
        found, beside = values[metric], f"{short(values[wide]['value'])} ({_span(values[wide])})"
        rows.append((f"*{rival}*", short(found["value"]), _span(found), "", beside, "", ""))
    header = ("policy", f"test {metric}", "95 % over users", "minus ids, paired", wide, "trained", "time")
    note = (
        f"{target['cases']:,} test cases, {target['items']:,} items; zero-shot trains nothing and knows no popularity."
    )
    return table(f"grocery → {name}", header, rows, note)


def _span(found: Any) -> str:
    return f"{short(found['low'])} to {short(found['high'])}"


def _kept(record: Any) -> dict[str, Any]:
    rows = [(t["task"], t["strategy"], f"{t['bytes'] / 1000:,.0f} kB") for t in record["added"]]
    note = (
        f"Certificate over all versions: {record['compared']:,} probe values compared in "
        f"{len(record['asked'])} ways of asking, {record['changed']:,} changed."
    )
    return table("Six tasks on a model that reads", ("task", "strategy", "stored"), rows, note)
