"""gc, repair and pin as commands: what they say, what they leave, and that nothing goes without --yes."""

import os
import shutil

import pytest

from lifelong import LivingModel
from lifelong.store.store import Store

CREATED = 1_700_000_000


@pytest.fixture
def model(tmp_path):
    """Three versions, of which the first two have an object of their own; all of it years old."""
    store, version = Store.create(tmp_path / "shop"), None
    for number in range(3):
        files = {"weights": store.put(b"weights %d" % number * 50).as_dict()}
        version = store.commit({"tasks": {"click": {"files": files}}}, "add", version, CREATED + number)
    for path in (tmp_path / "shop" / "objects").iterdir():
        os.utime(path, (CREATED, CREATED))
    return tmp_path / "shop"


def everything(path):
    return sorted(file.relative_to(path) for file in path.rglob("*"))


def damage(path, number):
    file = path / "versions" / f"{number:08d}.json"
    file.unlink()
    file.write_bytes(b"torn\n")


def test_gc_shows_what_would_go_and_removes_it_with_yes(run, model):
    before = everything(model)
    shown = run("gc", model, "--keep", 1, "--json").document
    assert (shown["removed"], shown["versions"], len(shown["objects"]), shown["bytes"]) == (False, [1, 2], 2, 900)
    assert "nothing was removed; --yes removes it" in run("gc", model, "--keep", 1).out
    assert everything(model) == before
    done = run("gc", model, "--keep", 1, "--yes", "--wait", 0, "--json", "--quiet").document
    assert done == {**shown, "removed": True}
    assert [entry["state"] for entry in run("log", model, "--json").document] == ["collected", "collected", ""]
    assert len(os.listdir(model / "objects")) == 1
    refused = run("rollback", model, 1)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "version 1 was collected on" in refused.err
    assert "there is nothing to remove" in run("gc", model, "--keep", 1).out


def test_gc_keeps_ten_versions_and_the_young(run, model):
    assert run("gc", model, "--json").document["objects"] == []
    shutil.copytree(model, model.parent / "young", copy_function=shutil.copyfile)
    young = run("gc", model.parent / "young", "--keep", 1, "--json").document
    assert (young["objects"], young["kept"]) == ([], {"3": "among the newest 1"})
    assert len(run("gc", model.parent / "young", "--keep", 1, "--hours", 0, "--json").document["objects"]) == 2


def test_gc_says_that_it_waits_and_keeps_what_is_pinned(run, model):
    assert run("pin", model, 1).out == "version 1 is served\n"
    done = run("gc", model, "--keep", 1, "--yes", "--wait", 0.01)
    assert "taken after 0.01 s" in done.err
    assert "pinned as serving" in done.out
    assert [entry["state"] for entry in run("log", model, "--json").document] == ["pinned: serving", "collected", ""]
    assert run("pin", model, "newest", "--json").document["version"] == 3
    assert run("verify", model).code == 1  # no real tasks in this one; its files are whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gc", "--keep", 0), "keep at least the newest version"),
        (("gc", "--hours", -1), "keep at least the newest version"),
        (("pin", "latest"), "'latest' is no version: write its number, or newest"),
        (("pin", "-1"), "'-1' is no version: write its number, or newest"),
        (("pin", 9), "there is no version 9; there is 1 to 3"),
        (("repair", "--to", 1), "version 3 is whole; to make 1 the newest, use rollback"),
    ],
)
def test_a_wrong_call_is_one_line_and_2(run, model, arguments, said):
    before = everything(model)
    done = run(arguments[0], model, *arguments[1:])
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert everything(model) == [*before] or everything(model) == sorted(
        [*before, model.relative_to(model) / "tmp/lock"]
    )


def test_repair_says_what_is_damaged_and_what_is_the_newest(run, model):
    assert run("repair", model).out == "nothing is damaged; version 3 is the newest\n"
    damage(model, 3)
    broken = run("verify", model, "--json")
    assert (broken.code, len(broken.document["problems"])) == (1, 1)
    refused = run("gc", model, "--keep", 1)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert refused.err.startswith("ModelCorrupt: ")
    done = run("repair", model, "--json").document
    assert (done["repaired"], done["version"], done["from"], list(done["wrong"])) == (True, 4, 2, ["3"])
    assert "expected sha256" in done["wrong"]["3"]
    assert [entry["op"] for entry in run("log", model, "--json").document] == ["add", "add", "repair"]
    damage(model, 4)
    assert "version 5 is version 1 again" in run("repair", model, "--to", 1).out


def test_a_real_model_answers_as_before_after_all_of_it(run, grown, tmp_path):
    path = shutil.copytree(grown, tmp_path / "model")
    before = LivingModel.open(path).represent([["i0000000", "i0000001"]], "label")
    assert run("rollback", path, 1).code == 0
    damage(path, 3)
    assert run("repair", path).code == 0
    assert run("pin", path, 2).code == 0
    assert run("gc", path, "--keep", 1, "--hours", 0, "--yes", "--wait", 0, "--quiet").code == 0
    check = run("verify", path, "--json")
    assert (check.code, check.document["ok"], check.document["version"]) == (0, True, 4)
    assert [entry.partition(":")[0] for entry in check.document["given_up"]] == ["versions/00000003.json"]
    assert (LivingModel.open(path).represent([["i0000000", "i0000001"]], "label") == before).all()
