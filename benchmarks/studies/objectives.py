"""Pretraining objectives at equal compute: what their frozen user vectors know of people, and what tasks make of them."""

import shutil
from typing import Any

import numpy as np

from benchmarks import ours
from benchmarks.studies.claims import CLUE_ALONE
from benchmarks.studies.profiles import VECTOR, hash_folds
from benchmarks.studies.tables import Entries, by, parts, ranged, table
from benchmarks.studies.worlds import RUNS, SEEDS, SPLITS, World, worlds
from lifelong import LivingModel
from lifelong.core.progress import Silent
from lifelong.profiling.compare import ask, tabled
from lifelong.profiling.methods import baselines, probe
from lifelong.profiling.people import people_of
from lifelong.profiling.trained import cases_for, vectors_of

TITLE = "Objectives"
ABOUT = (
    "The same encoder (masked needs one that sees both sides: BERT4Rec, as wide and as deep), pretrained for the same CPU "
    "seconds: one epoch is timed, the budget decides how many there are, the best by validation is kept. CLUE without "
    "negatives learns at a quarter of the rate, or it collapses; `nothing` is autoregressive at a rate of 1e-12, so weights as "
    "they were drawn. What counts is macro-F1 and AUC of a linear probe on frozen vectors, on the peers' five splits, beside "
    "the SVD. Without the long-term path, which no objective trains, and which alone makes two views of a user alike: "
    "the vectors that are served have it, and stand under Profiles."
)
SECONDS = {"ml100k": 120.0, "ml1m": 600.0, "cj": 150.0, "invented": 2.0}
"""CPU seconds of training a world."""
CLUE = "{name: clue, weight: 0.1}"
NEGATIVES = "{name: clue_infonce, weight: 0.1}"
ARMS: dict[str, list[str]] = {
    "autoregressive": ["objective=autoregressive"],
    "masked": ["objective=masked", "encoder.name=bert4rec"],
    "clue": ["objective=clue", *CLUE_ALONE],
    "clue_infonce": ["objective=clue_infonce", "head=user_vector", "metrics=null"],
    "autoregressive + clue": [f"objective={{name: sum, of: [autoregressive, {CLUE}]}}"],
    "autoregressive + clue_infonce": [f"objective={{name: sum, of: [autoregressive, {NEGATIVES}]}}"],
    "nothing": ["objective=autoregressive", "fit.lr=1e-12"],
    "masked + clue": [f"objective={{name: sum, of: [masked, {CLUE}]}}", "encoder.name=bert4rec"],
}
METRICS = ["macro_f1", "auc"]


def jobs(quick: bool) -> list[str]:
    """world/objective/seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    arms = ["autoregressive", "clue"] if quick else list(ARMS)
    return [f"{world}/{arm}/seed{seed}" for world in worlds(quick) for seed in seeds for arm in arms]


def run(key: str, quick: bool) -> dict[str, Any]:
    """Pretrain within the budget, probe every label."""
    name, arm, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    settings = [*ARMS[arm], *world.whole, "longterm=null"]
    _, one = _trained(world, seed, [*settings, "fit.epochs=1"], f"{arm}-{seed}-timed")
    epochs = max(1, round(SECONDS[name] / one))
    whole = [*settings, f"fit.epochs={epochs}", f"fit.patience={epochs}"]
    model, seconds = _trained(world, seed, whole, f"{arm}-{seed}")
    labels = {label: _probed(model, world, label, quick) for label in world.labels[: 1 if quick else None]}
    return {
        "seed": seed,
        "epochs": epochs,
        "cpu_s": seconds,
        "seconds_an_epoch": one,
        "labels": labels,
        "next": _following(model, world),
    }


def _trained(world: World, seed: int, settings: list[str], name: str) -> tuple[LivingModel, float]:
    """A model anew and the CPU seconds of its epochs; nothing is pruned, so that all of them are pretraining."""
    path = RUNS / "objectives" / f"{world.name}-{name}"
    shutil.rmtree(path, ignore_errors=True)
    task = world.task(world.first, *settings, "strategy={name: conure, keep: 1.0}")
    watch = ours.Watch()
    model = LivingModel.pretrain(path, task, seed=seed, progress=watch)
    return model, watch.points[-1][1]


def _following(model: LivingModel, world: World) -> float | None:
    """How well it says what comes next, by the first task's own metric; nothing where it is not asked that."""
    own = model.members[world.first].task
    return model.evaluate([own.name])[own.name][own.measured_by[0]].value if own.answers == "items" else None


def _probed(model: LivingModel, world: World, label: str, quick: bool) -> dict[str, Any]:
    task = world.task(label)
    cases = cases_for(model, task)
    people = people_of(model, task, cases, [next(iter(model.members))], Silent())
    methods = {"LR SVD64": baselines()["LR SVD64"], VECTOR: probe(vectors_of(model, task, people))}
    told = ask(people, hash_folds(people, range(1 if quick else SPLITS)), methods, 0, Silent())
    made = tabled(people, told, [VECTOR], METRICS, 0)
    return {name: {m: v["value"] for m, v in found["metrics"].items()} for name, found in made["methods"].items()}


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A table a world: objectives down; labels and their mean across."""
    made = []
    for world in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{world}/")}
        for metric in METRICS:
            labels = list(next(iter(mine.values()))["labels"])
            rows = [_row(arm, by(mine, world, arm), labels, metric) for arm in parts(mine, 1)]
            rows.append(("SVD64 of TF-IDF items", *_cells(list(mine.values())[:1], labels, "LR SVD64", metric), "", ""))
            note = f"{SECONDS.get(world, 0):.0f} CPU seconds of pretraining each; ± over seeds."
            header = ("pretrained by", *labels, "mean", "what comes next", "epochs")
            made.append(table(f"{world}: frozen vectors, {metric}", header, rows, note))
    return made


def _row(name: str, found: list[Any], labels: list[str], metric: str) -> tuple[str, ...]:
    following, epochs = ranged(r["next"] for r in found), f"{np.mean([r['epochs'] for r in found]):.0f}"
    return name, *_cells(found, labels, VECTOR, metric), following, epochs


def _cells(found: list[Any], labels: list[str], method: str, metric: str) -> list[str]:
    """Every label and their mean."""
    value = lambda r, label: r["labels"][label][method][metric]  # noqa: E731
    mean = ranged(float(np.mean([value(r, label) for label in labels])) for r in found)
    return [*(ranged(value(r, label) for r in found) for label in labels), mean]
