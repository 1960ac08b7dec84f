"""A made-up forgetting document. No number in it was ever measured."""

import copy
import math
from typing import Any

TASKS = ["next_product", "drug_gm", "age_band", "income", "household_size", "has_kids"]
METRIC = ["ndcg@10", "ndcg@10", "macro_f1", "macro_f1", "auc", "auc"]
LEARNED = [0.0912, 0.1243, 0.2711, 0.1188, 0.6420, 0.6731]


def document() -> dict[str, Any]:
    """Two isolating strategies and two that share weights, six tasks, counting baselines for the first."""
    return copy.deepcopy(
        {
            "lifelong": "0.1.0",
            "command": "lifelong forget tasks/complete_journey/*.yaml --strategies conure,sequential,peterrec,ewc",
            "created": "2026-01-02T03:04:05Z",
            "machine": "made-up machine, 2 cores, torch 2.13.0 (CPU)",
            "seed": 0,
            "dataset": "complete_journey",
            "notice": "A made-up document for tests: none of these numbers was measured.",
            "minutes": 9.8,
            "strategies": {
                "conure": strategy(isolates=True, loss=0.0),
                "sequential": strategy(isolates=False, loss=0.55),
                "peterrec": strategy(isolates=True, loss=0.0, lift=-0.004, claims=False),
                "ewc": strategy(isolates=False, loss=0.12),
            },
            "baselines": {
                "next_product": {
                    "popularity": {"ndcg@10": measure(0.0475, 2469), "hr@10": measure(0.0823, 2469)},
                    "markov": {"ndcg@10": measure(0.0535, 2469), "hr@10": measure(0.0860, 2469)},
                    "own frequency": {"ndcg@10": measure(0.0898, 2469), "hr@10": measure(0.1491, 2469)},
                    "model": {"ndcg@10": measure(0.0912, 2469), "hr@10": measure(0.1478, 2469)},
                },
                "age_band": {
                    "majority": {"macro_f1": measure(0.0933, 82)},
                    "model": {"macro_f1": measure(0.2711, 82)},
                },
            },
        }
    )


def measure(value: float, n: int) -> dict[str, Any]:
    half = 1.96 * math.sqrt(value * (1 - value) / n)
    return {"value": value, "low": max(0.0, value - half), "high": value + half, "n": n}


def strategy(*, isolates: bool, loss: float, lift: float = 0.0, claims: bool = True) -> dict[str, Any]:
    """`loss`: the share of an earlier task's value that five later tasks take away."""
    size = len(TASKS)

    def value(i: int, j: int) -> float | None:
        return None if j > i else (LEARNED[j] + lift) * (1 - loss * ((i - j) / size) ** 0.7 * (1 + 0.3 * (j % 2)))

    matrix = [[value(i, j) for j in range(size)] for i in range(size)]
    last = [v or 0.0 for v in matrix[-1]]
    drop = [(matrix[j][j] or 0.0) - last[j] for j in range(size)]
    moved = not isolates
    return {
        "tasks": TASKS,
        "metric": METRIC,
        "matrix": matrix,
        "low": [[v and v * 0.9 for v in row] for row in matrix],
        "high": [[v and v * 1.1 for v in row] for row in matrix],
        "backward_transfer": -sum(drop[:-1]) / (size - 1) if moved else 0.0,
        "forgetting": sum(drop[:-1]) / (size - 1) if moved else 0.0,
        "forgetting_per_task": drop,
        "average": {"ndcg@10": sum(last[:2]) / 2, "macro_f1": sum(last[2:4]) / 2, "auc": sum(last[4:]) / 2},
        "by_metric": {
            metric: {
                "forgetting": sum(drop[j] for j in js) / len(js) if moved else 0.0,
                "backward_transfer": -sum(drop[j] for j in js) / len(js) if moved else 0.0,
                "forward_gain": gain,
                "intransigence": None,
            }
            for metric, js, gain in (("ndcg@10", [0, 1], 0.03), ("macro_f1", [2, 3], 0.006), ("auc", [4], 0.015))
        },
        "forward_gain": {
            "value": 0.0121,
            "per_task": [0.0, 0.03, 0.01, 0.002, 0.02, 0.01],
            "scratch": [v - 0.012 for v in LEARNED],
        },
        "changed_bits": round(2_694_685 * loss),
        "changed_bits_per_step": [0] + [round(538_937 * loss)] * (size - 1),
        "parameters": [round(148_224 * 0.7**j) for j in range(size)],
        "bytes": [round(592_896 * 0.7**j) for j in range(size)],
        "seconds": [211.4, 64.0, 12.5, 11.8, 12.1, 11.9],
        "fingerprints": {
            t: [f"{t}-{i if moved else 0}" if i >= j else None for i in range(size)] for j, t in enumerate(TASKS)
        },
        "capacity": shares() if claims and isolates else [],
        "curves": {t: curve(j) for j, t in enumerate(TASKS)},
        "isolates": isolates,
    }


def shares() -> list[dict[str, Any]]:
    free, entries = 1.0, []
    for task in TASKS:
        entries.append({"task": task, "share": 0.3 * free})
        free *= 0.7
    return [*entries, {"task": "free", "share": free}]


def curve(j: int) -> list[dict[str, Any]]:
    top = LEARNED[j]
    return [
        {
            "epoch": e,
            "loss": 4.2 * math.exp(-e / 6) + 1.8,
            "valid": top * (1 - math.exp(-e / 3)) - 0.0006 * max(0, e - 9),
        }
        for e in range(1, 13 - j)
    ]


def description() -> dict[str, Any]:
    """What `inspect` shows of a made-up model."""
    entries = shares()
    tasks = [
        {
            "name": entry["task"],
            "parent": None if j == 0 else TASKS[0],
            "strategy": "conure",
            "owned": entry["share"],
            "visible": entry["share"] + (0.3 if j else 0.0),
            "bytes": round(592_896 * 0.7**j),
            "seconds": 211.4 / (j + 1),
        }
        for j, entry in enumerate(entries[:-1])
    ]
    return {
        "model": "shop",
        "version": 7,
        "encoder": "nextitnet",
        "tasks": tasks,
        "free": entries[-1]["share"],
        "parameters": 1_482_240,
    }


def many_runs(orders: int = 3, seeds: int = 3) -> dict[str, Any]:
    """The same over several orders and seeds, with what statistics make of them."""
    made = document()
    made["seeds"], made["orders"] = list(range(seeds)), [TASKS] * orders
    made["runs"] = [
        {
            **{k: v for k, v in strategy.items() if k not in ("low", "high")},
            "strategy": name,
            "order": order + 1,
            "seed": seed,
        }
        for name, strategy in made["strategies"].items()
        for order in range(orders)
        for seed in range(seeds)
    ]
    made["statistics"] = {
        "against": "conure",
        "strategies": {name: _over_seeds(s, seeds) for name, s in made["strategies"].items()},
        "tasks": {
            name: {task: _task(name, j, s) for j, task in enumerate(TASKS)} for name, s in made["strategies"].items()
        },
        "advice": {
            "drug_gm": {"use": "conure", "bytes": 415_027.0, "best": "conure", "behind": None, "cheaper": ["peterrec"]},
            "has_kids": {
                "use": "peterrec",
                "bytes": 99_648.0,
                "best": "conure",
                "behind": {"mean": 0.0051, "low": -0.01, "high": 0.02, "seeds": 3, "p_seeds": 0.3},
                "cheaper": [],
            },
        },
    }
    return made


def spread(value: float, seeds: int, half: float = 0.004) -> dict[str, Any]:
    values = [value + half * (k - (seeds - 1) / 2) / 2 for k in range(seeds)]
    ends = (value - 2 * half, value + 2 * half) if seeds > 1 and half else (value, value) if seeds > 1 else (None, None)
    return {"mean": value, "low": ends[0], "high": ends[1], "seeds": seeds, "values": values}


def _over_seeds(strategy: dict[str, Any], seeds: int) -> dict[str, Any]:
    still = strategy["forgetting"] == 0
    return {
        "forgetting": spread(strategy["forgetting"], seeds, 0.0 if still else 0.01),
        "backward_transfer": spread(strategy["backward_transfer"], seeds, 0.0 if still else 0.01),
        "forward_gain": spread(0.0121 if still else -0.02, seeds),
        "intransigence": spread(-0.004, seeds, 0.006),
        **{f"average {metric}": spread(value, seeds) for metric, value in strategy["average"].items()},
        "by_metric": {
            metric: {name: None if value is None else spread(value, seeds) for name, value in measures.items()}
            for metric, measures in strategy["by_metric"].items()
        },
        "cells": 9,
        "changed_cells": 0 if still else 9,
    }


def _task(name: str, j: int, strategy: dict[str, Any]) -> dict[str, Any]:
    gain = {
        "mean": 0.012 - 0.02 * (name == "ewc"),
        "low": 0.002 - 0.02 * (name == "ewc"),
        "high": 0.017 * (name != "ewc") - 0.001,
    }
    return {
        "just_learnt": spread(LEARNED[j], 3),
        "at_the_end": spread(strategy["matrix"][-1][j], 3),
        "gain": {**gain, "seeds": 3, "p_seeds": 0.02} if j else None,
        "negative_transfer": bool(j and gain["high"] < 0),
        "difference": None
        if name == "conure"
        else {"mean": -0.03, "low": -0.05, "high": -0.01, "seeds": 3, "p_seeds": None},
        "bytes": strategy["bytes"][j],
        "parameters": strategy["parameters"][j],
        "seconds": strategy["seconds"][j],
        "epochs": 11.3,
    }


BASELINES = {"majority": 0.09, "LR TF-IDF": 0.26, "LR SVD64": 0.277, "GBDT categories": 0.2}
CLASSES = ["<18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+"]


def profile() -> dict[str, Any]:
    """A made-up profile document of one task, over folds and on its own split."""
    return {
        "lifelong": "0.1.0",
        "created": "2026-01-02 03:04 UTC",
        "command": "lifelong evaluate checkpoints/films --profile age_band",
        "model": "films",
        "version": 3,
        "folds": 5,
        "repeats": 3,
        "seed": 0,
        "seen": False,
        "minutes": 2.5,
        "tasks": {
            "age_band": {
                "label": "age_band",
                "dataset": "movielens",
                "notice": "A made-up document for tests: none of these numbers was measured.",
                "classes": dict(zip(CLASSES, [30, 180, 320, 190, 80, 70, 73], strict=True)),
                "labelled": 943,
                "drawn": 943,
                "unseen": 91,
                "left_out": {"users without the label": 0},
                "baselines_read": "the whole history, 1682 items; categories: genres",
                "metrics": ["macro_f1", "accuracy", "auc"],
                "folds": profile_split({"frozen vector + probe": 0.29}, 91),
                "sealed": profile_split({"the task as sealed": 0.3, "frozen vector + probe": 0.285}, 91),
            }
        },
    }


def profile_split(ours: dict[str, float], n: int) -> dict[str, Any]:
    methods = {name: _answered(value, n, name in ours) for name, value in {**BASELINES, **ours}.items()}
    metrics = ("macro_f1", "accuracy", "auc")
    return {
        "users": n,
        "methods": methods,
        "differences": {
            name: {rival: {m: _minus(value - other, n) for m in metrics} for rival, other in BASELINES.items()}
            for name, value in ours.items()
        },
    }


def _minus(value: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": value - 0.06, "high": value + 0.06, "n": n}


def _answered(value: float, n: int, ours: bool) -> dict[str, Any]:
    size = len(CLASSES)
    confused = [[8.0 * (i == j) + max(0, 4 - 2 * abs(i - j)) for j in range(size)] for i in range(size)]
    return {
        "ours": ours,
        "metrics": {
            name: measure(value + lift, n) for name, lift in (("macro_f1", 0), ("accuracy", 0.1), ("auc", 0.4))
        },
        "seconds": 12.5,
        "ece": 0.042,
        "reliability": [
            {"confidence": c / 10 + 0.05, "accuracy": c / 10 + 0.02 * (c % 3), "n": 10 + 5 * c} for c in range(2, 9)
        ],
        "confusion": confused,
        "chosen": {"C 0.1, balanced": 9},
    }
