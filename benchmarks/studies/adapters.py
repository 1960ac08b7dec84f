"""AdapterRec measured again: every form of adapter against full tuning, PeterRec's patches and a head alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks import common
from benchmarks.studies.tables import Entries, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import ROOT, SEEDS, World, base, worlds
from lifelong.core.compute import Compute
from lifelong.core.progress import Silent
from lifelong.core.types import Ranked
from lifelong.growing.resume import Resume
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.member import Member
from lifelong.model.task import Task
from lifelong.profiling.trained import Aside

TITLE = "Adapters"
ABOUT = (
    "AdapterRec (Fu et al., WSDM 2024) ranks forms whose code is faulty: LoRA on fresh random weights, a parallel adapter that "
    "adds its input twice, a Compacter without its skip. Here every form starts as exactly its parent. One pretrained model a "
    "seed takes the same task in by each; each trains with every learning rate, validation alone chooses. Trained: numbers out "
    "of all that the network has, its head's own table included; inside: those of the adapters. CPU seconds of the chosen run, "
    "one thread; memory is the most that the process ever had."
)
FULL = "full"
FORMS: Mapping[str, Any] = {
    FULL: "finetune",
    "head alone": "probe",
    "peterrec": "peterrec",
    "houlsby serial": {"name": "adapters", "part": "houlsby"},
    "houlsby parallel": {"name": "adapters", "part": {"name": "houlsby", "form": "parallel"}},
    "houlsby serial, norms": {"name": "adapters", "part": "houlsby", "norms": "all"},
    "houlsby last": {"name": "adapters", "part": "houlsby", "behind": "last"},
    "pfeiffer": {"name": "adapters", "part": "pfeiffer"},
    "lora": {"name": "adapters", "part": "lora"},
    "lora all maps": {"name": "adapters", "part": "lora", "maps": ["query", "key", "value", "output", "0", "2"]},
    "compacter": {"name": "adapters", "part": "compacter"},
}
"""How the task is taken in."""
VARIED = ("houlsby serial, norms", "houlsby last", "lora all maps")
"""Not repeated where the model reads texts: half an hour a form."""
OF_ITEMS: Mapping[str, Any] = {
    "houlsby serial, items only": {"name": "adapters", "part": "houlsby", "encoders": ["items"]},
    "houlsby serial, users only": {"name": "adapters", "part": "houlsby", "encoders": ["users"]},
}
"""And where it does."""
RATES = (1.0, 3.0)
"""Multiples of the task's own learning rate."""


@dataclass(frozen=True)
class Base:
    """What is pretrained, and on what the adapters are judged: settings of the world's first task and of the target."""

    world: str
    target: str
    first: tuple[str, ...]
    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    of_items: bool = False


BLOCKS = "encoder={name: sasrec, width: 64, blocks: 2}"
BY_TEXT = World("by_text", ROOT / "tasks" / "by_text", "grocery", (), ("films",))
"""From groceries to films: no item in common, every item known by its text."""
BASES = {
    "cj-ids": Base("cj", "drug_gm", (BLOCKS,), (), SEEDS),
    "by_text": Base(
        "by_text",
        "films",
        (BLOCKS, "items={name: text, train: 1}", "head.negatives=256", "fit.epochs=1", "fit.batch_size=64"),
        ("head.negatives=256", "fit.epochs=4"),
        SEEDS[:1],
        of_items=True,
    ),
}
"""Within the text encoder every candidate of a step goes through the trained block: few negatives and epochs, one seed."""
QUICK = {"invented-ids": Base("invented", "cross", ("encoder={name: sasrec, width: 16, blocks: 2}",), (), SEEDS[:1])}
SMOKE = (FULL, "houlsby serial", "lora")
FIRST = "base"


def jobs(quick: bool) -> list[str]:
    """base/seed/form, the pretrained model before what grows on it, so that no memory but a form's own is counted."""
    here = {name: found for name, found in bases(quick).items() if found.world in places(quick)}
    return [
        f"{name}/seed{seed}/{form}"
        for name, found in here.items()
        for seed in found.seeds
        for form in (FIRST, *(SMOKE if quick else forms(found)))
    ]


def places(quick: bool) -> Mapping[str, World]:
    """The worlds whose data are here."""
    here = worlds(quick)
    return {**here, "by_text": BY_TEXT} if {"cj", "ml100k"} <= here.keys() else here


def bases(quick: bool) -> Mapping[str, Base]:
    """The bases of a run."""
    return QUICK if quick else BASES


def forms(found: Base) -> Mapping[str, Any]:
    """What is compared on a base."""
    return {**{n: f for n, f in FORMS.items() if n not in VARIED}, **OF_ITEMS} if found.of_items else FORMS


def run(key: str, quick: bool) -> dict[str, Any]:
    """One form on one base with one seed, by every learning rate."""
    name, seed_, form = key.split("/")
    found, seed = bases(quick)[name], int(seed_.removeprefix("seed"))
    world = places(quick)[found.world]
    model = base(world, seed, *found.first)
    if form == FIRST:
        return {"seed": seed, "seconds": model.members[world.first].record["seconds"]}
    told = [_taken_in(model, task, seed) for task in _tasks(world, found, forms(found)[form])]
    best = max(told, key=lambda run: run["valid"])
    every = {f"{run['lr']:g}": {k: run[k] for k in ("valid", "value", "cpu_s")} for run in told}
    return {"seed": seed, **best, "rates": every, "peak_mib": common.peak_mib()}


def _tasks(world: World, found: Base, strategy: Any) -> list[Task]:
    task = replace(world.task(found.target, *found.settings), strategy=strategy)
    return [replace(task, fit=replace(task.fit, lr=task.fit.lr * rate)) for rate in RATES]


def _taken_in(model: LivingModel, task: Task, seed: int) -> dict[str, Any]:
    """The task grown on the model, which stays as it is, and what it answers on its test cases."""
    growth = model._growth(task, seed, Compute(), Silent())
    with common.Clock() as clock:
        member = growth.run(Silent(), Resume(None))
    tried = Aside(growth, member)
    outcome = tried.outcome()
    assert isinstance(outcome, Ranked)
    metric = task.measured_by[0]
    return {
        "metric": metric,
        "lr": task.fit.lr,
        "valid": max(point.valid for point in growth.curve),
        "value": vars(measure(parse(metric), outcome)),
        "trained": growth.trained,
        "share": growth.trained / growth.size(),
        "inside": sum(part.numbers for part in member.view.parts.values()) + _inside(member),
        "stored_bytes": _bytes(member),
        "cpu_s": clock.values()["cpu_s"],
        "epochs": tried.epochs,
        "test_ranks": outcome.ranks_N.tolist(),
    }


def _inside(member: Member) -> int:
    """Numbers of the adapters in the item encoder."""
    tensors = {} if member.encoding is None else member.encoding.tensors
    return sum(value.numel() for name, value in tensors.items() if ".part." in name)


def _bytes(member: Member) -> int:
    """Of the tensors that the task stores beside the bank."""
    tensors: list[Tensor] = [*member.own.values(), *member.view.private.values()]
    tensors += [] if member.encoding is None else list(member.encoding.tensors.values())
    return sum(value.numel() * value.element_size() for value in tensors)


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A table a base: forms down, best first."""
    grown = {key: record for key, record in entries.items() if not key.endswith(f"/{FIRST}")}
    return [_table(name, {k: r for k, r in grown.items() if k.startswith(f"{name}/")}) for name in parts(grown, 0)]


def _table(name: str, mine: Entries) -> dict[str, Any]:
    full = _of(mine, FULL)
    rows = []
    for form in parts(mine, 2):
        found = _of(mine, form)
        values = [r["value"]["value"] for r in found.values()]
        gap = None if form == FULL else difference([_minus(r, full[s]) for s, r in found.items() if s in full])
        some = list(found.values())
        figures = (f"{np.mean([r['share'] for r in some]):.2%}", f"{np.mean([r['inside'] for r in some]):,.0f}")
        stored = f"{np.mean([r['stored_bytes'] for r in some]) / 1000:,.0f} kB"
        seconds = f"{np.mean([r['cpu_s'] for r in some]):,.0f} s"
        memory = f"{np.mean([r['peak_mib'] for r in some]):,.0f} MiB"
        rates = ", ".join(f"{r['lr']:g}" for r in some)
        rows.append((np.mean(values), form, ranged(values), signed(gap), *figures, stored, seconds, memory, rates))
    rows.sort(key=lambda row: -row[0])
    metric = next(iter(mine.values()))["metric"]
    header = (
        "form",
        metric,
        "minus full, paired by user",
        "trained",
        "numbers inside",
        "stored",
        "CPU",
        "memory",
        "lr",
    )
    return table(f"{name}: adapters", header, (row[1:] for row in rows))


def _of(mine: Entries, form: str) -> dict[str, Mapping[str, Any]]:
    """Seed -> record of one form."""
    return {key.split("/")[1]: record for key, record in sorted(mine.items()) if key.split("/")[2] == form}


def _minus(record: Mapping[str, Any], full: Mapping[str, Any]) -> dict[str, float]:
    one, other = (Ranked(np.array(r["test_ranks"], np.int64)) for r in (record, full))
    return vars(paired_difference(parse(record["metric"]), one, other))
