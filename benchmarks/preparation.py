"""How fast events become a prepared data set, how the cost grows, and how much memory it takes.

    python -m benchmarks.preparation                       # 10^5 to 10^7 events, every form
    python -m benchmarks.preparation --events 100000000 --forms parquet-numbers

Each figure is of a fresh process with one thread. Events come from the invented world (data set `synthetic`, 100 a user, 20,000
items), straight or as a file written before: making them is measured apart. RecBole's build is `benchmarks.peers.dataset`.
Needs some 45 bytes of disk an event, in $TMPDIR, given back at the end.
"""

import argparse
import hashlib
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks import common
from lifelong.data.datasets.base import CodedBatch, EventBatch, Source
from lifelong.data.datasets.files import Files
from lifelong.data.datasets.synthetic import Synthetic
from lifelong.data.frames import Frames
from lifelong.data.prepare import prepare

PER_USER, ITEMS, BLOCK = 100, 20_000, 1 << 18
STRAIGHT = ("random", "synthetic")
"""Forms without a file."""
FORMS = ("random", "synthetic", "parquet-numbers", "parquet-text", "csv-numbers", "csv-text")
NAME = "preparation"


def world(events: int) -> Synthetic:
    """About so many events."""
    return Synthetic(Synthetic.Config(users=max(1, events // PER_USER), items=ITEMS, events_per_user=PER_USER))


class Random(Source):
    """Events without a pattern, rows in random order, ids as whole numbers: little work to make, the most to put in order."""

    def __init__(self, count: int) -> None:
        super().__init__(Source.Config())
        self.count = count

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "events": self.count}

    def events(self) -> Iterator[EventBatch]:
        for first in range(0, self.count, BLOCK):
            random, rows = np.random.default_rng([0, first]), min(BLOCK, self.count - first)
            table = {
                "user": random.integers(0, max(1, self.count // PER_USER), rows),
                "item": (random.random(rows) ** 3 * ITEMS).astype(np.int64),
                "time": random.integers(1_500_000_000, 1_600_000_000, rows),
            }
            yield CodedBatch(pa.table(table), rows)


def made(events: int, form: str) -> Source:
    """Events that are made while they are read."""
    return Random(events) if form == "random" else world(events)


def tables(events: int, numbers: bool) -> Iterator[pa.Table]:
    """The world's events, ids as int64 or as text."""
    for batch in world(events).events():
        table = batch.coded
        for place, name in enumerate(("user", "item")):
            ids: Any = table[name].chunk(0)
            found = pc.utf8_slice_codeunits(ids.dictionary, 1).cast(pa.int64()) if numbers else ids.dictionary
            table = table.set_column(place, name, found.take(ids.indices))
        yield table


def write(events: int, form: str, path: Path) -> int:
    """The world as a file; how many events it has."""
    count, writer = 0, None
    for table in tables(events, form.endswith("numbers")):
        if writer is None:
            parquet = form.startswith("parquet")
            writer = pq.ParquetWriter(path, table.schema) if parquet else pyarrow.csv.CSVWriter(path, table.schema)
        writer.write_table(table)
        count += len(table)
    if writer is not None:
        writer.close()
    return count


def path_of(folder: Path, events: int, form: str) -> Path:
    return folder / f"{form}-{events}.{form.partition('-')[0]}"


def make(events: int, form: str, folder: Path) -> dict[str, Any]:
    """Writing the file (or, without one, making the events and dropping them)."""
    with common.Clock() as clock:
        count = (
            sum(len(b.coded) for b in made(events, form).events())
            if form in STRAIGHT
            else write(events, form, path_of(folder, events, form))
        )
    return {"events": count, **clock.values(), "peak_mib": common.peak_mib()}


def measure(events: int, form: str, folder: Path, memory: int | None) -> dict[str, Any]:
    """Preparing, from the source to an opened Prepared. A small one before it loads what is loaded once."""
    source = made(events, form) if form in STRAIGHT else Files(Files.Config(events=str(path_of(folder, events, form))))
    small = Frames(pa.table({"user": ["a", "b"] * 50, "item": ["x", "y"] * 50, "time": list(range(100))}))
    prepare(small, folder / "cache")
    base = common.peak_mib()
    with common.Clock() as clock:
        prepared = prepare(source, folder / "cache", memory=memory)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "events": len(prepared.items_E),
        **clock.values(),
        "user_s": round(used.ru_utime, 2),
        "peak_mib": common.peak_mib(),
        "before_mib": base,
        "users": len(prepared.users),
        "items": len(prepared.items),
        "sha256": hashlib.sha256((prepared.folder / "users.arrow").read_bytes()).hexdigest()[:16],
    }
    shutil.rmtree(prepared.folder)
    return found


def in_a_process(stage: str, events: int, form: str, folder: Path, memory: int | None) -> dict[str, Any]:
    """One stage in a fresh process with one thread, so that memory and CPU seconds are its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.preparation",
        "--stage",
        stage,
        "--events",
        str(events),
        "--forms",
        form,
    ]
    command += ["--folder", str(folder), *([] if memory is None else ["--memory", str(memory)])]
    environment = {**os.environ, **common.ONE_THREAD}
    said = subprocess.run(
        command, cwd=common.ROOT.parent, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(said.stdout.splitlines()[-1])


def compare(events: int, form: str, runs: int, folder: Path, memory: int | None) -> None:
    """Make the events once, prepare them some times, keep what was measured."""
    made = in_a_process("make", events, form, folder, memory)
    found = [in_a_process("measure", events, form, folder, memory) for _ in range(runs)]
    path_of(folder, events, form).unlink(missing_ok=True)
    cpu = common.spread(run["cpu_s"] for run in found)
    record = {
        "asked": events,
        "form": form,
        "memory": memory or "default",
        "make": made,
        "runs": found,
        "events": found[0]["events"],
        "cpu_s": vars(cpu),
        "events_per_cpu_s": vars(common.spread(run["events"] / run["cpu_s"] for run in found)),
        "events_per_s": vars(common.spread(run["events"] / run["wall_s"] for run in found)),
        "peak_mib": max(run["peak_mib"] for run in found),
    }
    common.keep(NAME, f"{form}-{events}", record)


def slope(form: str, records: dict[str, Any]) -> float:
    """The growth of CPU seconds with events in log-log, by least squares over all sizes measured; NaN for fewer than two."""
    points = sorted((r["events"], r["cpu_s"]["median"]) for r in records.values() if r["form"] == form)
    if len(points) < 2:
        return math.nan
    x, y = np.log(np.array(points).T)
    return float(np.polyfit(x, y, 1)[0])


def show() -> None:
    """The table of everything kept, and the growth of each form."""
    records = {name: r for name, r in common.read(NAME).items() if common.same_machine(r)}
    peer = {name: r for name, r in common.read("peers").items() if name.startswith("dataset-sequential-")}
    theirs = max((r["events_per_cpu_s"] for r in peer.values()), default=math.nan)
    rows = []
    for record in sorted(records.values(), key=lambda r: (r["form"], r["events"])):
        rate = common.Spread(**record["events_per_cpu_s"])
        wall, make_rate = common.Spread(**record["events_per_s"]), record["make"]["events"] / record["make"]["cpu_s"]
        rows.append([record["form"], f"{record['events']:,}", str(rate), str(wall), common.number(make_rate)])
        rows[-1] += [f"{record['peak_mib']:,.0f}", common.number(rate.median / theirs)]
    header = [
        "from",
        "events",
        "prepared, events/CPU s",
        "events/s (wall)",
        "made, events/CPU s",
        "peak MiB",
        "x RecBole",
    ]
    common.table(
        f"Preparing, one thread; RecBole's best build here: {common.number(theirs)} events/CPU s", header, rows
    )
    forms = sorted({r["form"] for r in records.values()})
    common.table(
        "Growth of CPU seconds with events (1 is flat cost per event)",
        ["from", "slope"],
        [[f, slope(f, records)] for f in forms],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[10**5, 10**6, 10**7])
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=list(FORMS))
    parser.add_argument("--runs", type=int, default=1, help="how often each is prepared")
    parser.add_argument("--memory", type=int, help="bytes of events held; left out: the library's default")
    parser.add_argument("--stage", choices=("make", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        (form,), (events,) = args.forms, args.events
        found = (
            make(events, form, args.folder) if args.stage == "make" else measure(events, form, args.folder, args.memory)
        )
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="lifelong-preparation-") as folder:
        for events in args.events:
            for form in args.forms:
                compare(events, form, args.runs, Path(folder), args.memory)
    show()


if __name__ == "__main__":
    main()
