"""D1 to D3 and more: whatever a file holds, its rows come out as they stand there, all counted, or one error says why.

LIFELONG_FILES=2000 pytest tests/reliability/test_dirty_data.py      # the whole number of generated files; 150 otherwise
"""

import csv
import os
import re

import dirty
import pytest

from lifelong.core.errors import DataError
from lifelong.data.events import Columns, read_events

FILES = int(os.environ.get("LIFELONG_FILES", "150"))


def ours(path, mode):
    """Rows, reason -> dropped, rows read."""
    rows, dropped, read = [], {}, 0
    for batch in read_events(path, Columns(), on_bad_rows=mode):
        table = batch.table
        table.validate(full=True)
        rows += zip(*(table[name].to_pylist() for name in ("user", "item", "time")), strict=True)
        for reason, count in batch.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        read += batch.rows_read
    return rows, dropped, read


def problems(reader, path, made):
    """What a reader did wrong with a file, in words; empty where all is well."""
    found = []
    for mode in ("drop", "error"):
        try:
            rows, dropped, read = reader(path, mode)
        except DataError as error:
            found += _said(str(error), path, made, mode)
            continue
        if read != len(rows) + sum(dropped.values()):
            found.append(f"{mode}: {read} rows read, {len(rows)} used, {sum(dropped.values())} dropped")
        if not all(user and item and type(time) is int for user, item, time in rows):
            found.append(f"{mode}: an empty id, or a time that is none")
        found += _as_expected(rows, dropped, made, mode)
    return found


def _said(message, path, made, mode):
    if "\n" in message or len(message) > 700 or str(path) not in message:
        return [f"{mode}: no message of one line that names the file: {message[:200]}"]
    if made.says is None and made.rows is not None:
        return [f"{mode}: refused, though it can be read: {message}"]
    if made.rows is not None and mode == "drop":
        return [f"{mode}: refused, though bad rows are to be dropped: {message}"]
    if made.says and not re.search(made.says, message):
        return [f"{mode}: says {message!r}, expected {made.says!r}"]
    return []


def _as_expected(rows, dropped, made, mode):
    if made.rows is None:
        return (
            [f"{mode}: read, though nothing of it may be"] if made.says else []
        )  # damaged files have no expected answer
    if mode == "error" and made.says:
        return [f"{mode}: read, though row by row it holds what cannot be used"]
    found = []
    if tuple(rows) != made.rows:
        found.append(f"{mode}: rows {rows[:3]}…, expected {made.rows[:3]}…")
    counts = {
        part: sum(n for reason, n in dropped.items() if _plain(reason).startswith(_plain(part)))
        for part in made.dropped
    }
    if counts != made.dropped or sum(dropped.values()) != sum(made.dropped.values()):
        found.append(f"{mode}: dropped {dropped}, expected {made.dropped}")
    return found


def _plain(reason):
    return re.sub(r"[^a-z0-9]+", " ", reason.lower()).strip()


@pytest.mark.parametrize("made", dirty.FIXTURES, ids=lambda made: made.name)
def test_a_fixture(tmp_path, made):
    path = tmp_path / made.name
    path.write_bytes(made.data)
    assert problems(ours, path, made) == []


def test_there_are_enough_of_them():
    assert len(dirty.FIXTURES) >= 100
    assert len({made.name for made in dirty.FIXTURES}) == len(dirty.FIXTURES)
    assert sum(made.says is None for made in dirty.FIXTURES) > 20


def checked(reader, folder, count, make):
    """How many generated files a reader got wrong, and the first of them."""
    wrong = []
    for seed in range(count):
        made = make(seed)
        path = folder / made.name
        path.write_bytes(made.data)
        found = problems(reader, path, made)
        path.unlink()
        if found:
            wrong.append((seed, found))
    return wrong


def test_generated_files_are_read_as_they_were_made(tmp_path):
    assert checked(ours, tmp_path, FILES, dirty.generated) == []


def test_damaged_files_are_read_or_one_data_error(tmp_path):
    assert checked(ours, tmp_path, FILES, dirty.damaged) == []


def test_times_that_could_be_of_two_units_are_read_when_the_unit_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(dirty.csv_of("a,x,50000000000"))
    for unit, seconds in (("seconds", 50_000_000_000), ("milliseconds", 50_000_000), ("microseconds", 50_000)):
        (batch,) = read_events(path, Columns(time_unit=unit))
        assert batch.table["time"].to_pylist() == [seconds]
    path.write_bytes(dirty.csv_of("a,x,500000000000"))
    with pytest.raises(DataError, match="row 2: column 'time': a time beyond the year 9999"):
        list(read_events(path, Columns(time_unit="seconds")))


# what must be caught: readers as they are often written


def guessing(path, mode):
    """Ids become numbers where they look like some, as a reader does that tells types by itself."""
    rows, dropped, read = ours(path, mode)
    return [tuple(int(c) if isinstance(c, str) and c.isdecimal() else c for c in row) for row in rows], dropped, read


def seven_is_seven(path, mode):
    """007 is 7."""
    rows, dropped, read = ours(path, mode)
    return [(user.lstrip("0") or "0", item.lstrip("0") or "0", time) for user, item, time in rows], dropped, read


def silent(path, mode):
    """Bad rows go without a word."""
    rows, _, _ = ours(path, "drop")
    return rows, {}, len(rows)


def forgetful(path, mode):
    """A reason is lost on the way."""
    rows, dropped, read = ours(path, mode)
    return rows, dict(list(dropped.items())[1:]), read


def filling(path, mode):
    """A time that cannot be read is 0."""
    rows, dropped, read = ours(path, mode)
    times = sum(n for reason, n in dropped.items() if reason.startswith("time"))
    return rows + [("?", "?", 0)] * times, {r: n for r, n in dropped.items() if not r.startswith("time")}, read


def by_hand(path, mode):
    """Lines split by the csv module, what does not fit is skipped: no encoding, no delimiter, no count of what was lost."""
    with open(path, encoding="utf-8", errors="ignore") as file:
        lines = [row for row in csv.reader(file) if len(row) == 3][1:]
    return [(user, item, int(time)) for user, item, time in lines if time.isdecimal()], {}, len(lines)


@pytest.mark.parametrize("reader", [guessing, seven_is_seven, silent, forgetful, filling, by_hand])
def test_a_reader_that_guesses_is_caught(tmp_path, reader):
    assert len(checked(reader, tmp_path, 25, dirty.generated)) > 3, "the generated files do not notice"
    caught = 0
    for made in dirty.FIXTURES:
        path = tmp_path / made.name
        if len(made.data) < 500:
            path.write_bytes(made.data)
            try:
                caught += bool(problems(reader, path, made))
            except (ValueError, TypeError, csv.Error):
                caught += 1
    assert caught > 0, "the fixtures do not notice"
