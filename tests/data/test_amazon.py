"""Amazon reviews in the formats of 2014, 2018 and RecBole: the 5-core, texts as UniSRec cleans them, either order."""

import gzip
import itertools

import downloads
import numpy as np
import pytest
from given import histories
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.data.datasets.amazon import Amazon
from lifelong.data.datasets.downloads.amazon_meta import clean, read_meta
from lifelong.data.datasets.downloads.order import k_core, repeated, text_hash
from lifelong.data.prepare import prepare


@pytest.fixture
def folder(tmp_path):
    downloads.amazon(tmp_path / "amazon")
    return tmp_path / "amazon"


def source(folder, variant, **options):
    return Amazon(Amazon.Config(**{"path": str(folder), "variant": variant, "core": 3, **options}))


@pytest.mark.parametrize("variant", ["Arts", "Beauty", "Office", "Garden", "Toys"])
def test_the_same_events_in_every_format(folder, tmp_path, variant):
    data = prepare(source(folder, variant), tmp_path / "cache")
    whole = {f"A{u}": [f"B{i}" for i in range(4)] for u in range(3)}
    assert histories(data) == {**whole, "A3": ["B0", "B1", "B2"]}
    extra = {"Arts": {"of items without metadata": 1, "a review that stands twice": 1}}
    assert data.report.dropped == extra.get(variant, {})


def test_the_core_is_what_is_left_in_the_end(folder, tmp_path):
    """With 4 user 3 and product 3 go, then everybody, who has three left."""
    with pytest.raises(DataError, match=r"no event is left.*15 outside the 4-core"):
        prepare(source(folder, "Arts", core=4), tmp_path / "cache")
    everything = prepare(source(folder, "Arts", core=1, duplicates="keep"), tmp_path / "cache")
    assert everything.report.rows_used == 16
    assert histories(everything)["A0"][:2] == ["B0", "B0"]


def test_texts_as_unisrec_cleans_them(folder):
    none = {"title": None, "category": None, "brand": None, "domain": "arts"}
    items = {row["id"]: row for row in source(folder, "Arts").items().to_pylist()}
    assert items["B0"] == {**none, "id": "B0", "title": "Paint & Brush.", "category": "Arts Painting.", "brand": "Ann."}
    assert items["B1"] == {**none, "id": "B1"}, "2000 characters are none"
    assert items["B2"]["brand"] == "Bob."
    old = source(folder, "Beauty").items().to_pylist()
    assert old[1] == {"id": "B1", "title": "It's 1.", "category": "Beauty Hair.", "brand": None, "domain": "beauty"}
    toys = source(folder, "Toys").items().to_pylist()
    assert toys[0] == {"id": "B0", "title": "A toy 0.", "category": "Toys, Games.", "brand": "Lego.", "domain": "toys"}


def test_several_categories_are_one_data_set(folder, tmp_path):
    """Another file of other products; a user of both has one history; each category has its own core."""
    text = (folder / "reviews_Beauty_5.json").read_text().replace('"B', '"C')
    (folder / "reviews_Beauty_5.json").write_text(text)
    (folder / "meta_Beauty.json").write_text("".join(f"{{'asin': 'C{i}', 'title': 'c'}}\n" for i in range(4)))
    data = prepare(source(folder, "Arts", also=["Beauty"], ties="file"), tmp_path / "cache")
    assert histories(data)["A3"] == ["B0", "C0", "B1", "C1", "B2", "C2"]
    assert data.items["domain"].to_pylist() == ["arts"] * 4 + ["beauty"] * 4
    assert len(source(folder, "Arts", also=["Arts"]).files()) == 2


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A\nB\r", "AB."),
        ("End...", "End."),
        ("x" * 1999, None),
        ("x" * 1998, "x" * 1998 + "."),
        ("...", None),
        ("", None),
        (None, None),
        ([["a", "b"], ["c"]], "a b c."),
        ("&lt;b&gt;", "<b>."),
    ],
)
def test_clean(raw, cleaned):
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{'asin': __import__('os').getcwd()}", "neither JSON nor a Python dict"),
        ("[1, 2]", "is no object"),
        ("(" * 5000, "neither JSON nor"),
        ("{" + "[" * 100_000, "neither JSON nor"),
        ("not a line", "neither JSON nor"),
    ],
)
def test_a_line_is_read_and_never_run(tmp_path, line, says):
    (tmp_path / "meta.json").write_text('{"asin": "B1", "title": "One"}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"line 2: .*{says}"):
        read_meta(tmp_path / "meta.json")


def test_a_broken_archive_is_named(folder):
    path = folder / "meta_Arts.json.gz"
    path.write_bytes(gzip.compress(b"{}" * 100)[:-20])
    with pytest.raises(DataError, match=r"meta_Arts.json.gz: is no whole gzip file"):
        source(folder, "Arts").items()


def test_missing_files_are_named(folder):
    with pytest.raises(DataError, match=r"holds no Tools.inter or Tools_5.json.gz .*nijianmo"):
        source(folder, "Tools").identity()
    with pytest.raises(DataError, match=r"holds no other.json"):
        source(folder, "Arts", file="other.json").identity()
    (folder / "meta_Beauty.json").write_text('{"asin": "X"}\n')
    with pytest.raises(DataError, match=r"none of the 15 reviews of Beauty is of a product with metadata"):
        list(source(folder, "Beauty").events())


events = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(1, 4))
def test_the_core_is_the_largest_part_in_which_all_have_enough(rows, core):
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    kept = k_core(users, items, core)
    for codes in (users[kept], items[kept]):
        assert not len(codes) or np.unique(codes, return_counts=True)[1].min() >= core
    left = [row for row, k in zip(rows, kept, strict=True) if k]
    for size in range(1, 4):  # nothing that went could have stayed, together with what is left
        gone = [row for row, k in zip(rows, kept, strict=True) if not k][:6]
        for more in itertools.combinations(gone, size):
            both = [*left, *more]
            counts = [sum(row[n] == one[n] for row in both) for one in more for n in (0, 1)]
            assert min(counts) < core
    again = repeated(users, items, times)
    assert sum(~again) == len(set(rows))
    assert {row for row, a in zip(rows, again, strict=True) if not a} == set(rows)


def test_hashes_of_text_are_stable_and_tell_all_apart():
    import pyarrow as pa

    texts = [f"{'x' * n}{m}" for n in range(20) for m in range(20)] + ["", "\0", "\0\0", "a\0"]
    alone = np.concatenate([text_hash(pa.array([text])) for text in texts])
    assert np.array_equal(text_hash(pa.array(texts)), alone), "it must not matter who stands beside"
    assert len(set(alone.tolist())) == len(set(texts))
