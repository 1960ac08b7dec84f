"""Tenrec in the format as downloaded: no times, 1.0 beside 1, \\N, pairs twice, clicks in columns; worked by hand."""

import pyarrow as pa
import pytest
import releases
from given import histories

from lifelong.core.errors import DataError
from lifelong.data.datasets.tenrec import VARIABLE, Tenrec, _domain
from lifelong.data.formats import csv
from lifelong.data.known import Known
from lifelong.data.prepare import prepare

NAMES = ("QK-video.csv", "QK-article.csv", "ctr_data_1M.csv")


@pytest.fixture
def folder(tmp_path):
    releases.tenrec(tmp_path / "tenrec")
    return tmp_path / "tenrec"


def source(folder, **options):
    return Tenrec(Tenrec.Config(**{"path": str(folder), "history": "QK-video.csv", **options}))


def short(data):
    """Histories with v10 for qk_video-10, a10 for qk_article-10."""
    found = {user: " ".join(items) for user, items in histories(data).items()}
    return {u: text.replace("qk_video-", "v").replace("qk_article-", "a").split() for u, text in found.items()}


def test_clicks_by_hand(folder, tmp_path):
    data = prepare(source(folder), tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v12"], "2": ["v10", "v13"], "3": ["v11"]}
    assert data.report.rows_read == 8
    assert data.report.dropped == {"no click": 2, "exact duplicates": 1}
    assert set(data.times_E.tolist()) == {0}
    assert data.channels == ["click"]
    assert "CC BY-NC" in data.notice


def test_signals_make_channels(folder, tmp_path):
    """The last signal of the list that a row has; 10 twice where duplicates are kept."""
    data = prepare(source(folder, signals=["click", "like", "share"], duplicates="keep"), tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v12", "v10"], "2": ["v10", "v13"], "3": ["v11"]}
    assert [data.channels[c] for c in data.channel_E] == ["click", "like", "click", "click", "share", "click"]
    assert data.report.dropped == {"no click or like or share": 2}
    liked = prepare(source(folder, signals=["like"]), tmp_path / "cache")
    assert short(liked) == {"1": ["v12"]}


def test_what_is_known_of_users_and_items(folder, tmp_path):
    """0 and \\N are unknown; user 1 has two ages, so none; 5.0 is 5; an item's first category counts."""
    data = prepare(source(folder), tmp_path / "cache")
    assert data.users.to_pydict() == {"id": ["1", "2", "3"], "gender": ["1", "2", None], "age": [None, None, "5"]}
    categories = dict(zip(*(data.items[c].to_pylist() for c in ("id", "category")), strict=True))
    assert categories == {"qk_video-10": "3", "qk_video-11": None, "qk_video-12": None, "qk_video-13": "5"}
    assert set(data.items["domain"].to_pylist()) == {"qk_video"}


def test_targets_come_after_the_history(folder, tmp_path):
    """10 is a video and an article; user 9 has no history; 14 is clicked, as 1.0."""
    data = prepare(source(folder, targets="QK-article.csv"), tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v12", "a12"], "2": ["v10", "v13", "a10", "a11", "a14"], "3": ["v11"]}
    assert data.times_E.tolist() == [0, 0, 1, 0, 0, 1, 1, 1, 0]
    domains = dict(zip(*(data.items[c].to_pylist() for c in ("id", "domain")), strict=True))
    assert domains["qk_video-10"] == "qk_video"
    assert domains["qk_article-10"] == "qk_article"
    assert data.report.dropped == {"no click": 2 + 2, "exact duplicates": 1, "of users without history": 1}
    assert data.report.rows_read == 8 + 7


@pytest.mark.parametrize("block", [1, 10**6])
def test_the_latest_targets_of_the_first_users(folder, tmp_path, monkeypatch, block):
    """Whatever the blocks: one small row each, or all at once."""
    monkeypatch.setattr(csv, "BLOCK_BYTES", 260 if block == 1 else 1 << 24)
    chosen = source(folder, targets="QK-article.csv", last_targets=2, first_users=2)
    batches = list(chosen.events())
    assert (len(batches) > 3) == (block == 1)
    data = prepare(chosen, tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v12", "a12"], "2": ["v10", "v13", "a11", "a14"]}
    assert data.report.rows_read == 8 + 7
    assert data.report.dropped == {
        "no click": 4,
        "exact duplicates": 1,
        "of users after the first 2": 1,
        "of users without history": 1,
        "before the last 2 targets of a user": 1,
    }


def test_earlier_clicks_in_columns(folder, tmp_path):
    """hist_1 and hist_2 of user 1 came before its rows, once; the others are padding; 10.0 is 10."""
    data = prepare(source(folder, history="ctr_data_1M.csv"), tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v11", "v15", "v16"]}
    assert data.report.rows_read == 3 + 20
    assert data.report.dropped == {"padding": 18, "no click": 1}


def test_domains():
    assert [_domain(name) for name in ("sbr_data_1M.csv", "QB-artilce.csv", "cold_data_0.3.csv", "task_2.csv")] == [
        *("qk_video", "qb_article", "qk_article", "qb_video")
    ]
    assert _domain("QK_video.csv") == "qk_video"
    assert _domain("mine.csv") == "mine"


BAD = {
    "x,11,1,0,0,0,3,1,1,2": None,
    ",11,1,0,0,0,3,1,1,2": r"row 3: column 'user_id': no id;",
    "\\N,11,1,0,0,0,3,1,1,2": r"row 3: column 'user_id': no id;",
    "1,\\N,1,0,0,0,3,1,1,2": r"row 3: column 'item_id': no id b'\\\\N'",
    "1,11,yes,0,0,0,3,1,1,2": r"row 3: column 'click': no number b'yes'",
    "1,11,inf,0,0,0,3,1,1,2": r"row 3: column 'click': no number",
    "1,11,1,0,0,0,3,1,1": r"row 3: wrong number of columns \(9 instead of 10\)",
    '1,"11,1,0,0,0,3,1,1,2': "quote|wrong number of columns",
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_row_is_named_or_counted(folder, tmp_path, line):
    text = releases.TENREC["QK-video.csv"].splitlines()
    (folder / "QK-video.csv").write_text("\n".join([*text[:2], line, *text[2:]]))
    if BAD[line] is None:
        assert "x" in short(prepare(source(folder), tmp_path / "cache")), "an id is any text"
        return
    with pytest.raises(DataError, match=BAD[line]) as caught:
        prepare(source(folder), tmp_path / "cache")
    assert "QK-video.csv" in str(caught.value)
    if "quote" in BAD[line]:
        return
    data = prepare(source(folder, on_bad_rows="drop"), tmp_path / "cache")
    assert short(data) == {"1": ["v10", "v12"], "2": ["v10", "v13"], "3": ["v11"]}
    assert data.report.rows_read == 9
    assert sum(data.report.dropped.values()) == 4


def test_nothing_is_no_signal(folder, tmp_path):
    text = releases.TENREC["QK-video.csv"]
    (folder / "QK-video.csv").write_text(text + "4,11,\\N,0,0,0,3,1,1,2\n4,11,,0,0,0,3,1,1,2\n4,11,nan,0,0,0,3,1,1,2")
    assert prepare(source(folder), tmp_path / "cache").report.dropped["no click"] == 5


WRONG = {
    "user_id,itme_id,click\n1,2,1\n": "column 'item_id' is not there; did you mean 'itme_id'",
    "user_id,item_id,clicks\n1,2,1\n": "column 'click' is not there; did you mean 'clicks'.*signals name columns",
    "user_id,item_id,click,click\n1,2,1,1\n": "column 'click' stands more than once",
    "user_id;item_id;click\n1;2;1\n": "did you mean delimiter: ';'",
    "1,2,1\n1,3,1\n": "column 'user_id' is not there",
    "user_id,item_id,click\n": "only a header",
    "": "is empty",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused(folder, tmp_path, text):
    (folder / "QK-video.csv").write_text(text)
    for way in ("error", "drop"):
        with pytest.raises(DataError, match=WRONG[text]) as caught:
            prepare(source(folder, on_bad_rows=way), tmp_path / "cache")
        assert "QK-video.csv" in str(caught.value)


def test_options_and_places(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="first_users is 0"):
        source(folder, first_users=0)
    with pytest.raises(ValueError, match="at least one column"):
        source(folder, signals=[])
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DataError, match=rf"tasks/tenrec/README.md.*{VARIABLE}"):
        Tenrec(Tenrec.Config()).identity()
    monkeypatch.setenv(VARIABLE, str(folder))
    here = Tenrec(Tenrec.Config(history="QK-video.csv"))
    assert here.identity() == source(folder).identity()
    with pytest.raises(DataError, match=r"sbr_data_1M.csv: is not there"):
        Tenrec(Tenrec.Config()).identity()


def test_what_is_known_is_gathered_over_blocks():
    """First values, contradictions, ids in any order, and values that come late."""
    blocks = [
        (["b", "a", "b"], [None, "x", "y"]),
        (["c", "a", "b"], [None, "x", "z"]),
        ([], []),
        (["c", "d"], ["w", None]),
    ]
    for torn, expected in ((False, ["x", "y", "w", None]), (True, ["x", None, "w", None])):
        known = Known(["f"], contradictions=torn)
        for ids, values in blocks:
            known.add(pa.array(ids, pa.string()), {"f": pa.array(values, pa.string())})
        assert known.table().to_pydict() == {"id": ["a", "b", "c", "d"], "f": expected}
