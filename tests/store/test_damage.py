"""Bit rot, truncation and replaced files: named, and never taken for the model."""

import os
import random
import shutil
import signal

import pytest
from small_model import CREATED, first_model, overwrite, roll_back

from lifelong.core.errors import LifelongError, ModelCorrupt
from lifelong.store import folder, verify
from lifelong.store.documents import references
from lifelong.store.files import Files, read_plain
from lifelong.store.store import Reference, Store


@pytest.fixture
def model(tmp_path):
    store = first_model(tmp_path / "shop")
    roll_back(store)
    return store


@pytest.fixture(autouse=True)
def _nothing_hangs():
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(30)
    yield
    signal.alarm(0)


def all_files(store):
    return sorted(path for path in store.path.rglob("*") if path.is_file() and path.parent.name != "tmp")


def unnoticed(store, path):
    """What lets damage of `path` pass: verify, or reading all that the newest version refers to and its history."""
    passed = []
    if path.relative_to(store.path).as_posix() not in [problem.file for problem in store.verify().problems]:
        passed.append("verify")
    try:
        reopened = Store.open(store.path)
        for version in reopened.log():
            for reference in references(version.body):
                reopened.get(reference)
        passed.append("reading")
    except ModelCorrupt as error:
        if path.name not in str(error):
            passed.append(f"reading does not name it: {error}")
    return passed


def flip_everywhere(store, flips, seed=0):
    """(file, byte, what lets it pass) for flipped bits in every file."""
    rng, found = random.Random(seed), []
    for path in all_files(store):
        whole = path.read_bytes()
        for place in rng.sample(range(len(whole)), min(flips, len(whole))):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.randrange(8)
            overwrite(path, bytes(damaged))
            if passed := unnoticed(store, path):
                found.append((path.name, place, passed))
        overwrite(path, whole)
    return found


def test_a_flipped_bit_anywhere_is_named(model):
    assert flip_everywhere(model, 40) == []
    assert model.verify().problems == []


@pytest.mark.slow
def test_a_flipped_bit_at_every_byte_is_named(model):
    assert flip_everywhere(model, 10_000) == []


def test_unchecked_objects_would_be_found(model, monkeypatch):
    def unchecked(files, root, sha256, size=None):
        return read_plain(files, folder.object_path(root, sha256))

    monkeypatch.setattr(folder, "read_object", unchecked)
    monkeypatch.setattr(verify, "read_object", unchecked)
    assert flip_everywhere(model, 3)


def cut(path):
    overwrite(path, path.read_bytes()[:-1])


def empty(path):
    overwrite(path, b"")


def lengthen(path):
    overwrite(path, path.read_bytes() + b"\n")


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link_to_the_same_bytes(path):
    elsewhere = next(parent / "tmp" for parent in path.parents if (parent / "tmp").is_dir()) / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def a_loop(path):
    path.unlink()
    path.symlink_to(path)


DAMAGES = [cut, empty, lengthen, a_folder, a_pipe, a_link_to_the_same_bytes, a_loop, os.unlink]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_replaced_file_is_named(model, damage):
    for number, path in enumerate(all_files(model)):
        copy = model.path.parent / f"copy-{number}"
        shutil.copytree(model.path, copy)
        damaged = copy / path.relative_to(model.path)
        if damaged.name == "lifelong.json" and damage is os.unlink:
            continue  # then there is no model
        damage(damaged)
        passed = unnoticed(Store(copy, "", Files()), damaged)
        if damaged.name == "00000003.json" and damage is os.unlink:
            assert passed == ["verify", "reading"]  # a lost newest version looks like one that never was
        else:
            assert passed == []


def test_following_links_would_be_found(model):
    class Follows(Files):
        def open_plain(self, path):
            return os.open(path, os.O_RDONLY)

    path = model.path / "objects" / sorted(os.listdir(model.path / "objects"))[0]
    a_link_to_the_same_bytes(path)
    model.files = Follows()
    assert "verify" in unnoticed(model, path)


def test_size_and_hash_are_told(model):
    reference = model.put(b"weights")
    path = model.path / "objects" / reference.sha256
    overwrite(path, b"weightz")
    with pytest.raises(ModelCorrupt, match=f"{path}: expected sha256 {reference.sha256}, found [0-9a-f]{{64}}"):
        model.get(reference)
    overwrite(path, b"weight")
    with pytest.raises(ModelCorrupt, match=f"{path}: has 6 bytes, expected 7"):
        model.get(reference)
    assert model.get(model.put(b"weights")) == b"weights"  # putting it again mends it


def test_a_damaged_newest_version_is_never_passed_over(model):
    overwrite(model.path / "versions" / "00000003.json", b"")
    for ask in (model.newest, model.log, lambda: model.rollback(1, CREATED), lambda: model.version(3)):
        with pytest.raises(ModelCorrupt, match=r"00000003\.json"):
            ask()
    assert model.version(2).number == 2  # on request


def test_what_does_not_belong_there_is_named(model):
    for name in ("stray", "objects/x.tmp", "versions/00000000.json", "versions/4.json"):
        (model.path / name).write_bytes(b"")
    (model.path / "versions" / "00000009.json").write_bytes(b"")
    (model.path / "tmp" / "leftover.partial").write_bytes(b"")
    model.put(b"of a commit that never came")
    found = {problem.file: problem.reason for problem in model.verify().problems}
    assert found.pop("versions/00000004.json") == "is missing (and 4 more)"
    assert found.pop("versions/00000009.json").startswith("expected sha256")
    assert found == dict.fromkeys(
        ("stray", "objects/x.tmp", "versions/00000000.json", "versions/4.json"), "is unexpected"
    )


def test_verify_counts_what_it_read(model):
    assert model.verify().checked == 1 + 3 + 3  # card, versions, objects


def test_a_reference_is_never_a_path():
    for sha256 in ("../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "", None, 5):
        with pytest.raises(ModelCorrupt, match="no reference"):
            Reference(sha256, 1)
    for size in (-1, 1.0, True, "1", None):
        with pytest.raises(ModelCorrupt, match="no reference"):
            Reference("0" * 64, size)


def test_a_missing_or_linked_folder_is_named(model):
    shutil.move(model.path / "objects", model.path.parent / "objects")
    (model.path / "objects").symlink_to(model.path.parent / "objects")
    with pytest.raises(ModelCorrupt, match="objects: is no folder"):
        Store.open(model.path)
    (model.path / "objects").unlink()
    with pytest.raises(ModelCorrupt, match="objects: is missing"):
        Store.open(model.path)
    assert "objects" in [problem.file for problem in model.verify().problems]


def test_a_commit_needs_its_objects(model):
    newest = model.newest()
    absent = {**newest.body, "more": {"sha256": "0" * 64, "bytes": 3}}
    with pytest.raises(LifelongError, match="is missing"):
        model.commit(absent, "add", newest, CREATED)
    known = model.path / "objects" / next(references(newest.body)).sha256
    known.unlink()
    with pytest.raises(ModelCorrupt, match="is missing"):
        model.commit(newest.body, "add", newest, CREATED)
