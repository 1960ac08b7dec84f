"""MovieLens in the formats as downloaded: the same four ratings, worked by hand; and the real 100k where it is given."""

import hashlib
import os

import numpy as np
import pyarrow as pa
import pytest
import releases

from lifelong.core.errors import DataError
from lifelong.data.datasets.movielens import VARIABLE, Movielens
from lifelong.data.mixing import tied
from lifelong.data.prepare import prepare


def source(path, **options):
    return Movielens(Movielens.Config(path=str(path), **{"min_user_events": 1, **options}))


@pytest.fixture(params=releases.RELEASES)
def release(request):
    return request.param


@pytest.fixture
def folder(tmp_path, release):
    return releases.RELEASES[release](tmp_path / release)


def test_ratings_by_hand(folder, release, tmp_path):
    prepared = prepare(source(folder), tmp_path / "cache")
    assert prepared.users["id"].to_pylist() == ["1", "2"]
    assert prepared.items["id"].to_pylist() == ["10", "20", "30"]
    assert prepared.times_E.tolist() == [90, 100, 100, 50]
    ties = [int.from_bytes(hashlib.blake2b(pair, digest_size=8).digest(), "little") for pair in (b"1|10", b"1|20")]
    assert prepared.items_E.tolist() == [2, *np.argsort(ties).tolist(), 0]
    stars = {"10": "5", "20": "3", "30": "4"}
    items = [prepared.items["id"].to_pylist()[i] for i in prepared.items_E]
    channels = [prepared.channels[c] for c in prepared.channel_E]
    assert channels == [stars[item] for item in items[:3]] + ["0" if release in ("latest-small", "25m") else "1"]
    assert prepared.report.rows_read == prepared.report.rows_used == 4
    assert "GroupLens" in prepared.notice


def test_films_by_hand(folder, release):
    items = source(folder).items().to_pydict()
    assert items["id"] == ["10", "20", "30"]
    assert items["title"][:2] == ["Toy Story (1995)", "Misérables, Les (1995)"]
    assert items["year"][:2] == ["1995", "1995"]
    if release == "1m":
        assert items["genres"] == ["Animation Children's", "Drama", "War"]
        assert items["title"][2] == "Wait: What (2000)"
    elif release == "100k":
        assert items["genres"] == ["Action Comedy", "Mystery War", None]
    else:
        assert items["genres"] == ["Adventure Animation", "Drama", None]
        assert items["year"][2] is None


def test_users_by_hand(folder, release):
    users = source(folder).users()
    if release in ("latest-small", "25m"):
        assert users is None
        return
    found = users.to_pydict()
    assert found["id"] == ["1", "2", "3"]
    assert found["gender"] == ["M", "F", "F"]
    assert found["age_band"] == (["18-24", "50-55", "<18"] if release == "100k" else ["18-24", "56+", "<18"])
    assert found["occupation"][1:] == (["other", "writer"] if release == "100k" else ["other", "K-12 student"])


def test_low_ratings_can_be_left_out(folder, tmp_path):
    report = prepare(source(folder, min_rating=3.5), tmp_path / "cache").report
    assert report.dropped["rated below 3.5"] >= 1
    assert report.rows_read == 4


def test_where_the_folder_is(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DataError, match=f"name: movielens, path: .*{VARIABLE}"):
        Movielens(Movielens.Config()).identity()
    monkeypatch.setenv(VARIABLE, str(releases.ml_1m(tmp_path / "here")))
    assert Movielens(Movielens.Config()).identity() == source(tmp_path / "here", min_user_events=5).identity()
    with pytest.raises(DataError, match=r"no MovieLens folder.*u\.data"):
        source(tmp_path).identity()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ratings.dat", "2::10::1::50\n", "2::10::1\n"),
        ("ratings.dat", "2::10::1::50\n", "2::ten::1::50\n"),
        ("ratings.dat", "2::10::1::50\n", "2::10::good::50\n"),
        ("ratings.dat", "2::10::1::50\n", "2::10::nan::50\n"),
        ("ratings.dat", "2::10::1::50\n", "2::10::7::50\n"),
        ("ratings.dat", "2::10::1::50\n", "2::10::1::soon\n"),
        ("movies.dat", "::Drama", ""),
        ("users.dat", "::18::", "::young::"),
        ("users.dat", "::17::", "::99::"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, name, old, new):
    folder = releases.ml_1m(tmp_path / "ml")
    text = (folder / name).read_text(encoding="latin-1")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="latin-1")
    with pytest.raises(DataError, match=name):
        prepare(source(folder), tmp_path / "cache")


REAL = os.environ.get(VARIABLE, "")


@pytest.mark.skipif(not os.path.isfile(os.path.join(REAL, "u.data")), reason=f"{VARIABLE} names no folder of ml-100k")
def test_the_real_100k(tmp_path):
    prepared = prepare(Movielens(Movielens.Config(path=REAL)), tmp_path)
    assert (len(prepared.users), len(prepared.items), len(prepared.items_E)) == (943, 1682, 100_000)
    assert np.bincount(prepared.channel_E).tolist() == [6110, 11370, 27145, 34174, 21201]
    assert prepared.users["gender"].to_pylist().count("M") == 670
    assert prepared.users.column_names == ["id", "gender", "age_band", "occupation"]
    titles = dict(zip(*(prepared.items[c].to_pylist() for c in ("id", "title")), strict=True))
    assert titles["1"] == "Toy Story (1995)"
    assert titles["543"] == "Misérables, Les (1995)"
    item_V = np.array(prepared.items["id"].to_pylist()).astype(int)
    same = (np.diff(prepared.times_E) == 0) & (np.diff(np.repeat(np.arange(943), np.diff(prepared.offsets_U1))) == 0)
    assert same.sum() > 10_000
    assert abs((np.diff(item_V[prepared.items_E]) > 0)[same].mean() - 0.5) < 0.02


ORDER = "ef308ff023cccfc1fb3d6b1962ac07a5a4d11b7d4605c9e0ed1fd98fb5eb9906"
"""SHA-256 of "user film" of every rating, users sorted as text, in the order that published splits have: equal times by
blake2b of "user|film", 8 bytes, little endian."""


@pytest.mark.skipif(not os.path.isfile(os.path.join(REAL, "u.data")), reason=f"{VARIABLE} names no folder of ml-100k")
@pytest.mark.parametrize("ties", ["blake2b", "mixed"])
def test_the_real_100k_lies_in_the_published_order(tmp_path, ties):
    prepared = prepare(Movielens(Movielens.Config(path=REAL, ties=ties)), tmp_path)
    assert (order_hash(prepared) == ORDER) == (ties == "blake2b"), "another hash of ties is another order"


def order_hash(prepared):
    users, films = (np.array(table["id"].to_pylist()) for table in (prepared.users, prepared.items))
    user_E = np.repeat(users, np.diff(prepared.offsets_U1))
    lines = "\n".join(" ".join(pair) for pair in zip(user_E, films[prepared.items_E], strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def test_ties_of_numbers_and_of_the_same_numbers_as_text():
    numbers, text = pa.array([1, 22]), pa.array(["1", "22"])
    for ties in ("blake2b", "mixed"):
        assert tied(ties, numbers, numbers).tolist() == tied(ties, text, text).tolist()
        assert tied(ties, numbers, numbers).dtype == np.uint64
    assert tied("blake2b", pa.array([196]), pa.array([242])).tolist() == [15870482648685848195]
