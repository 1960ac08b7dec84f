"""How fast RecBole gets from a file of interactions to training batches, in events a second.

    python -m benchmarks.peers.dataset 1000000            # or ml100k, or cj

Two ways: `general` reads, numbers and orders the events (BPR's data set); `sequential` also writes each prefix of a history
into a padded row of 50 of its own, which is what its sequential models train on.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from benchmarks import common, protocol
from benchmarks.peers.recbole_side import options, write_inter

WAYS = {"general": "BPR", "sequential": "SASRec"}


def measure(way: str, name: str, folder: Path) -> dict[str, Any]:
    """One build from file to batches in this process."""
    config = Config(model=WAYS[way], dataset=name, config_dict=options(WAYS[way], folder))
    init_seed(1, True)
    with common.Clock() as building:
        dataset = create_dataset(config)
    with common.Clock() as splitting:
        train, _, _ = data_preparation(config, dataset)
    with common.Clock() as first:
        next(iter(train))
    wall, cpu = (sum(getattr(c, k) for c in (building, splitting, first)) for k in ("wall", "cpu"))
    return {
        "create_dataset": building.values(),
        "data_preparation": splitting.values(),
        "first_batch": first.values(),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "peak_mib": common.peak_mib(),
    }


def events_in(what: str, folder: Path) -> tuple[str, Path, int]:
    """(data set's name, data_path, events) of a name or of a number of made-up events."""
    if not what.isdigit():
        data = protocol.load(what)
        return what, write_inter(data), len(data.items_E)
    path = folder / what / f"{what}.inter"
    path.parent.mkdir()
    common.write_interactions(path, int(what))
    header, _, rest = path.read_text(encoding="ascii").partition("\n")
    typed = "\t".join(f"{c}:{'float' if c == 'timestamp' else 'token'}" for c in header.split("\t"))
    path.write_text(f"{typed}\n{rest}", encoding="ascii")
    return what, folder, int(what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="ml100k, cj, or how many events to make up")
    parser.add_argument("--way", choices=list(WAYS), default="sequential")
    parser.add_argument("--fresh", action="store_true")
    args = parser.parse_args()
    entry = f"dataset-{args.way}-{args.data}"
    if (before := common.found("peers", entry)) and not args.fresh:
        print(json.dumps({**before, "reused": True}))
        return
    folder = Path(tempfile.mkdtemp())
    try:
        name, data_path, events = events_in(args.data, folder)
        time.sleep(1)  # the file's pages are written before the clock starts
        record = measure(args.way, name, data_path)
    finally:
        shutil.rmtree(folder)
    rates = {
        "events": events,
        "events_per_s": round(events / record["wall_s"]),
        "events_per_cpu_s": round(events / record["cpu_s"]),
    }
    common.keep("peers", entry, {**record, **rates})
    print(json.dumps({**record, **rates}))


if __name__ == "__main__":
    main()
