"""Items by what they are: ids, frozen text, text trained through, and both; on items that were there, and that were not."""

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks import ours
from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.withheld import SPEC
from benchmarks.studies.worlds import RUNS, SEEDS, worlds
from lifelong import LivingModel
from lifelong.asking.evaluation import evaluate, outcome_of, removal_of
from lifelong.asking.inference import NOBODY
from lifelong.core.types import Outcome, Ranked
from lifelong.data.sequences import Points
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse
from lifelong.model.member import known_items
from lifelong.model.task import as_task

TITLE = "Items by what they are"
ABOUT = (
    "One SASRec of one block; only what gives an item its vector differs. A tenth of the items is withheld from training "
    "altogether, read and predicted. Regular: the model's own test cases. Withheld: the test events of those items, once they "
    "were added by `items add`, ranked among all items, and among the withheld alone; on MovieLens, whose test part has ten of "
    "them, the events of all parts. Ties count against the model."
)
TEXT = {"name": "text", "train": "frozen"}
ARMS: dict[str, Any] = {
    "ids": None,
    "text, frozen": TEXT,
    "text, top block trained": {"name": "text", "train": 1},
    "ids + text": {"name": "fused", "of": ["id", TEXT], "how": "sum"},
}
FIELDS = {"ml100k": ["title", "genres"], "ml1m": ["title", "genres"], "cj": ["category", "type", "brand", "size"]}
READ: dict[str, dict[str, Any]] = {"ml100k": {}, "ml1m": {}, "cj": {"domain": "grocery"}}
FIT = {
    "ml100k": {"epochs": 25, "batch_size": 64, "lr": 4e-3, "average": 0.99, "patience": 25},
    "ml1m": {"epochs": 25, "batch_size": 64, "lr": 4e-3, "average": 0.99, "patience": 25},
    "cj": {"epochs": 3, "batch_size": 64, "lr": 4e-3, "average": 0.99, "patience": 3},
}
SPLIT = {"ml100k": "leave_one_out", "ml1m": "leave_one_out", "cj": "time"}
"""Of films by time there are 166 test cases, and half of them have nothing to read."""
FILTER = {"cj": {"min_item_events": 10, "min_item_users": 5, "min_user_events": 5}}
"""What the data set filters by itself, which the marked one does in its place."""
METRICS = ("ndcg@10", "hr@10")


def jobs(quick: bool) -> list[str]:
    """world/arm/seed; the costly arm with one seed."""
    if quick:
        return []  # needs real texts; tests/floor2/test_content.py sees to the parts
    dear = "text, top block trained"
    pairs = [
        (world, arm, seed) for world in worlds() if world in FIELDS for seed in SEEDS for arm in ARMS if arm != dear
    ]
    pairs += [(world, dear, SEEDS[0]) for world in worlds() if world in FIELDS]
    return [f"{world}/{arm}/seed{seed}" for world, arm, seed in pairs]


def run(key: str, quick: bool) -> dict[str, Any]:
    """Train without the withheld items, then let them come."""
    name, arm, seed_ = key.split("/")
    world, seed = worlds()[name], int(seed_.removeprefix("seed"))
    data = world.task(world.first).data
    path = RUNS / "contents" / key.replace("/", "-").replace(" ", "-")
    shutil.rmtree(path, ignore_errors=True)
    task = as_task(
        {
            "name": "next",
            "encoder": {"name": "sasrec", "width": 64, "blocks": 1, "dropout": 0.2, "item_std": 0.02},
            "length": 100,
            "head": {"name": "next_item", "negatives": 1024, "repeats": name == "cj"},
            "items": ARMS[arm],
            "strategy": {"name": "conure", "keep": 1.0},
            "data": {
                "dataset": {"name": SPEC, "of": data.dataset, **FILTER.get(name, {})},
                "inputs": {**READ[name], "withheld": "no"},
                "split": SPLIT[name],
                "text": FIELDS[name],
            },
            "fit": FIT[name],
        }
    )
    watch = ours.Watch()
    model = LivingModel.pretrain(path, task, seed=seed, progress=watch)
    regular = evaluate(model.answering("next"), model.cases("next"), model.cases("next").test, METRICS)
    told = {
        "seed": seed,
        "cpu_s": watch.points[-1][1],
        "epochs": len(watch.points),
        "trained": model.members["next"].record["trained"],
        "regular": {m: vars(v) for m, v in regular.items() if "/" not in m},
        "ranks": _ranks(outcome_of(model.answering("next"), model.cases("next"), model.cases("next").test)),
        "cold": _cold(model, name) if ARMS[arm] else None,
    }
    shutil.rmtree(path)
    return told


def _ranks(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Ranked)
    return {"test_ranks": outcome.ranks_N.tolist()}


def _cold(model: LivingModel, world: str) -> dict[str, Any]:
    """What the withheld items reach after they were added: among all items, among themselves, and by chance."""
    own = model.members["next"].task
    prepared = model.prepare(own)
    marked = np.array(prepared.items["withheld"].to_pylist()) == "yes"
    read = np.ones(len(marked), bool)
    for field, value in READ[world].items():
        read &= np.array(prepared.items[field].to_pylist()) == value
    import pyarrow as pa

    told = model.add_items("next", prepared.items.filter(pa.array(marked & read)), "wider")
    member, answering = model.members["wider"], model.answering("wider")
    everything = as_task(
        {**own.to_values(), "name": "all", "parent": "wider", "strategy": "probe", "encoder": None, "items": None}
    )
    cases = model._make_cases(
        _without_inputs(everything),
        prepared,
        known_items(model.members, "wider"),
        len(model.bank.owners["items.weight"]),
    )
    place = {item: n for n, item in enumerate(member.catalogue)}
    chosen = cases.test if world == "cj" else _all(cases)
    targets_N = np.array([place[cases.catalogue[t]] for t in chosen.targets_N])
    withheld_n = np.flatnonzero(targets_N >= len(model.members["next"].catalogue))
    points = Points(chosen.users_N[withheld_n], chosen.ends_N[withheld_n], targets_N[withheld_n])
    history = answering.history(cases.sequences, points)
    users = answering.users(history)
    excluded = NOBODY if world == "cj" else removal_of(_with_catalogue(cases, member.catalogue)).excluded(points)
    among_all = answering.ranks(users, torch.from_numpy(points.targets_N), excluded, history).numpy()
    first = len(model.members["next"].catalogue)
    among_cold = np.concatenate(
        [
            _ranks_among(s[:, first:], points.targets_N[i * 16 : i * 16 + 16] - first)
            for i, s in enumerate(answering.scores(users, history))
        ]
    )
    chance = np.random.default_rng(0)
    measured = {
        "all": (among_all, len(member.catalogue)),
        "withheld": (among_cold, len(member.catalogue) - first),
    }
    return {
        "items": told.added,
        "cases": len(points),
        **{f"among_{n}": _measured(ranks, size, chance) for n, (ranks, size) in measured.items()},
    }


def _all(cases: Any) -> Points:
    """Every event that could be predicted: of the withheld items none was ever trained on, whoever had it."""
    three = (cases.train, cases.valid, cases.test)
    return Points(*(np.concatenate([getattr(part, n) for part in three]) for n in ("users_N", "ends_N", "targets_N")))


def _without_inputs(task: Any) -> Any:
    from dataclasses import replace

    return replace(task, data=replace(task.data, inputs=None))


def _with_catalogue(cases: Any, catalogue: tuple[str, ...]) -> Any:
    from dataclasses import replace

    return replace(cases, catalogue=catalogue)


def _ranks_among(scores_Nc: torch.Tensor, targets_N: np.ndarray) -> np.ndarray:
    right_N1 = scores_Nc.gather(1, torch.from_numpy(targets_N)[:, None])
    return (~(scores_Nc < right_N1)).sum(1).numpy()


def _measured(ranks: np.ndarray, size: int, random: np.random.Generator) -> dict[str, Any]:
    drawn = Ranked(random.integers(1, size + 1, len(ranks)))
    found = {m: vars(measure(parse(m), Ranked(ranks))) for m in (*METRICS, "hr@100")}
    over = {m: vars(paired_difference(parse(m), Ranked(ranks), drawn)) for m in found}
    return {**found, "over_chance": over, "mean_place": float(np.mean(ranks / size))}


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Two tables a world: items that were there in training, and items that were not."""
    made = []
    for world in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{world}/")}
        found = {arm: by(mine, world, arm) for arm in ARMS if by(mine, world, arm)}
        made += [_regular(world, found), _withheld(world, found)]
    return made


def _regular(world: str, found: Mapping[str, list[Any]]) -> dict[str, Any]:
    rows = [
        (
            arm,
            ranged(r["regular"]["ndcg@10"]["value"] for r in mine),
            _minus(mine, found.get("ids", [])),
            _minus(mine, found.get("text, frozen", [])),
            ranged(r["regular"]["hr@10"]["value"] for r in mine),
            f"{np.mean([r['cpu_s'] for r in mine]):,.0f}",
        )
        for arm, mine in found.items()
    ]
    header = ("items by", "NDCG@10", "minus ids, paired by user", "minus frozen text, paired by user", "HR@10", "CPU s")
    return table(f"{world}: items that were there", header, rows)


def _withheld(world: str, found: Mapping[str, list[Any]]) -> dict[str, Any]:
    cold = {arm: [r["cold"] for r in mine if r["cold"]] for arm, mine in found.items()}
    some = next(told[0] for told in cold.values() if told)
    rows = [_cold_row(arm, told) if told else (arm, *["0, no vector"] * 3, "") for arm, told in cold.items()]
    chance = [f"{min(1.0, k / some['items']):.4f}".lstrip("0") for k in (10, 100)]
    rows.append(("*chance*", "", *chance, ".5000"))
    header = ("items by", "HR@100 among all", "HR@10 among the withheld", "HR@100 among the withheld", "mean place")
    note = f"{some['items']:,} withheld items, {some['cases']:,} events of them. Place: rank as a share of the items."
    return table(f"{world}: items that came later", header, rows, note)


def _cold_row(arm: str, cold: list[Any]) -> tuple[str, ...]:
    among = [c["among_withheld"] for c in cold]
    return (
        arm,
        ranged(c["among_all"]["hr@100"]["value"] for c in cold),
        *(f"{ranged(a[m]['value'] for a in among)}" for m in ("hr@10", "hr@100")),
        ranged(a["mean_place"] for a in among),
    )


def _minus(found: list[Any], others: list[Any]) -> str:
    """Over the seeds that both have; nothing for an arm beside itself."""
    seeds = {r["seed"]: r for r in others}
    pairs = [(r, seeds[r["seed"]]) for r in found if r["seed"] in seeds]
    if not pairs or found is others:
        return ""
    ranked = [[Ranked(np.array(r["ranks"]["test_ranks"])) for r in pair] for pair in pairs]
    return signed(difference([vars(paired_difference(parse("ndcg@10"), *pair)) for pair in ranked]))
