"""Profiles: user vectors under a probe and profile tasks beside tuned baselines, on the peers' five splits of the users."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.tables import Entries, by, difference, parts, ranged, short, signed, table
from benchmarks.studies.worlds import RUNS, SEEDS, SPLITS, base, peers_parts, tree, worlds
from lifelong.core.progress import Silent
from lifelong.model.task import Task
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
    "kinds. `lifelong evaluate --profile` asks unseen users alone. How the vector is made was chosen with test users of the "
    "peers' splits in sight; on five fresh splits, which stand beside them, nothing of it was chosen. There the wide path of "
    "the tasks' heads was. From scratch: the same network on the task's own users alone, with all that is fitted in closed "
    "form (the long-term path's table, the wide path); from random weights: without, as the papers have it."
)
FRESH = range(100, 100 + SPLITS)
"""Splits by the same hash on which nothing of the vector was ever chosen."""
SVD = "LR SVD64"
RIVALS = ("LR TF-IDF", SVD, "GBDT categories")
VECTOR, ADDED, ALONE, RANDOM = "frozen vector + probe", "task added", "from scratch", "from random weights"
NOTHING = ("longterm={start: random}", "fit.epochs=1")
"""Of a model that gives its design alone: what stands on nothing then has no table in closed form either."""
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
    people = people_of(model, task, cases_for(model, task), [model._parent(task, model.members).name], Silent())
    kept = RUNS / "baselines" / f"{name}-{label}-{tree()}"
    vector = {VECTOR: probe(vectors_of(model, task, people))}
    alone = replace(task, strategy="scratch")
    tasks = {
        ADDED: grown(model, task, seed, Silent()),
        ALONE: grown(model, alone, seed, Silent()),
        RANDOM: grown(base(world, 0, *world.whole, *NOTHING), plain(alone), seed, Silent()),
    }
    told = _told(people, {**_once(baselines(), kept / "peers"), **vector, **tasks}, range(1 if quick else SPLITS), seed)
    fresh = _told(
        people, {**_once({SVD: baselines()[SVD]}, kept / "fresh"), **vector}, FRESH[: 1 if quick else None], seed
    )
    return {"seed": seed, "label": label, **told, "fresh": fresh}


def plain(task: Task) -> Task:
    """The task without a wide path of its head, which is fitted in closed form."""
    head = task.to_values()["head"]
    return replace(task, head={**head, "wide": False}) if isinstance(head, dict) and "wide" in head else task


def _told(people: People, methods: Mapping[str, Method], splits: range, seed: int) -> dict[str, Any]:
    """All methods asked on these splits."""
    told = ask(people, hash_folds(people, splits), methods, 0, Silent())
    return tabled(people, told, [n for n in (VECTOR, ADDED) if n in methods], list(METRICS), seed)


def _once(methods: Mapping[str, Method], folder: Path) -> dict[str, Method]:
    """Methods whose answers are kept: a baseline has no seeds of ours, and half the time is theirs."""
    return {name: _remembered(name, method, folder) for name, method in methods.items()}


def _remembered(name: str, method: Method, folder: Path) -> Method:

    def answered(features: Features) -> tuple[np.ndarray, str]:
        path = folder / f"{name}-{features.fold.repeat}.npz"
        if not path.exists():
            probabilities_NC, said = method(features)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(path, probabilities_NC=probabilities_NC, said=said)
        with np.load(path) as kept:
            return kept["probabilities_NC"], str(kept["said"])

    return answered


def hash_folds(people: People, splits: range) -> list[Fold]:
    """Splits by the peers' hash as folds, each a repeat of its own."""
    made = []
    for number, split in enumerate(splits):
        part_P = peers_parts(people.ids_P, split)
        made.append(Fold(number, *(np.flatnonzero(part_P == part) for part in ("train", "valid", "test"))))
    return made


def tables(entries: Entries) -> list[dict[str, Any]]:
    """The vector beside the SVD over all labels; every method label by label, and ours minus the best baseline."""
    made = [_together(entries)]
    for world in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{world}/")}
        for metric in METRICS[:2]:
            made.append(_table(world, metric, mine))
    return made


def _together(entries: Entries) -> dict[str, Any]:
    """Means over all labels: the vector against the SVD, the task against each tuned baseline and against scratch."""
    fresh = {key: record["fresh"] for key, record in entries.items()}
    rivals = [(entries, "the peers' splits", ADDED, rival) for rival in (*RIVALS, ALONE, RANDOM)]
    compared = [(entries, "the peers' splits", VECTOR, SVD), (fresh, "fresh splits", VECTOR, SVD), *rivals]
    rows = []
    for found, said, mine, rival in compared:
        for metric in METRICS[:2]:
            values = [
                float(np.mean([r["methods"][n]["metrics"][metric]["value"] for r in found.values()]))
                for n in (mine, rival)
            ]
            gaps = [
                [[r["differences"][mine][rival][metric] for r in by(found, w, label)] for label in labels]
                for w, labels in labels_of(found).items()
            ]
            rows.append((mine, rival, said, metric, *map(short, values), signed(over_seeds_and_labels(gaps))))
    count = sum(len(labels) for labels in labels_of(entries).values())
    header = ("ours", "the other", "users", "metric", "ours", "the other", "difference")
    note = (
        "The interval takes the labels of one data set, which are of the same users, as going all the same way, and data sets "
        "as independent."
    )
    return table(f"Means over {count} labels", header, rows, note)


def labels_of(entries: Entries) -> dict[str, list[str]]:
    """World -> its labels."""
    return {w: parts({k: r for k, r in entries.items() if k.startswith(f"{w}/")}, 1) for w in parts(entries, 0)}


def over_seeds_and_labels(worlds_: list[list[list[dict[str, float]]]]) -> dict[str, Any] | None:
    """The mean of differences of worlds, labels and seeds: each seed's mean over labels first, of the seeds that all have."""
    seeds = min(len(found) for labels in worlds_ for found in labels)
    return difference([over_labels([[found[s] for found in labels] for labels in worlds_]) for s in range(seeds)])


def over_labels(worlds_: list[list[dict[str, float]]]) -> dict[str, float]:
    """The mean of differences: within a world the half-widths are averaged, between worlds added in squares."""
    count = sum(map(len, worlds_))
    value = sum(gap["value"] for gaps in worlds_ for gap in gaps) / count
    low, high = (
        float(np.hypot.reduce([sum(abs(gap[end] - gap["value"]) for gap in gaps) / count for gaps in worlds_]))
        for end in ("low", "high")
    )
    return {"value": value, "low": value - low, "high": value + high}


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
                (r for r in rivals if r not in (ALONE, RANDOM)),
                key=lambda r: found[0]["methods"][r]["metrics"][metric]["value"],
            )
            cells.append(f"{signed(difference([r['differences'][ours][best][metric] for r in found]))} {best}")
        rows.append((f"{ours}, minus the best baseline", *cells, ""))
    note = (
        "± over seeds of pretraining (baselines have none); differences are paired user by user, over users and seeds."
    )
    return table(f"{world}: {metric}", ("method", *labels, "mean"), rows, note)
