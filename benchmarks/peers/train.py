"""Train one of RecBole's sequential models until its validation stops rising, and write its curve after every epoch.

    python -m benchmarks.peers.train GRU4Rec ml100k --batch 256 --patience 4

Selected and stopped by the protocol's validation NDCG@10, the measure that ours is selected by. Wall and CPU seconds of an
epoch are those of its training pass and one validation; what the measuring itself adds is not in them.
"""

import argparse
import contextlib
import copy
import json
import os
import time
from typing import Any

import torch

from benchmarks import common, protocol
from benchmarks.peers.recbole_side import made, scores_of, write_inter


class TimeIsUp(Exception):
    """The epoch is stopped where it is."""


class Capped:
    """RecBole's training batches, until so many CPU seconds of the process are spent."""

    def __init__(self, loader: Any, until_cpu: float) -> None:
        self.loader, self.until_cpu, self.windows = loader, until_cpu, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        for batch in self.loader:
            if time.process_time() > self.until_cpu:
                raise TimeIsUp
            yield batch
            self.windows += len(batch)


def train(args: argparse.Namespace, entry: str) -> dict[str, Any]:
    """The whole run; what is known so far is in results/peers.json after every epoch."""
    data = protocol.load(args.data)
    with common.Clock() as preparing:
        dataset, batches, net, trainer = made(
            args.model, args.data, write_inter(data), args.seed, train_batch_size=args.batch, **trial(args)
        )
    feed = Capped(batches, time.process_time() + args.cap)
    inter = batches._dataset.inter_feat
    record: dict[str, Any] = {
        "model": args.model,
        "data": args.data,
        "seed": args.seed,
        "batch": args.batch,
        "parameters": sum(p.numel() for p in net.parameters()),
        "windows": len(inter),
        "tokens": int(inter["item_length"].sum()),
        "prepare": preparing.values(),
        "curve": [],
        "finished": False,
    }
    best, kept, wall, cpu = -1.0, copy.deepcopy(net.state_dict()), 0.0, 0.0
    for epoch in range(1, args.epochs + 1):
        before, stopped = feed.windows, False
        with common.Clock() as training:
            try:
                trainer._train_epoch(feed, epoch - 1)
            except TimeIsUp:
                stopped = True
        net.eval()
        with common.Clock() as validating:
            valid, _ = protocol.evaluate(data, scores_of(net, dataset, data), "valid")
        wall, cpu = wall + training.wall + validating.wall, cpu + training.cpu + validating.cpu
        point = {
            "epoch": epoch,
            "share": round((feed.windows - before) / len(inter), 4),
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "train_wall_s": round(training.wall, 2),
            "train_cpu_s": round(training.cpu, 2),
            "valid_cpu_s": round(validating.cpu, 2),
            "valid": valid["ndcg@10"],
            "load": round(os.getloadavg()[0], 1),
        }
        record["curve"].append(point)
        print(entry, point, flush=True)
        if valid["ndcg@10"] > best:
            best, kept = valid["ndcg@10"], copy.deepcopy(net.state_dict())
        common.keep("peers", entry, {**record, "peak_mib": common.peak_mib()})
        since_best = epoch - 1 - max(range(epoch), key=lambda n: record["curve"][n]["valid"])
        if stopped or since_best >= args.patience:
            break
    return {**record, **at_best(record, net, kept, dataset, data), "peak_mib": common.peak_mib(), "finished": True}


def rate(args: argparse.Namespace) -> dict[str, float]:
    """Supervised targets (one a window) and real tokens a CPU second, from the first step on."""
    more = {"train_batch_size": args.batch, **trial(args)}
    _, batches, _, trainer = made(args.model, args.data, write_inter(protocol.load(args.data)), args.seed, **more)
    feed = Capped(batches, time.process_time() + args.probe)
    with common.Clock() as training, contextlib.suppress(TimeIsUp):
        trainer._train_epoch(feed, 0)
    tokens = batches._dataset.inter_feat["item_length"].float().mean().item()
    return {
        "targets_per_cpu_s": feed.windows / training.cpu,
        "tokens_per_cpu_s": feed.windows * tokens / training.cpu,
        "targets_per_s": feed.windows / training.wall,
        "peak_mib": common.peak_mib(),
    }


def at_best(record: dict[str, Any], net: Any, kept: Any, dataset: Any, data: protocol.Interactions) -> dict[str, Any]:
    """Where validation was best, and the test figures there."""
    net.load_state_dict(kept)
    net.eval()
    test, ranks_U = protocol.evaluate(data, scores_of(net, dataset, data), "test")
    return {
        "best": max(record["curve"], key=lambda point: point["valid"]),
        "test": test,
        "test_ranks": " ".join(map(str, ranks_U)),
    }


def trial(args: argparse.Namespace) -> dict[str, Any]:
    """Options beyond the reference's, as KEY=VALUE."""
    pairs = (pair.partition("=")[::2] for pair in args.set)
    return {key: float(value) if "." in value or "e" in value else int(value) for key, value in pairs}


def entry_name(args: argparse.Namespace) -> str:
    """How the run is called in results/peers.json."""
    return "-".join([args.model.lower(), args.data, f"batch{args.batch}", f"seed{args.seed}", *args.set])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", choices=list(protocol.REMOVES_HISTORY))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument(
        "--cap", type=float, default=1e9, help="stop after so many CPU seconds of training, wherever it is"
    )
    parser.add_argument(
        "--probe", type=float, help="time so many CPU seconds of training, print windows a second, keep nothing"
    )
    parser.add_argument("--set", nargs="*", default=[], help="options of RecBole, KEY=VALUE")
    parser.add_argument("--fresh", action="store_true")
    args = parser.parse_args()
    entry = entry_name(args)
    if args.probe:
        print(json.dumps(rate(args)))
        return
    if (before := common.found("peers", entry)) and not args.fresh:
        print(json.dumps({**before, "reused": True}))
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    record = train(args, entry)
    common.keep("peers", entry, record)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
