"""Version files that say nonsense, a broken chain, formats of later releases."""

import hashlib

import pytest
from small_model import CREATED, first_model, overwrite, roll_back

from lifelong.core.errors import ModelCorrupt, Unsupported
from lifelong.store import documents, folder, reading, verify
from lifelong.store.documents import seal
from lifelong.store.store import Store


@pytest.fixture
def model(tmp_path):
    store = first_model(tmp_path / "shop")
    roll_back(store)
    return store


def replace_version(store, number, **changes):
    """A version's file with another content and the right first line."""
    path = folder.version_path(store.path, number)
    version, parent = store.version(number), store.version(number - 1) if number > 1 else None
    document = {
        "format": 1,
        "min_reader": 1,
        "v": number,
        "parent": parent and {"v": number - 1, "sha256": parent.sha256},
        "op": version.op,
        "created": version.created,
        "body": version.body,
    }
    overwrite(path, seal({**document, **changes}))
    return path


def test_a_replaced_middle_version_breaks_the_chain(model):
    path = replace_version(model, 2, created=5)
    assert [problem.file for problem in model.verify().problems] == ["versions/00000002.json"]
    for ask in (model.newest, model.log, lambda: model.rollback(2, CREATED)):
        with pytest.raises(ModelCorrupt, match=str(path)):
            ask()


def test_an_unchecked_chain_would_be_found(model, monkeypatch):
    replace_version(model, 2, created=5)
    for module in (documents, reading, verify):
        monkeypatch.setattr(module, "check_link", lambda *_: None)
    assert model.verify().problems == []
    assert len(model.log()) == 3


def test_versions_that_were_swapped_are_named(model):
    one, two = (folder.version_path(model.path, number) for number in (1, 2))
    first, second = one.read_bytes(), two.read_bytes()
    overwrite(one, second)
    overwrite(two, first)
    assert {problem.file for problem in model.verify().problems} == {"versions/00000001.json", "versions/00000002.json"}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 1, "extra": 1},
        {"v": 4},
        {"v": "3"},
        {"parent": None},
        {"parent": {"v": 1, "sha256": "0" * 64}},
        {"parent": {"v": 2}},
        {"op": "../x"},
        {"op": 3},
        {"created": -1},
        {"created": True},
        {"created": 1.5},
        {"body": []},
        {"body": {"a": [{"sha256": "../../etc/passwd", "bytes": 5}]}},
        {"body": {"a": {"sha256": "0" * 64, "bytes": -5}}},
        {"min_reader": "1"},
    ],
    ids=str,
)
def test_a_version_that_says_nonsense_is_corrupt(model, changes):
    path = replace_version(model, 3, **changes)
    with pytest.raises(ModelCorrupt, match=str(path)):
        model.newest()


def test_json_that_is_not_canonical_is_corrupt(model):
    path = folder.version_path(model.path, 3)
    rest = path.read_bytes().partition(b"\n")[2]
    for changed in (
        rest.replace(b'{"body"', b'{"body":{},"body"', 1),
        rest + b" ",
        b"[" * 100_000,
        b"NaN\n",
        b"\xff\n",
    ):
        overwrite(path, hashlib.sha256(changed).hexdigest().encode() + b"\n" + changed)
        with pytest.raises(ModelCorrupt, match=str(path)):
            model.newest()


def test_a_later_format_is_unsupported_and_untouched(model):
    path = folder.version_path(model.path, 3)
    whole = path.read_bytes()
    replace_version(model, 3, format=2, min_reader=2, more=1)
    later = path.read_bytes()
    for ask in (model.newest, model.verify, lambda: model.rollback(1, CREATED)):
        with pytest.raises(Unsupported, match="format 2"):
            ask()
    assert path.read_bytes() == later
    assert model.numbers() == [1, 2, 3]
    overwrite(path, whole)
    overwrite(model.path / "lifelong.json", b'{"format":2,"written":"otherwise"}\n')
    with pytest.raises(Unsupported, match="format 2"):
        Store.open(model.path)


def test_a_later_format_that_this_release_may_read_is_read(model):
    replace_version(model, 3, format=2, more=1)
    assert model.newest().number == 3
