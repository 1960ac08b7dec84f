"""NineRec in the format as downloaded: columns in either order, ids that are plain numbers, no times, covers shared."""

import downloads
import pytest
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.ninerec import Ninerec
from lifelong.data.prepare import prepare


@pytest.fixture
def folder(tmp_path):
    downloads.ninerec(tmp_path / "nine")
    return tmp_path / "nine"


def source(folder, variant, **options):
    return Ninerec(Ninerec.Config(**{"path": str(folder), "variant": variant, "min_user_events": 1, **options}))


def short(data):
    return {user: [item.rpartition("-")[2] for item in items] for user, items in histories(data).items()}


@pytest.mark.parametrize("variant", ["Bili_Food", "Bili_500K"])
def test_the_items_column_is_found_in_either_order(folder, tmp_path, variant):
    """Events of one second keep the order of the file."""
    data = prepare(source(folder, variant), tmp_path / "cache")
    assert short(data) == {"7": ["2", "3", "1"], "8": ["3", "1", "2"]}
    assert set(data.items["domain"].to_pylist()) == {variant.lower()}
    assert data.items["id"].to_pylist() == [f"{variant.lower()}-{n}" for n in (1, 2, 3)]
    assert data.times_E.tolist() == [10, 20, 30, 5, 5, 5] if variant == "Bili_Food" else [10, 20, 30, 5, 5, 5]
    assert "not to be offered" in data.notice


def test_texts_with_quotes_and_none(folder, tmp_path):
    items = source(folder, "Bili_Food").items()
    assert items["title_zh"].to_pylist() == ["番茄, 炒蛋", None, "米饭"]
    assert items["title"].to_pylist() == ['Eggs, "fried"', "Noodles", None]


def test_covers_of_both_sources_lie_together_and_missing_ones_are_counted(folder):
    found = source(folder, "Bili_500K")
    names = [path and path.rpartition("/")[2] for path in found.items()["image"].to_pylist()]
    assert names == [None, "2.jpg", "3.png"]
    assert found.missing_pictures() == 1
    assert source(folder, "Bili_Food").missing_pictures() == 2
    assert "image" not in source(folder, "QB").items().column_names
    with pytest.raises(DataError, match="elsewhere: is no folder"):
        source(folder, "QB", pictures="elsewhere").identity()


def test_a_history_without_times(folder, tmp_path):
    """QB has pairs, too, but without times, so its histories are read; a time is the place in the history."""
    data = prepare(source(folder, "QB"), tmp_path / "cache")
    assert short(data) == {"u10": ["v1"], "u14500": ["v2", "v1", "v2"]}
    assert data.times_E.tolist() == [0, 0, 1, 2]
    assert data.report.dropped == {"a history without user or items": 1}
    pairs = prepare(source(folder, "QB", file="pair"), tmp_path / "cache")
    assert short(pairs) == {"u10": ["v1"], "u14500": ["v2", "v1"]}


def test_users_that_are_called_like_items_settle_it_only_where_all_is_known(folder, tmp_path):
    """Users 1 and 2 and items 1 and 2: nothing tells them apart until a user 9 comes."""
    path = folder / "Bili_Food_pair.csv"
    path.write_text("1,2,5\n2,1,6\n")
    with pytest.raises(DataError, match=r"100% and 100% of its first two columns.*item_column: first or second"):
        prepare(source(folder, "Bili_Food"), tmp_path / "cache")
    assert short(prepare(source(folder, "Bili_Food", item_column="first"), tmp_path / "cache")) == {
        "1": ["2"],
        "2": ["1"],
    }
    rows = ["1,2,5"] * 60 + ["3,9,7"]
    path.write_text("\n".join(rows))
    assert set(short(prepare(source(folder, "Bili_Food"), tmp_path / "cache"))) == {"2", "9"}
    path.write_text("8,9,5\n9,8,6\n")
    with pytest.raises(DataError, match="0% and 0%"):
        prepare(source(folder, "Bili_Food"), tmp_path / "cache")


def test_a_few_items_without_text_do_not_hide_the_column(folder, tmp_path):
    rows = ["1,u7,5"] * 60 + ["99,u7,7"]
    (folder / "Bili_Food_pair.csv").write_text("\n".join(rows))
    assert short(prepare(source(folder, "Bili_Food"), tmp_path / "cache"))["u7"][-1] == "99"


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda f: (f / "Bili_Food_item.csv").unlink(), "holds no Bili_Food_item.csv; .*westlake-repl/NineRec"),
        (lambda f: (f / "Bili_Food_pair.csv").unlink(), r"no Bili_Food_pair.csv or Bili_Food_behaviour.tsv"),
        (lambda f: (f / "Bili_Food_item.csv").write_text("1,a,b,c\n"), "4 columns; they are the item"),
        (lambda f: (f / "Bili_Food_pair.csv").write_text("1,7,soon\n2,7,3\n"), "row 1: column 'time': unreadable time"),
    ],
)
def test_what_is_missing_or_wrong_is_named(folder, tmp_path, break_it, says):
    break_it(folder)
    with pytest.raises(DataError, match=says):
        prepare(source(folder, "Bili_Food"), tmp_path / "cache")


def test_where_the_folder_is(folder, monkeypatch):
    monkeypatch.delenv("LIFELONG_NINEREC", raising=False)
    with pytest.raises(DataError, match=r"Bili_500K_pair.csv.*github.com/westlake-repl/NineRec.*LIFELONG_NINEREC"):
        Ninerec(Ninerec.Config()).identity()
    monkeypatch.setenv("LIFELONG_NINEREC", str(folder))
    assert Ninerec(Ninerec.Config(min_user_events=1)).identity() == source(folder, "Bili_500K").identity()
    with pytest.raises(DataError, match="is no folder"):
        source(folder / "nowhere", "QB").identity()


def test_other_covers_are_another_data_set(folder):
    before = source(folder, "Bili_Food").identity()
    downloads.picture(folder / "Bili_Food_cover" / "2.jpg")
    assert source(folder, "Bili_Food").identity() != before
