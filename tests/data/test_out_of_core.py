"""Preparing beyond memory: the same bytes as a plain reference, whatever is spilled; memory that does not grow."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given import EVENTS, Given, same
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain_gather

import lifelong.data.gather as gather_module
import lifelong.data.log as log_module
import lifelong.data.vocabulary as vocabulary_module
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import CodedBatch
from lifelong.data.datasets.files import Files
from lifelong.data.frames import Frames
from lifelong.data.gather import gather
from lifelong.data.prepare import FILES, memory_for_events, prepare
from lifelong.data.spill import Column, Room, Rows, Shelf, release

USERS = st.sampled_from(["a", "b", "ü", "7", "007", "10", "9", "-3", "0x1f", "123456789012345678901"])
NUMBERS = st.one_of(st.integers(0, 9), st.integers(-(2**62), 2**62))
TIMES = st.one_of(st.integers(0, 3), st.integers(-(2**62), 2**62))
TIES = st.one_of(st.just(0), st.integers(0, 3), st.just(2**64 - 1))


class Coded(Given):
    """The events of Given, with ids as they might lie in a file."""

    def events(self):
        for batch in self.table.to_batches(max_chunksize=self.batch):
            yield CodedBatch(pa.Table.from_batches([batch]), len(batch), {})


def everywhere_the_same(source, monkeypatch, box, piece):
    expected = plain_gather(source)
    for memory in (0, 100, None):
        with monkeypatch.context() as patched, tempfile.TemporaryDirectory() as folder:
            patched.setattr(gather_module, "BOX", box)
            patched.setattr(log_module, "PIECE", piece)
            room = Room() if memory is None else Room(Path(folder), memory)
            if expected is None:
                with pytest.raises(DataError, match="no event is left"):
                    gather(source, room)
                continue
            found = gather(source, room)
            same(found, expected)
            assert found.report == expected.report
            assert found.report.rows_read == found.report.rows_used + sum(found.report.dropped.values())
            assert found.channels == expected.channels
            assert (found.channel_E is None) == (expected.channel_E is None)
            assert expected.channel_E is None or np.array_equal(found.channel_E, expected.channel_E)
            for name in ("offsets_U1", "items_E", "times_E", "channel_E"):
                one, other = getattr(found, name), getattr(expected, name)
                assert one is None or one.dtype == other.dtype, name


def _with_unused(values):
    """A dictionary, as a file may have it: with entries that no row uses, and in no order."""
    entries = ["never", *sorted(set(values), reverse=True), "nobody"]
    return pa.DictionaryArray.from_arrays(pa.array([entries.index(value) for value in values], pa.int8()), entries)


@st.composite
def sources(draw):
    """Events of a few users with all that a source may have, in batches of some size, and any filters."""
    ids = draw(st.sampled_from([USERS, NUMBERS]))
    rows = draw(st.lists(st.tuples(ids, ids, TIMES, TIES, st.sampled_from("xyz")), min_size=1, max_size=40))
    rows += draw(st.lists(st.sampled_from(rows), max_size=10))
    user, item, time, tie, channel = (list(column) for column in zip(*rows, strict=True))
    table = {"user": user, "item": item, "time": pa.array(time, pa.int64())}
    if draw(st.booleans()):
        table["tie"] = pa.array(tie, pa.uint64())
    if draw(st.booleans()):
        table["channel"] = channel
    if ids is USERS and draw(st.booleans()):
        for name in table.keys() & {"user", "item", "channel"}:
            table[name] = _with_unused(table[name])
    options = {name: draw(st.integers(1, 3)) for name in ("min_item_events", "min_item_users", "min_user_events")}
    options["duplicates"] = draw(st.sampled_from(["keep", "drop"]))
    return Coded(table, draw(st.integers(1, 20)), **options)


@settings(max_examples=60, deadline=None)
@given(sources(), st.integers(1, 12), st.integers(1, 30))
def test_spilled_and_in_memory_are_the_plain_reference(source, box, piece):
    with pytest.MonkeyPatch.context() as monkeypatch:
        everywhere_the_same(source, monkeypatch, box, piece)


def test_many_boxes_many_pieces(monkeypatch):
    random = np.random.default_rng(0)
    count = 2000
    table = {
        "user": random.integers(1, 200, count),
        "item": random.zipf(1.5, count) % 400,
        "time": random.integers(0, 10**6, count) // 1000,
    }
    for options in ({}, {"duplicates": "drop", "min_item_events": 3, "min_item_users": 2, "min_user_events": 5}):
        everywhere_the_same(Coded(table, 333, **options), monkeypatch, 100, 700)
        text = {**table, **{name: pa.array(table[name]).cast(pa.string()) for name in ("user", "item")}}
        everywhere_the_same(Coded(text, 333, **options), monkeypatch, 100, 700)


@pytest.mark.parametrize("fault", ["boxes are not sorted", "rows of a box come backwards", "ties are lost on disk"])
def test_the_comparison_catches(monkeypatch, fault):
    if fault == "boxes are not sorted":
        monkeypatch.setattr(gather_module, "order_of", lambda *keys: None)
    elif fault == "rows of a box come backwards":
        whole = Shelf.box
        monkeypatch.setattr(Shelf, "box", lambda self, *a, **k: whole(self, *a, **k).where(slice(None, None, -1)))
    else:
        monkeypatch.setattr(Rows, "columns", lambda self: [self.user, self.item, self.time, None, self.channel])
    table = {
        "user": ["a", "b"] * 20,
        "item": [str(n) for n in range(40)],
        "time": [n // 8 for n in range(40)],
        "tie": pa.array([39 - n for n in range(40)], pa.uint64()),
    }
    if fault == "rows of a box come backwards":
        table.pop("tie")
    with pytest.raises(AssertionError):
        everywhere_the_same(Coded(table, 7), monkeypatch, 10, 5)


def test_the_prepared_bytes_do_not_depend_on_memory(tmp_path):
    random = np.random.default_rng(1)
    rows = [random.integers(0, 100, 20_000), random.integers(0, 50, 20_000), random.integers(0, 10**9, 20_000)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(dict(zip(("user", "item", "time"), rows, strict=True))), path)
    source = Files(Files.Config(events=str(path), min_item_events=400))
    found = [prepare(source, tmp_path / str(memory), memory=memory) for memory in (0, 100_000, 10**9)]
    for name in (*FILES, "meta.json"):
        assert len({(one.folder / name).read_bytes() for one in found}) == 1, name
    for one in found:
        assert [path.name for path in one.folder.parent.iterdir()] == [one.folder.name], "nothing is left beside"


def test_spilled_files_go_when_preparing_fails(tmp_path):
    seen = []

    class Broken(Given):
        def events(self):
            yield from super().events()
            seen.extend(path.name for path in tmp_path.glob(".*/*"))
            raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        prepare(Broken(EVENTS, batch=2), tmp_path, memory=0)
    assert seen == ["spill-1"]
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_that_says_so(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    room = Room(tmp_path, 0)
    with open(full, "wb", buffering=0) as file, pytest.raises(DataError, match=r"/dev/full.*No space.*LIFELONG_CACHE"):
        room.write(file, np.arange(3))


def test_memory_is_given_in_bytes_or_units(monkeypatch):
    for text, bytes_ in (("1000", 1000), ("20 kB", 20_000), ("1.5gb", 1_500_000_000), ("", 10**9)):
        monkeypatch.setenv("LIFELONG_MEMORY", text)
        assert memory_for_events() == bytes_
    monkeypatch.setenv("LIFELONG_MEMORY", "much")
    with pytest.raises(ConfigError, match=r"LIFELONG_MEMORY is 'much'.*500MB"):
        memory_for_events()


def test_a_column_spills_and_is_renamed(tmp_path):
    for folder in (None, tmp_path):
        column = Column(Room(folder, 20), np.int32)
        for part in np.array_split(np.arange(100), 7):
            column.append(part)
        whole = column.whole(np.arange(100, dtype=np.int32)[::-1])
        assert whole.dtype == np.int32
        assert whole.tolist() == list(range(99, -1, -1))
        release(whole)
        assert whole.tolist() == list(range(99, -1, -1))


def test_what_is_taken_out_gives_its_room_back(tmp_path):
    room = Room(tmp_path, 10**6)
    shelf = Shelf(room, 2)
    rows = Rows(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32), np.arange(5))
    for box in (0, 1, 0):
        shelf.put(rows, box)
    assert room.held == 3 * rows.nbytes
    assert len(shelf.box(0, empty=True)) == 10
    assert room.held == rows.nbytes
    shelf.close()
    assert room.held == 0


def test_numbers_and_the_same_numbers_as_text_are_one(monkeypatch):
    monkeypatch.setattr(vocabulary_module, "SPARE", 4)
    found = vocabulary_module.Vocabulary()
    codes = [
        found.codes([found.compact(pa.array(ids))]).tolist()
        for ids in ([3, 5, 3], ["5", "4"], [10**12, 3, 5], ["007", "3"], [10**12, -1, 4])
    ]
    assert codes == [[0, 1, 0], [1, 2], [3, 0, 1], [4, 0], [3, 5, 2]]
    ids, place = found.ranked()
    assert ids.to_pylist() == ["-1", "007", "1000000000000", "3", "4", "5"]
    assert place.tolist() == [3, 5, 4, 2, 1, 0]


def test_files_keep_ids_as_they_lie(tmp_path):
    """Text in dictionaries, numbers as numbers: nobody turns 10^8 of them into strings."""
    table = pa.table({"user": pa.array([1, 2, 1], pa.int32()), "item": ["x", "y", "x"], "time": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    for source in (
        Files(Files.Config(events=str(tmp_path / "a.parquet"))),
        Frames(table.set_column(1, "item", table["item"].dictionary_encode()), columns=Columns()),
    ):
        (batch,) = source.events()
        assert pa.types.is_integer(batch.coded["user"].type)
        assert pa.types.is_dictionary(batch.coded["item"].type)
        assert batch.table["user"].to_pylist() == ["1", "2", "1"]
        assert batch.table["item"].to_pylist() == ["x", "y", "x"]


MEMORY = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
import lifelong.data.prepare as module
from lifelong.data.datasets.base import CodedBatch, Source
from lifelong.data.spill import Room

class Stream(Source):
    def __init__(self, pieces): self.pieces = pieces; super().__init__(Source.Config())
    def events(self):
        random = np.random.default_rng(0)
        for first in range(self.pieces):
            ids = [random.integers(0, 20_000, 1 << 16), random.integers(0, 1000, 1 << 16)]
            rows = dict(zip(("user", "item", "time"), [*ids, random.integers(0, 10**9, 1 << 16)]))
            yield CodedBatch(pa.table(rows), 1 << 16)

if sys.argv[2] == "fault":
    module.Room = lambda folder, memory: Room()
peaks = []
for pieces in (2, 46):
    found = module.prepare(Stream(pieces), Path(sys.argv[1]) / str(pieces), memory=4_000_000)
    assert len(found.items_E) == pieces << 16
    status = Path("/proc/self/status").read_text()  # ru_maxrss begins with that of the process that started this one
    peaks.append(int(status.partition("VmHWM:")[2].split()[0]))
print(peaks[1] - peaks[0])
"""
FLAT_KIB = 48 << 10
"""The peak may grow by so much from 131,072 events to 3,014,656: the blocks in flight. In memory they take 36 bytes each."""


@pytest.mark.slow
def test_memory_does_not_grow_with_events(tmp_path):
    grown = {}
    for variant in ("spilled", "fault"):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / variant), variant]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        grown[variant] = int(run.stdout)
    assert grown["spilled"] < FLAT_KIB < grown["fault"], grown
