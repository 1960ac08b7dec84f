"""H&M in the format as downloaded: ids that begin with 0, pictures in folders of three digits, labels of customers."""

import downloads
import pyarrow as pa
import pytest
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.hm import Hm, _bands
from lifelong.data.prepare import prepare

FIRST, SECOND, THIRD = (article[0] for article in downloads.ARTICLES)


@pytest.fixture
def folder(tmp_path):
    downloads.hm(tmp_path / "hm")
    return tmp_path / "hm"


def source(folder, **options):
    return Hm(Hm.Config(**{"path": str(folder), "min_user_events": 1, **options}))


def test_events_by_hand(folder, tmp_path):
    """Two of an article on one day are one event; a day's order is not the file's where that is not asked for."""
    data = prepare(source(folder, ties="file"), tmp_path / "cache")
    one, two = downloads.CUSTOMERS[:2]
    assert histories(data) == {one: [FIRST, SECOND, THIRD], two: [FIRST, SECOND, THIRD]}
    assert data.report.dropped == {"exact duplicates": 1}
    assert [data.channels[c] for c in data.channel_E][:3] == ["1", "2", "1"]
    hashed = prepare(source(folder), tmp_path / "cache")
    assert {u: sorted(items) for u, items in histories(hashed).items()} == histories(data)
    assert all(items[-1] == THIRD for items in histories(hashed).values()), "days stay in order"


def test_the_leading_zero_stays_or_is_put_back(folder, tmp_path):
    whole = prepare(source(folder), tmp_path / "cache")
    assert whole.items["id"].to_pylist() == [FIRST, SECOND, THIRD]
    for name in ("transactions_train.csv", "articles.csv"):
        path = folder / name
        text = path.read_text()
        for article in (FIRST, SECOND, THIRD):
            text = text.replace(article, article[1:])
        path.write_text(text)
    cut = prepare(source(folder), tmp_path / "cache")
    assert cut.items.equals(whole.items), "as if a program had read the ids as numbers"
    assert histories(cut) == histories(whole)


def test_articles_and_pictures(folder):
    items = {row["id"]: row for row in source(folder).items().to_pylist()}
    assert items[FIRST]["title"] == "Strap top"
    assert items[FIRST]["description"] == 'Jersey top with "narrow" straps, cut'
    assert items[FIRST]["domain"] == "Ladieswear"
    assert items[FIRST]["image"].endswith("images/010/0108775015.jpg")
    assert items[SECOND]["description"] is None
    assert items[THIRD]["image"] is None
    assert source(folder).missing_pictures() == 1


def test_labels_of_customers(folder):
    users = {row.pop("id"): row for row in source(folder).users().to_pylist()}
    one, two, three = downloads.CUSTOMERS
    assert users[one] == {"age": "49", "club": "ACTIVE", "news": "NONE", "age_band": "40-49"}
    assert users[two] == {"age": "19", "club": None, "news": "Regularly", "age_band": "<20"}
    assert users[three] == {"age": None, "club": None, "news": None, "age_band": None}
    (folder / "customers.csv").unlink()
    assert source(folder).users() is None


def test_bands():
    ages = pa.array(["16", "20", "24", "39", "60", "99", None, "4x"])
    assert _bands(ages).to_pylist() == ["<20", "20-24", "20-24", "30-39", "60+", "60+", None, None]


def test_missing_files_are_named(folder):
    (folder / "articles.csv").unlink()
    with pytest.raises(DataError, match=r"holds no articles.csv or articles.csv.gz; hm reads the files of kaggle.com"):
        source(folder).identity()
