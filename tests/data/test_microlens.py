"""MicroLens in the format as downloaded: milliseconds, titles with and without a header, quotes that nobody closes."""

import downloads
import pytest
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.microlens import Microlens, read_titles
from lifelong.data.prepare import prepare


@pytest.fixture
def folder(tmp_path):
    downloads.microlens(tmp_path / "micro")
    return tmp_path / "micro"


def source(folder, variant="50k", **options):
    return Microlens(Microlens.Config(**{"path": str(folder), "variant": variant, "min_user_events": 1, **options}))


def short(data):
    return {user: [item.rpartition("-")[2] for item in items] for user, items in histories(data).items()}


def known(items):
    return {row.pop("id").rpartition("-")[2]: row for row in items.to_pylist()}


def test_milliseconds_and_their_order(folder, tmp_path):
    """User 8's three events lie in one second, and in another order within it than by item."""
    data = prepare(source(folder), tmp_path / "cache")
    assert short(data) == {"7": ["2", "3", "1"], "8": ["3", "1", "2"]}
    assert data.times_E.tolist()[3:] == [1_583_000_005] * 3


def test_histories_without_times(folder, tmp_path):
    data = prepare(source(folder, "1M"), tmp_path / "cache")
    assert short(data) == {"7": ["2", "3", "1"], "8": ["3", "1", "2"]}
    assert data.times_E.tolist() == [0, 1, 2, 0, 1, 2]
    with pytest.raises(DataError, match=r"holds no MicroLens-50k_pairs.tsv"):
        source(folder, file="tsv").identity()


@pytest.mark.parametrize(
    ("variant", "titles"),
    [
        ("50k", ["Plain", "Commas, here", None]),
        ("100k", ["No header", "Commas, without quotes", 'He said "hi"']),
        ("1M", ['An "open quote, here', '"Another', 'Third line, "closed" and more of it']),
    ],
)
def test_titles(folder, variant, titles):
    items = source(folder, variant).items()
    assert items["id"].to_pylist()[:3] == [f"{variant}-{n}" for n in (1, 2, 3)]
    assert set(items["domain"].to_pylist()) == {variant}
    assert items["title"].to_pylist()[:3] == titles


def test_a_csv_parser_would_lose_titles(folder):
    """The trap that is planted: what a reader of CSV makes of the open quote."""
    import csv

    with open(folder / "MicroLens-1M_title.csv", newline="") as file:
        assert [row[0] for row in csv.reader(file)] != ["1", "2", "3"]


def test_likes_views_categories_and_covers(folder):
    items = known(source(folder).items())
    assert (items["1"]["likes"], items["1"]["views"], items["1"]["category"]) == ("10", "100", "pets")
    assert (items["2"]["likes"], items["2"]["category"]) == (None, None)
    assert (items["4"]["title"], items["4"]["views"]) == (None, "400")
    assert items["1"]["image"].endswith("MicroLens-50k_covers/1.jpg")
    assert source(folder).missing_pictures() == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("item,title\n", "no line that begins with a number"),
        ("item,title\nabc,def\n", "line 2: 'abc,def' begins with no number"),
        ("1;Title\n2;Title\n", "line 2|no line that begins"),
        (b"1,\xff\n", "is not UTF-8"),
    ],
)
def test_wrong_titles_are_named(tmp_path, text, says):
    path = tmp_path / "titles.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=says):
        read_titles(path)


def test_missing_files_are_named(folder, monkeypatch):
    (folder / "MicroLens-50k_titles.csv").unlink()
    with pytest.raises(DataError, match=r"no MicroLens-50k_titles.csv or .*westlake-repl/MicroLens"):
        source(folder).identity()
    monkeypatch.delenv("LIFELONG_MICROLENS", raising=False)
    with pytest.raises(DataError, match="LIFELONG_MICROLENS"):
        Microlens(Microlens.Config()).identity()
