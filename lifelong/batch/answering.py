"""Answers for a folder of event files: a Parquet file a partition, whole or not there, skipped when done, shared out by rank.

A finished file carries in its Parquet footer what decided it and what was counted. So what is done needs no list of its own,
and a run that was killed goes on with the partition it was at.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lifelong.batch.partitions import Partition, Shard, find_partitions, user_hash
from lifelong.batch.tables import Asked
from lifelong.core.config import plain
from lifelong.core.errors import DataError, UsageError
from lifelong.core.fingerprint import NUMERIC_VERSION, canonical_json, numeric_stack
from lifelong.core.progress import Progress, Silent
from lifelong.data.filehash import file_identity
from lifelong.store.files import Files

BATCH_VERSION = 1
"""Raised whenever the same input would give another file."""
MANIFEST = "_manifest.json"
FOOTER = b"lifelong"
COUNTS = (
    "rows_read",
    "rows_dropped",
    "events",
    "events_unknown",
    "users",
    "users_answered",
    "users_skipped",
    "users_cold",
)
STALE_SECONDS = 3600.0
"""A partial file that nobody has written to for so long is what a killed run left."""

Record = dict[str, Any]
"""What a footer holds: asks, input, stack, version, counts, recall."""


def run_batch(
    asked: Asked,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    shard: Shard = Shard(),
    format: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answer this shard's partitions that are not done, and return the manifest as it then stands for all of them.

    A user's events must all lie in one partition. Once every partition is done that is checked, by 64-bit hashes of the ids:
    a user in two raises DataError, and no manifest says complete. Memory is that of one partition. Raises UsageError,
    DataError; what was finished before stays.
    """
    partitions, progress, out = find_partitions(inputs, out), progress or Silent(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _refuse_strangers(out, partitions)
    mine, asks, made = partitions[shard.index :: shard.count], _asks(asked), 0
    progress.start("partitions", len(mine))
    for partition in mine:
        record = finished(partition, asks)
        if record is None or record["input"] != file_identity(partition.input):
            _answer(asked, partition, asks, format)
            made += 1
        progress.advance()
    progress.end()
    manifest = write_manifest(partitions, out, asks)
    return {**manifest, "shard": f"{shard.index}/{shard.count}", "made": made, "skipped": len(mine) - made}


def finished(partition: Partition, asks: Mapping[str, Any]) -> Record | None:
    """The record in a partition's output where that is whole, answers just this and fits the input's size; else None."""
    if not partition.output.is_file():
        return None
    try:
        footer = pq.read_metadata(partition.output).metadata or {}
    except (pa.ArrowException, OSError):  # whatever lies there is no whole file, and is written again
        return None
    record: Record = json.loads(footer.get(FOOTER, b"{}"))
    fits = record.get("asks") == asks and record["input"]["bytes"] == partition.input.stat().st_size
    return record if fits else None


def write_manifest(partitions: Sequence[Partition], out: Path, asks: Mapping[str, Any]) -> dict[str, Any]:
    """What is done of all partitions, with counts that add up, in `out`/_manifest.json. Raises DataError, see run_batch."""
    records = {p: finished(p, asks) for p in partitions}
    while True:
        done = {p: record for p, record in records.items() if record is not None}
        if len(done) == len(partitions):
            _check_apart(partitions)
        document = {
            **asks,
            "complete": len(done) == len(partitions),
            "partitions": len(partitions),
            "missing": [p.name for p in partitions if p not in done],
            "totals": _totals([record["counts"] for record in done.values()]),
            "stacks": len({canonical_json(record["stack"]) for record in done.values()}),
            "files": {p.name: _brief(p, record, out) for p, record in done.items()},
        }
        _put(out / MANIFEST, json.dumps(document, indent=1).encode())
        before, records = records, {p: finished(p, asks) for p in partitions}
        if before == records:
            return document  # else another shard finished something, and may have written its manifest before this one


def _asks(asked: Asked) -> dict[str, Any]:
    """What is asked of which task. Its answers never change while its identity stands, in whatever version of the model."""
    assert asked.model.version is not None
    return {
        "format": [BATCH_VERSION, NUMERIC_VERSION],
        "identity": asked.model.version.body["tasks"][asked.task]["identity"],
        "question": {**plain(asked.question), "task": asked.task},
    }


def _answer(asked: Asked, partition: Partition, asks: Mapping[str, Any], format: str | None) -> None:
    """Write one partition's answers, then put them in place; whatever stops it, no half of a file is ever there."""
    folder, name = partition.output.parent, partition.output.name
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{token_hex(4)}.partial"
    record: Record = {
        "asks": asks,
        "input": file_identity(partition.input),
        "stack": numeric_stack(),
        "counts": _totals([]),
    }
    try:
        with pq.ParquetWriter(partial, asked.schema) as writer:
            if not _is_empty(partition.input):
                read = asked.read(partition.input, format)
                record["counts"] = _totals([read.counts])
                for table in asked.answer(read):
                    writer.write_table(table)
            record["version"] = asked.model.version and asked.model.version.number
            record["recall"] = asked.index and asked.index.recall
            writer.add_key_value_metadata({FOOTER: canonical_json(record)})
        if record["input"] != file_identity(partition.input):
            raise DataError(f"{partition.input}: changed while it was read; run it again when nothing writes to it")
        _flush(partial)
        os.replace(partial, partition.output)
        Files().fsync_dir(folder)
    finally:
        partial.unlink(missing_ok=True)
    _sweep(folder, name)


def _sweep(folder: Path, name: str) -> None:
    """Remove what killed runs left of this partition."""
    for left in folder.glob(f".{name}.*.partial"):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            left.unlink(missing_ok=True)


def _totals(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    totals = {name: sum(count[name] for count in counts) for name in COUNTS}
    lost_users = totals["users"] - totals["users_answered"] - totals["users_skipped"]
    if lost_users or totals["rows_read"] != totals["events"] + totals["rows_dropped"]:
        raise AssertionError(f"users or rows do not add up: {totals}")
    return totals


def _brief(partition: Partition, record: Record, out: Path) -> dict[str, Any]:
    output = partition.output.relative_to(out).as_posix()
    return {"output": output, **{key: record[key] for key in ("version", "recall", "counts")}}


def _check_apart(partitions: Sequence[Partition]) -> None:
    """Raises DataError where a user stands in two partitions: each was answered from a part of the history."""
    hashes = [np.unique(user_hash(pc.unique(_users(p)))) for p in partitions]
    place_N = np.repeat(np.arange(len(hashes)), [len(h) for h in hashes])
    hash_N = np.concatenate(hashes)
    order_N = np.argsort(hash_N, kind="stable")
    same = np.flatnonzero(hash_N[order_N][1:] == hash_N[order_N][:-1])
    if len(same):
        one, other = (partitions[place_N[order_N[same[0] + n]]].name for n in (0, 1))
        raise DataError(
            f"{len(same)} users have events in two partitions, such as {one} and {other}, and were answered from a part of "
            "their history; write the events in partitions of whole users (examples/ray_batch.py)"
        )


def _users(partition: Partition) -> pa.ChunkedArray:
    return pq.ParquetFile(partition.output).read(columns=["user"])["user"]


def _refuse_strangers(out: Path, partitions: Sequence[Partition]) -> None:
    """A program that reads the folder would read them, too."""
    strangers = sorted(set(out.rglob("*.parquet")) - {p.output for p in partitions})
    if strangers:
        raise UsageError(f"--out {out}: holds {strangers[0].name}, which no input gives; choose an empty folder")


def _is_empty(path: Path) -> bool:
    """Whether it is a Parquet file without rows, as engines leave them."""
    return path.suffix in (".parquet", ".pq") and pq.read_metadata(path).num_rows == 0


def _put(path: Path, data: bytes) -> None:
    partial = path.parent / f".{path.name}.{token_hex(4)}.partial"
    partial.write_bytes(data)
    _flush(partial)
    os.replace(partial, path)


def _flush(path: Path) -> None:
    """Wait until a file's bytes would survive a power cut."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        Files().fsync(descriptor)
    finally:
        os.close(descriptor)
