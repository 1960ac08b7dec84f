"""Backbones: test NDCG@10 of every encoder by the common protocol, three seeds, beside the best peer row on the same events."""

from typing import Any

import numpy as np

from benchmarks import common, ours, training
from benchmarks.studies.tables import Entries, by, parts, ranged, short, signed, table

TITLE = "Backbones"
ABOUT = (
    "The common protocol (benchmarks/protocol.py): last event test, last but one validation, full ranking, 50 events read. "
    "Each configuration of benchmarks/configs is tuned on validation alone and trained with three seeds."
)
SEEDS = (1, 2, 3)
Peer = tuple[str, dict[str, Any]]
"""Its name and what it reached."""


def jobs(quick: bool) -> list[str]:
    """data/configuration/seed; a run that `make bench` has kept is taken from there."""
    names = sorted(path.stem for path in ours.CONFIGS.glob("*_*.yaml"))
    if quick:
        return []  # the protocol has no small version; tests/cli and --check see to its parts
    return [f"{name.rpartition('_')[2]}/{name}/seed{seed}" for name in names for seed in SEEDS]


def run(key: str, quick: bool) -> dict[str, Any]:
    """One configuration, one seed."""
    _, config, seed = key.split("/")
    kept = common.read("ours").get(f"{config}-{seed}")
    if kept and kept.get("commit") == common.commit():
        return kept
    task = ours.read_task(config, [])
    record = ours.train(task, int(seed.removeprefix("seed")))
    return {**record, "encoder": task.to_values()["encoder"], "seed": int(seed.removeprefix("seed"))}


def tables(entries: Entries) -> list[dict[str, Any]]:
    """A table a data set, best first, each against the best peer."""
    return [_table(data, {k: r for k, r in entries.items() if k.startswith(f"{data}/")}) for data in parts(entries, 0)]


def _table(data: str, mine: Entries) -> dict[str, Any]:
    best, rows = best_peer(data), []
    for config in parts(mine, 1):
        found = by(mine, data, config)
        tests = [r["test"]["ndcg@10"] for r in found]
        figures = (ranged(r["best"]["valid"] for r in found), ranged(tests), ranged(r["test"]["hr@10"] for r in found))
        named = best_peer(data, f"{config.partition('_')[0]}-")
        rows.append((np.mean(tests), config, *figures, _than(found, named), _than(found, best)))
    rows.sort(reverse=True)
    header = ("configuration", "best validation NDCG@10", "test NDCG@10", "test HR@10")
    header += ("minus RecBole's of that name", "minus the best peer")
    note = (
        f"Best peer on this machine: {_said(best)}. Differences are paired user by user; × is the ratio of the means."
    )
    return table(f"{data}: protocol NDCG@10", header, (row[1:] for row in rows), note)


def _than(found: list[Any], peer: Peer | None) -> str:
    if peer is None:
        return "–"
    mean, error = training._paired(peer[1], [dict(r) for r in found])
    gap = {"mean": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error}
    ratio = np.mean([r["test"]["ndcg@10"] for r in found]) / peer[1]["test"]["ndcg@10"]
    return f"{signed(gap)}, × {ratio:.2f}"


def _said(peer: Peer | None) -> str:
    return f"{peer[0]} {short(peer[1]['test']['ndcg@10'])}" if peer else "none was run here"


def best_peer(data: str, named: str = "") -> Peer | None:
    """The peer's run with the best test figure, of those kept in results/peers.json whose name begins so."""
    kept = common.read("peers").items()
    found = {k: r for k, r in kept if f"-{data}-" in k and k.startswith(named) and "test_ranks" in r and "test" in r}
    return max(found.items(), key=lambda item: item[1]["test"]["ndcg@10"]) if found else None
