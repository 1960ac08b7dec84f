"""What the store promises on a good day."""

import hashlib
import os
import shutil
import stat

import pytest
from small_model import CREATED, add, body, first_model

from lifelong.core.errors import ConfigError, Conflict, ModelCorrupt, UsageError
from lifelong.store.documents import references
from lifelong.store.files import Files
from lifelong.store.store import Reference, Store

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_an_object_is_named_by_its_sha256_and_read_only(tmp_path):
    store = Store.create(tmp_path / "shop")
    reference = store.put(b"hello")
    assert reference == Reference(HELLO, 5)
    assert reference.as_dict() == {"sha256": HELLO, "bytes": 5}
    assert store.get(reference) == b"hello"
    path = tmp_path / "shop" / "objects" / HELLO
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert store.get(store.put(b"")) == b""


def test_an_object_that_is_there_is_not_written_again(tmp_path):
    store = Store.create(tmp_path / "shop")
    inode = os.stat(tmp_path / "shop" / "objects" / store.put(b"hello").sha256).st_ino
    assert os.stat(tmp_path / "shop" / "objects" / store.put(b"hello").sha256).st_ino == inode


def test_a_version_file_by_hand(tmp_path):
    store = Store.create(tmp_path / "shop")
    version = store.commit(body(store.put(b"hello")), "pretrain", None, 5)
    first, rest = (tmp_path / "shop" / "versions" / "00000001.json").read_text().split("\n", 1)
    files = f'{{"role0":{{"bytes":5,"sha256":"{HELLO}"}}}}'
    assert rest == (
        f'{{"body":{{"tasks":{{"click":{{"files":{files}}}}}}},"created":5,"format":1,"min_reader":1,'
        '"op":"pretrain","parent":null,"v":1}\n'
    )
    assert first == version.sha256 == hashlib.sha256(rest.encode()).hexdigest()


def test_equal_history_gives_equal_bytes(tmp_path):
    one, two = first_model(tmp_path / "one"), first_model(tmp_path / "two")
    for number in (1, 2):
        assert one.version(number) == two.version(number)


def test_the_newest_number_is_the_state(tmp_path):
    store = first_model(tmp_path / "shop")
    added = add(store)
    reopened = Store.open(tmp_path / "shop")
    assert reopened.newest() == added
    assert reopened.numbers() == [1, 2, 3]
    assert reopened.version(2).body["first"] == 1
    assert [version.number for version in reopened.log()] == [1, 2, 3]
    assert reopened.lineage == store.lineage


def test_a_rollback_is_a_version_and_history_stays_linear(tmp_path):
    store = first_model(tmp_path / "shop")
    history = store.log()
    back = store.rollback(1, CREATED + 9)
    assert (back.number, back.op, back.created) == (3, "rollback", CREATED + 9)
    assert back.body == history[0].body
    assert back.parent_sha256 == history[1].sha256
    assert store.log() == [*history, back]
    forth = store.rollback(2, CREATED)  # a clock that went backwards does not matter
    assert store.newest() == forth
    assert forth.body == history[1].body


def test_a_rollback_that_goes_nowhere_is_refused(tmp_path):
    store = first_model(tmp_path / "shop")
    for to, message in (
        (2, "newest already"),
        (9, "there is no version 9; there is 1 to 2"),
        (0, "there is no version 0"),
    ):
        with pytest.raises(UsageError, match=message):
            store.rollback(to, CREATED)


def test_a_model_without_versions_says_so(tmp_path):
    store = Store.create(tmp_path / "shop")
    assert store.numbers() == store.log() == store.verify().problems == []
    for ask in (store.newest, lambda: store.version(1), lambda: store.rollback(1, CREATED)):
        with pytest.raises(UsageError, match="version"):
            ask()


def test_a_reference_is_found_wherever_it_stands():
    here, there = Reference("0" * 64, 1), Reference("1" * 64, 2)
    document = {
        "a": [{"b": here.as_dict()}, [there.as_dict()]],
        "sha256": "x",
        "c": {"sha256": 1, "bytes": 2, "more": 3},
    }
    assert list(references(document)) == [here, there]
    deep = here.as_dict()
    for _ in range(100_000):
        deep = [deep]
    assert list(references(deep)) == [here]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {"tasks": []},
        {"tasks": {}, "files": []},
        {"tasks": {}, "x": float("nan")},
        {"tasks": {}, "x": ...},
        {"tasks": {}, "x": {1: 2, "a": 3}},
        {"tasks": {"../x": {}}},
        {"tasks": {"con": {}}},
        {"tasks": {5: {}}},
    ],
    ids=ascii,
)
def test_a_body_that_is_no_plain_json_is_refused(tmp_path, wrong):
    store = Store.create(tmp_path / "shop")
    with pytest.raises(UsageError):
        store.commit(wrong, "add", None, CREATED)
    assert store.numbers() == []


def test_what_is_committed_is_what_is_read(tmp_path):
    store = Store.create(tmp_path / "shop")
    version = store.commit({"tasks": {}, "pair": (1, 2), "text": "\ud800é", "float": 0.1 + 0.2}, "add", None, CREATED)
    assert version == store.newest()
    assert version.body["pair"] == [1, 2]
    with pytest.raises(ModelCorrupt, match="no reference"):
        store.commit({"tasks": {}, "bad": {"sha256": "x", "bytes": 1}}, "add", version, CREATED)


@pytest.mark.parametrize(
    ("op", "created"), [("Add", 5), ("", 5), ("add", -1), ("add", 1.5), ("add", True), ("add", None)]
)
def test_op_and_created_are_checked(tmp_path, op, created):
    with pytest.raises(UsageError):
        Store.create(tmp_path / "shop").commit({"tasks": {}}, op, None, created)


def test_opening_what_is_not_there_suggests_what_is(tmp_path):
    first_model(tmp_path / "shop")
    with pytest.raises(UsageError, match="there is no model; did you mean 'shop'"):
        Store.open(tmp_path / "shpo")
    with pytest.raises(UsageError, match="there is: shop"):
        Store.open(tmp_path / "zzz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"lifelong\.json is missing"):
        Store.open(tmp_path / "empty")


def test_making_refuses_what_is_not_empty(tmp_path):
    store = first_model(tmp_path / "shop")
    with pytest.raises(UsageError, match="a model already"):
        Store.create(store.path)
    assert Store.open(store.path).lineage == store.lineage
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        Store.create(tmp_path / "file")
    for number, name in enumerate(("notes.txt", "objects/x", "versions/00000001.json", "tmp", "sub/x")):
        path = tmp_path / f"full-{number}" / name
        path.parent.mkdir(parents=True)
        path.write_text("x")
        with pytest.raises(UsageError, match=f"holds '{name.partition('/')[0]}'"):
            Store.create(tmp_path / f"full-{number}")


def test_making_completes_empty_folders(tmp_path):
    (tmp_path / "shop" / "objects").mkdir(parents=True)
    (tmp_path / "shop" / "tmp").mkdir()
    (tmp_path / "shop" / "tmp" / "0.partial").write_text("x")
    assert Store.create(tmp_path / "shop").numbers() == []
    assert sorted(os.listdir(tmp_path / "shop")) == ["lifelong.json", "objects", "resume", "tmp", "versions"]


def test_two_who_make_the_same_model_do_not_both_succeed(tmp_path):
    class Overtaken(Files):
        def link(self, source, target):
            if not target.exists():
                self.other = Store.create(target.parent)
            super().link(source, target)

    files = Overtaken()
    with pytest.raises(UsageError, match="just now"):
        Store.create(tmp_path / "shop", files=files)
    assert Store.open(tmp_path / "shop").lineage == files.other.lineage


def test_a_copy_without_the_empty_folders_works(tmp_path):
    store = first_model(tmp_path / "shop")
    for name in ("tmp", "resume"):
        shutil.rmtree(store.path / name)
    copy = Store.open(store.path)
    assert copy.verify().problems == []
    add(copy)
    assert copy.resume_folder("job").is_dir()


def test_a_model_behind_a_link_works(tmp_path):
    first_model(tmp_path / "shop")
    (tmp_path / "current").symlink_to("shop")
    store = Store.open(tmp_path / "current")
    add(store)
    assert store.verify().problems == []


def test_a_folder_relative_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first_model("shop")
    assert Store.open("shop").verify().problems == []


def test_resume_is_kept_apart_and_cleared(tmp_path):
    store = first_model(tmp_path / "shop")
    (store.resume_folder("0a1b") / "state").write_bytes(b"half")
    assert store.resume_folder("0a1b") == store.path / "resume" / "0a1b"
    assert store.verify().problems == []
    store.clear_resume("0a1b")
    store.clear_resume("0a1b")
    assert os.listdir(store.path / "resume") == []
    for ask in (store.resume_folder, store.clear_resume):
        with pytest.raises(ConfigError):
            ask("../objects")


def test_a_copy_made_during_a_commit_is_whole(tmp_path):
    """Copied versions first, objects after: what a version refers to is there before it is."""
    store = first_model(tmp_path / "shop")
    copy = tmp_path / "copy"
    shutil.copytree(store.path / "versions", copy / "versions")
    add(store)
    shutil.copy(store.path / "lifelong.json", copy)
    shutil.copytree(store.path / "objects", copy / "objects")
    assert Store.open(copy).verify().problems == []
    assert Store.open(copy).newest().number == 2


def test_writing_is_released_after_an_error(tmp_path):
    store = first_model(tmp_path / "shop")
    with pytest.raises(Conflict, match="mine"), store.writing():
        raise Conflict("mine")
    with store.writing(wait=0):
        pass
