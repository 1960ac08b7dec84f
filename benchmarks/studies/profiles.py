"""Profiles: user vectors under a probe and profile tasks beside tuned baselines, on the peers' five splits of the users."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import RUNS, SEEDS, SPLITS, base, peers_parts, tree, worlds
from lifelong.core.progress import Silent
from lifelong.profiling.compare import ask, tabled
from lifelong.profiling.features import Features
from lifelong.profiling.folds import Fold
from lifelong.profiling.methods import Method, baselines, probe
from lifelong.profiling.people import People, people_of
from lifelong.profiling.trained import cases_for, grown, vectors_of

TITLE = "Profiles"
ABOUT = (
    "Five splits of the users, 80/10/10, by the hash that the peers' figures use; options chosen by macro-F1 plus AUC of the "
    "validation users, nothing is trained on them. Here pretraining has read the events of test users, all but their last "
    "two and never a label, and so have the SVD's directions: both sides know the same, on Complete Journey products of all "
    "kinds. `lifelong evaluate --profile` asks unseen users alone."
)
VECTOR, ADDED, ALONE = "frozen vector + probe", "task added", "from scratch"
METRICS = ("macro_f1", "auc", "accuracy")


def jobs(quick: bool) -> list[str]:
    """world/label/seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    found = worlds(quick).values()
    return [f"{w.name}/{label}/seed{s}" for w in found for s in seeds for label in w.labels[: 1 if quick else None]]


def run(key: str, quick: bool) -> dict[str, Any]:
    """All methods on the five splits of one label."""
    name, label, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    model, task = base(world, seed, *world.whole), world.task(label)
    people = people_of(model, task, cases_for(model, task), model._parent(task, model.members).name, Silent())
    methods = {
        **{n: _once(n, method, RUNS / "baselines" / f"{name}-{label}-{tree()}") for n, method in baselines().items()},
        VECTOR: probe(vectors_of(model, task, people)),
        ADDED: grown(model, task, seed, Silent()),
        ALONE: grown(model, replace(task, strategy="scratch"), seed, Silent()),
    }
    told = ask(people, hash_folds(people, 1 if quick else SPLITS), methods, 0, Silent())
    return {"seed": seed, "label": label, **tabled(people, told, [VECTOR, ADDED], list(METRICS), seed)}


def _once(name: str, method: Method, folder: Path) -> Method:
    """The same answers for every seed of ours: a baseline has none, and half the time is theirs."""

    def answered(features: Features) -> tuple[np.ndarray, str]:
        path = folder / f"{name}-{features.fold.repeat}.npz"
        if not path.exists():
            probabilities_NC, said = method(features)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(path, probabilities_NC=probabilities_NC, said=said)
        with np.load(path) as kept:
            return kept["probabilities_NC"], str(kept["said"])

    return answered


def hash_folds(people: People, splits: int) -> list[Fold]:
    """The peers' splits as folds, each a repeat of its own."""
    made = []
    for split in range(splits):
        part_P = peers_parts(people.ids_P, split)
        made.append(Fold(split, *(np.flatnonzero(part_P == part) for part in ("train", "valid", "test"))))
    return made


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Every method's mean over the labels of a world, label by label, and ours minus the best baseline."""
    made = []
    for world in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{world}/")}
        for metric in METRICS[:2]:
            made.append(_table(world, metric, mine))
    return made


def _table(world: str, metric: str, mine: Entries) -> dict[str, Any]:
    labels = parts(mine, 1)
    names = list(next(iter(mine.values()))["methods"])
    rows = []
    for name in names:
        values = {
            label: [r["methods"][name]["metrics"][metric]["value"] for r in by(mine, world, label)] for label in labels
        }
        seeds = min(len(found) for found in values.values())
        mean = [float(np.mean([values[label][s] for label in labels])) for s in range(seeds)]
        rows.append((name, *(ranged(values[label]) for label in labels), ranged(mean)))
    for ours in (VECTOR, ADDED):
        cells = []
        for label in labels:
            found = by(mine, world, label)
            rivals = found[0]["differences"][ours]
            best = max(
                (r for r in rivals if r != ALONE), key=lambda r: found[0]["methods"][r]["metrics"][metric]["value"]
            )
            cells.append(f"{signed(difference([r['differences'][ours][best][metric] for r in found]))} {best}")
        rows.append((f"{ours}, minus the best baseline", *cells, ""))
    note = (
        "± over seeds of pretraining (baselines have none); differences are paired user by user, over users and seeds."
    )
    return table(f"{world}: {metric}", ("method", *labels, "mean"), rows, note)
