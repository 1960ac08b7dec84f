"""D12, D13: what would fill the memory is refused before it does, in a process that may have little of it."""

import json
import subprocess
import sys

import pytest

BOMBS = r"""
import gzip, io, json, resource, struct, sys, time, zlib
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from PIL import Image
from lifelong.core.errors import DataError
from lifelong.core.pictures import open_picture
from lifelong.data.events import Columns, read_events

folder, careless = Path(sys.argv[1]), sys.argv[2] == "careless"

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(width, height, before=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + data

def webp(width, height):
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", len(body)) + body

def packed(line, times):
    made, block = zlib.compressobj(9, wbits=31), line * 100_000
    return b"".join([made.compress(b"user,item,time\n"), *(made.compress(block) for _ in range(times)), made.flush()])

def written(name, data):
    (folder / name).write_bytes(data)

written("bomb.csv.gz", packed(b"a,x,1\n", 400))                       # 0.2 MB -> 240 MB
written("line_ends.csv.gz", packed(b"\n", 600))                       # 60 MB of line ends
written("one_line.csv.gz", packed(b"a", 600))                         # a cell of 60 MB
written("columns.csv", ",".join(f"c{n}" for n in range(10**6)).encode() + b"\n1\n")
written("header.png", png(50_000, 50_000))
written("canvas.webp", webp(16_383, 16_383))
written("text.png", png(10, 10, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20 << 20), 9))))
written("zip.csv", b"PK\3\4" + bytes(1000))
part = pa.ListArray.from_arrays(pa.array([0, 4_000_000], pa.int32()), pa.array(np.zeros(4_000_000, np.int64)))
lists = pa.table({"user": ["a"], "item": part, "time": part})
with pq.ParquetWriter(folder / "lists.parquet", lists.schema, compression="zstd") as out:
    for _ in range(8): out.write_table(lists)
runs = pa.table({name: np.zeros(1 << 20, np.int64) for name in ("user", "item", "time")})
with pq.ParquetWriter(folder / "runs.parquet", runs.schema, compression="zstd") as out:
    for _ in range(12): out.write_table(runs)
with pa.ipc.new_file(folder / "packed.arrow", runs.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
    for _ in range(12): out.write_table(runs)
nulls = pa.table({name: pa.nulls(2**31 - 1) for name in ("user", "item", "time")})
with pa.ipc.new_file(folder / "nulls.arrow", nulls.schema) as out: out.write_table(nulls, max_chunksize=2**31 - 1)
wide = pa.table({f"c{n}": [1] for n in range(10_001)})
pq.write_table(wide, folder / "wide.parquet")
del part, lists, runs, nulls, wide
if careless:
    from lifelong.data.formats import base, parquet
    base.FREE_BYTES = parquet.FREE_BYTES = 1 << 40

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def reset():
    Path("/proc/self/clear_refs").write_text("5")

resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
for path in sorted(folder.iterdir()):
    if careless and path.name != "lists.parquet":
        continue
    reset()
    before, began, said = peak(), time.process_time(), ""
    try:
        open_picture(path) if path.suffix in (".png", ".webp") else [b.rows_read for b in read_events(path, Columns())]
    except DataError as error:
        said = str(error)
    found = {"name": path.name, "bytes": path.stat().st_size, "seconds": time.process_time() - began}
    print(json.dumps({**found, "mib": peak() - before, "said": said}), flush=True)
"""


def gone_off(folder, how):
    command = [sys.executable, "-c", BOMBS, str(folder), how]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert how == "careless" or said.returncode == 0, said.stderr[-2000:]
    return {found["name"]: found for found in map(json.loads, said.stdout.splitlines())}


@pytest.mark.slow
def test_bombs_are_refused_before_they_go_off(tmp_path):
    found = gone_off(tmp_path, "careful")
    assert len(found) == 13
    for bomb in found.values():
        assert bomb["said"], bomb
        assert bomb["name"] in bomb["said"]
        assert bomb["seconds"] < 2, bomb
        assert bomb["mib"] < 500, bomb


@pytest.mark.slow
def test_without_limits_they_go_off(tmp_path):
    """The planted fault: the same reader with limits that are none."""
    found = gone_off(tmp_path, "careless")
    assert not found or found["lists.parquet"]["mib"] > 500 or not found["lists.parquet"]["said"], found
