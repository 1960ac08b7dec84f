"""Conure's three tasks of MovieLens: four ratings worked by hand, and what may be read where."""

import pytest
import releases
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.movielens25m import AFTER, Movielens25m
from lifelong.data.prepare import prepare

STARS = {"1": "4.0", "3": "3.5", "4": "4.5", "5": "5.0"}


@pytest.fixture
def folder(tmp_path):
    """1 rates 10 with 5.0, 20 with 3.5, 30 with 4.5 (before both); 2 rates 10 with 4.0."""
    folder = releases.ml_25m(tmp_path / "ml")
    lines = [f"{user},{film},{STARS[stars]},{time}\r\n" for user, film, stars, time in releases.RATINGS]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\r\n" + "".join(lines), newline="")
    return folder


def source(folder, **options):
    return Movielens25m(Movielens25m.Config(path=str(folder), min_user_events=1, **options))


def test_a_film_is_three_items(folder, tmp_path):
    data = prepare(source(folder), tmp_path / "cache")
    found = histories(data)
    assert found["1"][0] == "30"
    assert sorted(found["1"][1:]) == ["20", "five_stars-10"]
    assert found["2"] == ["four_stars-10"]
    assert data.times_E.tolist() == [90, 100, 100, 50]
    items = {row["id"]: row for row in data.items.to_pylist()}
    assert {id: row["domain"] for id, row in items.items()} == {
        **{"20": "click", "30": "click", "five_stars-10": "five_stars", "four_stars-10": "four_stars"}
    }
    assert items["five_stars-10"]["title"] == "Toy Story (1995)"
    assert [data.channels[c] for c in data.channel_E][-1] == "4"
    assert data.report.rows_read == data.report.rows_used == 4
    assert "GroupLens" in data.notice


def test_targets_after_the_whole_history(folder, tmp_path):
    data = prepare(source(folder, history="whole"), tmp_path / "cache")
    assert histories(data) == {"1": ["30", "20", "five_stars-10"], "2": ["four_stars-10"]}
    assert data.times_E.tolist() == [90, 100, 100 + AFTER, 50 + AFTER]


def test_where_the_folder_is(folder, monkeypatch):
    monkeypatch.delenv("LIFELONG_MOVIELENS25M", raising=False)
    monkeypatch.setenv("LIFELONG_MOVIELENS", str(folder))
    with pytest.raises(DataError, match=r"name: movielens25m, path: .*LIFELONG_MOVIELENS25M"):
        Movielens25m(Movielens25m.Config()).identity()
    monkeypatch.setenv("LIFELONG_MOVIELENS25M", str(folder))
    Movielens25m(Movielens25m.Config()).identity()


def test_a_wrong_rating_is_named(folder, tmp_path):
    path = folder / "ratings.csv"
    path.write_text(path.read_text().replace("3.5", "35"))
    with pytest.raises(DataError, match=r"ratings.csv: a rating of 35"):
        prepare(source(folder), tmp_path / "cache")
