"""PixelRec in the format as downloaded: the item before the user, two files of one name, covers of one folder."""

import downloads
import pytest
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.pixelrec import Pixelrec
from lifelong.data.prepare import prepare


@pytest.fixture
def folder(tmp_path):
    downloads.pixelrec(tmp_path / "pixel")
    return tmp_path / "pixel"


def source(folder, **options):
    return Pixelrec(Pixelrec.Config(**{"path": str(folder), "min_user_events": 1, **options}))


def test_events_by_hand(folder, tmp_path):
    data = prepare(source(folder), tmp_path / "cache")
    assert histories(data) == {"u7": ["i2", "i3", "i1"], "u8": ["i3", "i1", "i2"]}
    assert data.report.rows_read == data.report.rows_used == 6


def test_items_and_their_covers(folder):
    """i2 has no row, i3 no text and no cover; a description of two lines."""
    items = {row["id"]: row for row in source(folder).items().to_pylist()}
    assert set(items) == {"i1", "i3"}
    assert items["i1"]["title"] == "Cats, again"
    assert items["i1"]["description"] == "two\nlines"
    assert items["i1"]["view_number"] == "5"
    assert items["i1"]["image"].endswith("cover/i1.jpg")
    assert (items["i3"]["title"], items["i3"]["image"]) == (None, None)
    assert source(folder).missing_pictures() == 1


def test_an_older_release_has_no_description(folder):
    path = folder / "pixelrec_iteminfo" / "Pixel200K.csv"
    path.write_text("item_id,view_number,title,tag\ni1,5,Cats,pets\n")
    assert source(folder).items().column_names == ["id", "title", "tag", "view_number", "image"]


@pytest.mark.parametrize("gone", ["pixelrec_interaction", "pixelrec_iteminfo"])
def test_one_of_two_files_is_not_enough(folder, gone):
    (folder / gone / "Pixel200K.csv").unlink()
    header = {"pixelrec_interaction": "item_id,user_id,timestamp", "pixelrec_iteminfo": "item_id,…,title,tag"}[gone]
    with pytest.raises(DataError, match=rf"no Pixel200K.csv with the header {header}; .*westlake-repl/PixelRec"):
        source(folder).identity()
