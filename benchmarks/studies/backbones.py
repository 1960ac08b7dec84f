"""Backbones: test NDCG@10 of every encoder by the common protocol, three seeds, beside the best peer row on the same events."""

from typing import Any

import numpy as np

from benchmarks import common, ours, training
from benchmarks.studies.tables import Entries, by, parts, ranged, short, table

TITLE = "Backbones"
ABOUT = (
    "The common protocol (benchmarks/protocol.py): last event test, last but one validation, full ranking, 50 events read. "
    "Each configuration of benchmarks/configs is tuned on validation alone and trained with three seeds."
)
SEEDS = (1, 2, 3)


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
    peer_name, peer = best_peer(data)
    rows = []
    for config in parts(mine, 1):
        found = by(mine, data, config)
        tests = [r["test"]["ndcg@10"] for r in found]
        better = "–"
        if peer:
            mean, error = training._paired(peer, [dict(r) for r in found])
            low, high = mean - 1.96 * error, mean + 1.96 * error
            better = f"{short(mean)} ({short(low)} to {short(high)}), × {np.mean(tests) / peer['test']['ndcg@10']:.2f}"
        valid = ranged(r["best"]["valid"] for r in found)
        rows.append((np.mean(tests), config, valid, ranged(tests), ranged(r["test"]["hr@10"] for r in found), better))
    rows.sort(reverse=True)
    said = f"{peer_name} {short(peer['test']['ndcg@10'])}" if peer else "none was run here"
    header = (
        "configuration",
        "best validation NDCG@10",
        "test NDCG@10",
        "test HR@10",
        "minus the best peer, paired by user",
    )
    return table(f"{data}: protocol NDCG@10", header, (row[1:] for row in rows), f"Best peer on this machine: {said}.")


def best_peer(data: str) -> tuple[str, dict[str, Any] | None]:
    """The peer's run with the best test figure, of those kept in results/peers.json."""
    found = {k: r for k, r in common.read("peers").items() if f"-{data}-" in k and "test_ranks" in r and "test" in r}
    if not found:
        return "", None
    name = max(found, key=lambda key: found[key]["test"]["ndcg@10"])
    return name, found[name]
