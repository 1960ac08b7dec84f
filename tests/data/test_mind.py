"""MIND in the format as downloaded: histories without times, impressions without labels, quotes that are only letters."""

import datetime

import downloads
import pytest
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.mind import Mind
from lifelong.data.prepare import prepare


@pytest.fixture
def folder(tmp_path):
    downloads.mind(tmp_path / "mind")
    return tmp_path / "mind"


def source(folder, **options):
    return Mind(Mind.Config(**{"path": str(folder), "min_user_events": 1, **options}))


def at(*when):
    return int(datetime.datetime(*when, tzinfo=datetime.UTC).timestamp())


def test_events_by_hand(folder, tmp_path):
    """U1: its history, told once, two clicks, then what dev tells and train did not know (N5), and a click there."""
    data = prepare(source(folder), tmp_path / "cache")
    assert histories(data) == {
        "U1": ["N3", "N2", "N3", "N1", "N2", "N5", "N4"],
        "U2": ["N3", "N1"],
        "U3": ["N1", "N3"],
    }
    start, dev = at(2019, 11, 11), at(2019, 11, 15, 8, 55, 22)
    assert data.times_E[:7].tolist() == [
        *([start - 1] * 3),
        at(2019, 11, 11, 9, 5, 58),
        at(2019, 11, 14, 12, 30),
        dev - 1,
        dev,
    ]
    channels = [data.channels[c] for c in data.channel_E]
    assert channels[:7] == ["history"] * 3 + ["click"] * 2 + ["history", "click"]
    assert channels[7:9] == ["click", "click"], "an empty history is none"
    assert at(2019, 11, 15, 20) in data.times_E.tolist(), "8 PM is 20 o'clock"


def test_every_cell_is_accounted_for(folder, tmp_path):
    data = prepare(source(folder), tmp_path / "cache")
    assert data.report.dropped == {
        "shown, not clicked": 1 + 1 + 1 + 1,
        "a history told again": 3,
        "of a history, read in an earlier part": 4,
    }
    assert data.report.rows_read == data.report.rows_used + 11


def test_impressions_without_labels_are_counted_and_their_histories_are_read(folder, tmp_path):
    data = prepare(source(folder, variant="large", parts=["train", "dev", "test"]), tmp_path / "cache")
    assert data.report.dropped["shown, without a label"] == 3
    assert histories(data)["U9"] == ["N2"]
    assert histories(data)["U1"][-1] == "N4", "the test part tells nothing new of U1"
    alone = prepare(source(folder, variant="large", parts=["test"]), tmp_path / "cache")
    assert histories(alone) == {"U1": ["N3", "N2", "N5", "N4"], "U9": ["N2"]}


def test_quotes_are_letters_and_every_part_names_its_news(folder):
    items = {row["id"]: row for row in source(folder).items().to_pylist()}
    assert set(items) == {"N1", "N2", "N3", "N4"}
    assert items["N1"] == {
        **{"id": "N1", "title": 'The "open quote', "abstract": None},
        **{"category": "sports", "subcategory": "soccer"},
    }
    assert items["N3"]["title"] is None


def test_bad_rows_are_named_or_counted(folder, tmp_path):
    path = folder / "MINDsmall_train" / "behaviors.tsv"
    good = path.read_text()
    for line, says in (
        ("9\tU1\t2019-11-11\tN1\tN1-1", r"row 4: time: no month/day/year"),
        ("9\t\t11/11/2019 9:05:58 AM\tN1\tN1-1", "row 4: user: no id"),
        ("9\tU1\t11/11/2019 9:05:58 AM\tN1", r"row 4: wrong number of columns \(4 instead of 5\)"),
    ):
        path.write_text(good + line + "\n")
        with pytest.raises(DataError, match=says) as caught:
            prepare(source(folder), tmp_path / "cache")
        assert "MINDsmall_train" in str(caught.value)
        data = prepare(source(folder, on_bad_rows="drop"), tmp_path / "cache")
        assert len(histories(data)["U1"]) == 7
        assert sum(data.report.dropped.values()) == 12


def test_a_missing_part_is_named(folder):
    (folder / "MINDsmall_dev" / "news.tsv").unlink()
    with pytest.raises(DataError, match=r"holds no MINDsmall_dev/news.tsv; mind reads the files of msnews.github.io"):
        source(folder).identity()
    source(folder, parts=["train"]).identity()


def test_blocks_do_not_matter(folder, tmp_path, monkeypatch):
    """A user's history is told once, whatever is read at a time."""
    from lifelong.data.datasets.downloads import rows

    whole = prepare(source(folder), tmp_path / "cache")
    monkeypatch.setattr(rows, "BLOCK_BYTES", 60)
    monkeypatch.setattr("lifelong.data.formats.base.BLOCK_BYTES", 10_000)
    monkeypatch.setattr(rows, "pieces", lambda path, format, size: _lines(path))
    small = prepare(source(folder), tmp_path / "elsewhere")
    assert histories(small) == histories(whole)
    assert small.report == whole.report


def _lines(path):
    return (line.encode() + b"\n" for line in path.read_text().splitlines())
