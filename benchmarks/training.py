"""Training: time to the peer's quality, targets a second, memory; the same data, the same rule of ranking, one thread each.

    python -m benchmarks.training                  # everything; what the peer reached on a machine like this one is reused
    python -m benchmarks.training --only quality --fresh
    python -m benchmarks.training --show           # the tables of what was measured before

The peer is RecBole 1.2.1 with anomaly detection off and glibc's thresholds raised, four times as fast as stock. It trains one
target a window, ours one a position. Figures are CPU seconds of single-threaded processes, which a busy machine moves least.
"""

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import common

SEEDS = (1, 2, 3)
ROUNDS = 3
PROBE_SECONDS = 10
BUILDS = (("general", "ml100k"), ("sequential", "ml100k"), ("general", "1000000"), ("sequential", "1000000"))


@dataclass(frozen=True)
class Pair:
    """One encoder, ours and the peer's."""

    config: str
    peer: tuple[str, ...]
    """Arguments of benchmarks.peers.train."""

    @property
    def entry(self) -> str:
        """The peer's entry in results/peers.json, with its seed."""
        model, data, _, batch = self.peer[:4]
        return f"{model.lower()}-{data}-batch{batch}-seed1"


FILMS = {
    "GRU4Rec": Pair("gru4rec_ml100k", ("GRU4Rec", "ml100k", "--batch", "256")),
    "NextItNet": Pair("nextitnet_ml100k", ("NextItNet", "ml100k", "--batch", "256")),
    "SASRec": Pair("sasrec_ml100k", ("SASRec", "ml100k", "--batch", "512")),
}
GROCERIES = {"GRU4Rec": Pair("gru4rec_cj", ("GRU4Rec", "cj", "--batch", "512", "--epochs", "1"))}


def train_all(pairs: dict[str, Pair], seeds: tuple[int, ...], fresh: bool) -> None:
    """Ours and the peer in turn, every run in a process of its own; results/ours.json and results/peers.json."""
    for pair in pairs.values():
        agreement = common.measured("ours", pair.config, "--check")
        if not all(agreement.values()):
            raise SystemExit(
                f"{pair.config}: not the protocol: {[what for what, same in agreement.items() if not same]}"
            )
        common.measured("peers.train", *pair.peer, *(["--fresh"] if fresh else []), peer=True)
        for seed in seeds:
            common.measured("ours", pair.config, "--seed", str(seed))


def quality(pairs: dict[str, Pair]) -> list[dict[str, Any]]:
    """A row a pair, from what was measured."""
    theirs, ours = common.read("peers"), common.read("ours")
    rows = []
    for name, pair in pairs.items():
        runs = [ours[f"{pair.config}-seed{seed}"] for seed in SEEDS if f"{pair.config}-seed{seed}" in ours]
        if runs and "best" in theirs.get(pair.entry, {}):
            rows.append({"model": name, **_compared(theirs[pair.entry], runs)})
    return rows


def _compared(peer: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = peer["best"]["valid"]
    passed = [next((p for p in run["curve"] if p["valid"] >= wanted), None) for run in runs]
    cpu = [math.inf if p is None else p["cpu_s"] for p in passed]
    difference, error = _paired(peer, runs)
    return {
        "peer_valid": wanted,
        "peer_epoch": peer["best"]["epoch"],
        "peer_cpu_s": peer["best"]["cpu_s"],
        "peer_wall_s": peer["best"]["wall_s"],
        "passed": sum(p is not None for p in passed),
        "runs": len(runs),
        "cpu_s": vars(common.spread(cpu)),
        "wall_s": vars(common.spread(math.inf if p is None else p["wall_s"] for p in passed)),
        "times_faster": vars(common.spread(peer["best"]["cpu_s"] / s for s in cpu)),
        "best_valid": vars(common.spread(run["best"]["valid"] for run in runs)),
        "best_cpu_s": vars(common.spread(run["best"]["cpu_s"] for run in runs)),
        "peer_test": peer["test"]["ndcg@10"],
        "test": vars(common.spread(run["test"]["ndcg@10"] for run in runs)),
        "test_difference": difference,
        "test_standard_error": error,
        "harness_agrees": all(run["harness_agrees"] for run in runs),
        "peer_parameters": peer["parameters"],
        "parameters": runs[0]["parameters"],
        "peer_peak_mib": peer["peak_mib"],
        "peak_mib": runs[0]["peak_mib"],
    }


def _paired(peer: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean difference of a user's NDCG@10, ours (mean of the runs) minus the peer's, and its standard error over users."""
    ours_U = np.mean([_gain(run["test_ranks"]) for run in runs], axis=0)
    difference_U = ours_U - _gain(peer["test_ranks"])
    return float(difference_U.mean()), float(difference_U.std(ddof=1) / math.sqrt(len(difference_U)))


def _gain(ranks: str) -> np.ndarray:
    ranks_U = np.array(ranks.split(), int)
    return np.where(ranks_U <= 10, 1 / np.log2(ranks_U + 1), 0)


def ranged(spread: dict[str, float], form: str) -> str:
    """Median (low to high); never for a time that was not reached."""
    shown = [format(spread[k], form) if math.isfinite(spread[k]) else "never" for k in ("median", "low", "high")]
    return "{} ({} to {})".format(*shown)


def show_quality(title: str, rows: list[dict[str, Any]]) -> None:
    """The table of time to quality."""
    n = common.number
    common.table(
        title,
        [
            "model",
            "peer's best validation",
            "peer, CPU s (wall)",
            "ours until there, CPU s",
            "times faster",
            "peer's test",
            "ours",
            "difference ± se",
            "MiB peer / ours",
        ],
        [
            [
                r["model"],
                f"{r['peer_valid']:.4f} (epoch {r['peer_epoch']})",
                f"{n(r['peer_cpu_s'])} ({n(r['peer_wall_s'])})",
                f"{ranged(r['cpu_s'], '.3g')}, {r['passed']} of {r['runs']} seeds",
                ranged(r["times_faster"], ".1f"),
                f"{r['peer_test']:.4f}",
                ranged(r["test"], ".4f"),
                f"{r['test_difference']:+.4f} ± {r['test_standard_error']:.4f}",
                f"{n(r['peer_peak_mib'])} / {n(r['peak_mib'])}",
            ]
            for r in rows
        ],
    )


def throughput(pairs: dict[str, Pair], rounds: int) -> list[dict[str, Any]]:
    """Targets and tokens a CPU second, ours and the peer in turn, `rounds` times; a row a pair."""
    rows = []
    for name, pair in pairs.items():
        sides: dict[str, list[dict[str, Any]]] = {"peer": [], "ours": []}
        for _ in range(rounds):
            sides["peer"].append(common.measured("peers.train", *pair.peer, "--probe", str(PROBE_SECONDS), peer=True))
            sides["ours"].append(common.measured("ours", pair.config, "--probe"))
        row: dict[str, Any] = {"model": name}
        for unit in ("targets_per_cpu_s", "tokens_per_cpu_s", "peak_mib"):
            row |= {f"{side}_{unit}": vars(common.spread(r[unit] for r in made)) for side, made in sides.items()}
        ratios = [
            b["targets_per_cpu_s"] / a["targets_per_cpu_s"] for a, b in zip(sides["peer"], sides["ours"], strict=True)
        ]
        rows.append({**row, "times_faster": vars(common.spread(ratios))})
        common.keep("training", f"throughput-{name}-{pair.config.rpartition('_')[2]}", rows[-1])
    return rows


def show_throughput(rows: list[dict[str, Any]]) -> None:
    """The table of throughput."""
    n = common.number
    both = lambda r, unit: [n(r[f"{side}_{unit}"]["median"]) for side in ("peer", "ours")]  # noqa: E731
    common.table(
        f"Training throughput, one thread, a CPU second, {ROUNDS} rounds in turn",
        [
            "model",
            "targets, peer",
            "targets, ours",
            "times faster (range)",
            "tokens, peer",
            "tokens, ours",
            "MiB, peer",
            "MiB, ours",
        ],
        [
            [
                r["model"],
                *both(r, "targets_per_cpu_s"),
                ranged(r["times_faster"], ".1f"),
                *both(r, "tokens_per_cpu_s"),
                *both(r, "peak_mib"),
            ]
            for r in rows
        ],
    )


def builds(fresh: bool) -> None:
    """How fast the peer gets from a file to training batches; read by benchmarks.preparation."""
    for way, data in BUILDS:
        common.measured("peers.dataset", data, "--way", way, *(["--fresh"] if fresh else []), peer=True)


def show() -> None:
    """All tables, from what was measured."""
    for title, pairs, entry in (
        (
            "MovieLens-100k: time to the peer's best validation NDCG@10, and test NDCG@10 at one's own best",
            FILMS,
            "films",
        ),
        ("Complete Journey: time to what the peer reaches in one epoch", GROCERIES, "groceries"),
    ):
        rows = quality(pairs)
        if rows:
            show_quality(title, rows)
            for row in rows:
                common.keep("training", f"{entry}-{row['model']}", row)
    rows = [row for name, row in common.read("training").items() if name.startswith("throughput-")]
    if rows:
        show_throughput(rows)
    built = {name: row for name, row in common.read("peers").items() if name.startswith("dataset-")}
    if built:
        common.table(
            "The peer from a file to its first training batch",
            ["data", "events", "events/s", "events/CPU s", "MiB"],
            [
                [k, v["events"], float(v["events_per_s"]), float(v["events_per_cpu_s"]), v["peak_mib"]]
                for k, v in built.items()
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["builds", "quality", "throughput", "groceries"])
    parser.add_argument("--quick", action="store_true", help="one seed, one round, films only")
    parser.add_argument("--fresh", action="store_true", help="run the peer again, too")
    parser.add_argument("--show", action="store_true", help="only print what was measured before")
    args = parser.parse_args()
    wanted = lambda part: not args.show and args.only in (None, part)  # noqa: E731
    seeds = SEEDS[:1] if args.quick else SEEDS
    if wanted("builds"):
        builds(args.fresh)
    if wanted("throughput"):
        throughput(FILMS, 1 if args.quick else ROUNDS)
    if wanted("quality"):
        train_all(FILMS, seeds, args.fresh)
    if wanted("groceries") and not args.quick:
        train_all(GROCERIES, seeds[:1], args.fresh)
    show()


if __name__ == "__main__":
    main()
