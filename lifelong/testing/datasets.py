"""The contract of a data set: call `check_dataset(source, cache)` in a test, or one of the checks below.

Every check takes a source and a folder for prepared data, and raises AssertionError with what it saw. A folder that
several checks share is prepared into once. The order of the events is worked out here a second time, by other means.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import plain
from lifelong.core.fingerprint import canonical_json
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.data.prepare import FILES, Prepared, prepare

Check = Callable[[Source, Path], None]
COLUMNS = {"user": pa.string(), "item": pa.string(), "time": pa.int64(), "tie": pa.uint64(), "channel": pa.string()}
NEEDED = ("user", "item", "time")


def check_identity(source: Source, cache: Path) -> None:
    """The identity is plain JSON, names the data set and every option, and is the same for an equal source."""
    try:
        first = canonical_json(source.identity())
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{source.name}: the identity is no plain JSON: {error}") from None
    assert first == canonical_json(source.identity()), f"{source.name}: the identity differs when asked again"
    assert first == canonical_json(_twin(source).identity()), f"{source.name}: an equal source has another identity"
    told = source.identity().get("options", {})
    for option in plain(source.config):
        assert option in told, f"{source.name}: option {option!r} is no part of the identity"
    other = type(source)(replace(source.config, min_user_events=source.config.min_user_events + 1))
    assert first != canonical_json(other.identity()), f"{source.name}: another option, the same identity"


def check_events(source: Source, cache: Path) -> None:
    """Batches of one schema, no null and no empty id in them, every row accounted for, the same when read again."""
    batches = list(source.events())
    assert batches, f"{source.name}: no batches"
    for batch in batches:
        _check_batch(source.name, batch)
        found, expected = batch.table.schema, batches[0].table.schema
        assert found.equals(expected), f"{source.name}: a batch of {found}, after one of {expected}"
    again = list(_twin(source).events())
    assert _joined(batches).equals(_joined(again)), f"{source.name}: other events when read again"
    assert _accounts(batches) == _accounts(again), f"{source.name}: other counts when read again"


def check_tables(source: Source, cache: Path) -> None:
    """items() and users(): a unique string id, all other columns nullable strings; a label with a cut exists."""
    for what, table in (("items", source.items()), ("users", source.users())):
        if table is not None:
            _check_table(f"{source.name}: {what}", table)
    users = source.users()
    labels = users.column_names if users is not None else []
    for label, cut in source.label_cuts().items():
        assert label in labels, f"{source.name}: a cut for {label!r}, which no user has"
        assert type(cut) is int, f"{source.name}: the cut of {label!r} is {cut!r}, no whole second"


def check_prepared(source: Source, cache: Path) -> None:
    """Users and items in the order of their ids, each with an event; offsets and indices fit; counts add up."""
    prepared = prepare(source, cache)
    users, items, events = len(prepared.users), len(prepared.items), prepared.report.rows_used
    offsets_U1 = prepared.offsets_U1
    assert offsets_U1.shape == (users + 1,), f"{prepared.key}: offsets {offsets_U1.shape} of {users} users"
    assert (offsets_U1[0], offsets_U1[-1]) == (0, events), f"{prepared.key}: offsets end at {offsets_U1[-1]}"
    assert (np.diff(offsets_U1) > 0).all(), f"{prepared.key}: a user without events"
    assert len(prepared.items_E) == len(prepared.times_E) == events, f"{prepared.key}: not {events} events"
    assert set(np.unique(prepared.items_E)) == set(range(items)), f"{prepared.key}: an item without events"
    for table in (prepared.users, prepared.items):
        _check_table(prepared.key, table)
        ids = table["id"].combine_chunks()
        assert ids.equals(ids.take(pc.sort_indices(ids))), f"{prepared.key}: ids are not sorted"
    if prepared.channel_E is not None:
        channels = set(np.unique(prepared.channel_E).tolist())
        assert channels <= set(range(len(prepared.channels))), f"{prepared.key}: channels {channels}"


def check_order(source: Source, cache: Path) -> None:
    """Each kept user's events of kept items, all of them, by time, then tie, then as they came; and nobody else's."""
    prepared = prepare(source, cache)
    events = _joined(list(source.events())).combine_chunks()
    if source.config.duplicates == "drop":
        events = events.take(_first_of_each(events))
    user_E, item_E = (_place(events[c], t) for c, t in (("user", prepared.users), ("item", prepared.items)))
    kept = np.flatnonzero((user_E >= 0) & (item_E >= 0))
    time_E = events["time"].to_numpy()
    tie_E = events["tie"].to_numpy() if "tie" in events.column_names else np.zeros(len(events), np.uint64)
    kept = kept[np.lexsort((tie_E[kept], time_E[kept], user_E[kept]))]
    assert len(kept) == prepared.report.rows_used, f"{prepared.key}: {prepared.report.rows_used} events of {len(kept)}"
    for what, expected, found in (
        ("users", user_E[kept], np.repeat(np.arange(len(prepared.users)), np.diff(prepared.offsets_U1))),
        ("items", item_E[kept], prepared.items_E),
        ("times", time_E[kept], prepared.times_E),
    ):
        wrong = int((expected != found).sum())
        assert not wrong, f"{prepared.key}: {wrong} of {len(kept)} events have other {what} than by (time, tie, row)"


def check_cached(source: Source, cache: Path) -> None:
    """Prepared a second time, it is the same folder, the same bytes, and the events are not read."""
    first = prepare(source, cache)
    before = _bytes(first)
    blind = _twin(source)
    vars(blind)["events"] = _refused
    second = prepare(blind, cache)
    assert first.key == second.key, f"{first.key}, then {second.key}"
    assert before == _bytes(second), f"{first.key}: other bytes the second time"


def check_repeatable(source: Source, cache: Path) -> None:
    """Prepared from nothing in another folder, it has the same key and the same bytes."""
    first = prepare(source, cache)
    with tempfile.TemporaryDirectory() as elsewhere:
        second = prepare(_twin(source), Path(elsewhere))
        assert first.key == second.key, f"{first.key}, then {second.key}"
        assert _bytes(first) == _bytes(second), f"{first.key}: other bytes in another folder"


DATASET_CHECKS: tuple[Check, ...] = (
    check_identity,
    check_events,
    check_tables,
    check_prepared,
    check_order,
    check_cached,
    check_repeatable,
)
"""All of them, the cheap ones first."""


def check_dataset(source: Source, cache: Path) -> None:
    """The whole contract of a data set."""
    for check in DATASET_CHECKS:
        check(source, cache)


def _twin(source: Source) -> Source:
    """A source of its own with the same options."""
    return type(source)(copy.deepcopy(source.config))


def _check_batch(name: str, batch: EventBatch) -> None:
    table = batch.table
    for column in NEEDED:
        assert column in table.column_names, f"{name}: a batch without {column!r}"
    for field in table.schema:
        assert COLUMNS.get(field.name) == field.type, f"{name}: column {field.name!r} is {field.type}"
        assert not table[field.name].null_count, f"{name}: {table[field.name].null_count} nulls in {field.name!r}"
    for column in ("user", "item"):
        assert not pc.any(pc.equal(table[column], "")).as_py(), f"{name}: an empty id in {column!r}"
    assert batch.rows_read == len(table) + sum(batch.dropped.values()), f"{name}: the rows of a batch do not add up"
    for reason, count in batch.dropped.items():
        assert isinstance(reason, str), f"{name}: the reason {reason!r} is no text"
        assert count >= 0, f"{name}: {count} rows dropped: {reason}"


def _check_table(name: str, table: pa.Table) -> None:
    assert "id" in table.column_names, f"{name}: no column 'id' in {table.column_names}"
    for field in table.schema:
        assert pa.types.is_string(field.type), f"{name}: column {field.name!r} is {field.type}, not string"
    assert len(set(table.column_names)) == table.num_columns, f"{name}: a column name stands twice"
    ids = table["id"]
    assert not ids.null_count, f"{name}: {ids.null_count} rows without id"
    assert len(ids.unique()) == len(ids), f"{name}: {len(ids) - len(ids.unique())} ids stand twice"


def _joined(batches: list[EventBatch]) -> pa.Table:
    return pa.concat_tables([batch.table for batch in batches])


def _accounts(batches: list[EventBatch]) -> dict[str, int]:
    counts = {"rows read": sum(batch.rows_read for batch in batches)}
    for batch in batches:
        for reason, count in batch.dropped.items():
            counts[reason] = counts.get(reason, 0) + count
    return counts


def _place(ids: pa.ChunkedArray, table: pa.Table) -> np.ndarray:
    """The row of each id in a prepared table, -1 where it has none."""
    found = pc.index_in(ids, value_set=table["id"].combine_chunks())
    return found.fill_null(-1).to_numpy()


def _first_of_each(events: pa.Table) -> pa.Array:
    """The rows, ascending, in which a user, item and time stand for the first time."""
    numbered = events.select(NEEDED).append_column("row", pa.array(np.arange(len(events))))
    first = numbered.group_by(list(NEEDED)).aggregate([("row", "min")])["row_min"]
    return pa.array(np.sort(first.to_numpy()))


def _bytes(prepared: Prepared) -> dict[str, bytes]:
    return {name: (prepared.folder / name).read_bytes() for name in (*FILES, "meta.json")}


def _refused() -> Iterator[EventBatch]:
    raise AssertionError("the events were read again, although they are prepared")
