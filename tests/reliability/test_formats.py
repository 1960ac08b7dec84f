"""Formats: every released one is read with the answers it was released with; steps between them lose and invent nothing.

There is one released format, so the step that is tested is a planted one: from format 1, as the golden directory holds it, to a
format 2 that only this file knows. In it a task's `parent` is called `stands_on`, `first_row` is `begins_at`, and its catalogue
and items are one file.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

import lives
import make

from lifelong import LivingModel
from lifelong.cli import main
from lifelong.core.errors import ForgettingError, LifelongError, ModelCorrupt, Unsupported, UsageError
from lifelong.core.fingerprint import canonical_json, numeric_stack
from lifelong.keeping import checkpoint, formats, migrating
from lifelong.keeping.checkpoint import load
from lifelong.keeping.verification import compare
from lifelong.store import documents
from lifelong.store.store import Reference, Store

GOLDEN = Path(make.__file__).parent
RELEASED = sorted(GOLDEN.glob("format-*"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody cuts the power here


@pytest.fixture
def golden(tmp_path):
    """A copy of the oldest golden model."""
    return shutil.copytree(RELEASED[0] / "model", tmp_path / "model")


def differences(answers, folder):
    """Where what a model answers is not what answers.json says: bit for bit where the stack is the same, else by tolerance."""
    said = json.loads((folder / "answers.json").read_text())
    assert said["histories"] == make.HISTORIES
    same = said["stack"] == numeric_stack()
    return list(_differences(answers, said["answers"], same, ""))


def _differences(found, expected, same, where):
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        for key in expected:
            yield from _differences(found[key], expected[key], same, f"{where}/{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from _differences(one, other, same, f"{where}/{place}")
    elif isinstance(expected, float) and not same:
        if found != pytest.approx(expected, rel=1e-5, abs=1e-6):
            yield where
    elif found != expected:
        yield where


# -- what was released -----------------------------------------------------------------------------------------------


def test_every_released_format_has_its_golden_directory():
    assert [folder.name for folder in RELEASED] == [f"format-{n}" for n in range(1, documents.FORMAT + 1)]
    for folder in RELEASED:
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_golden_answers(folder, tmp_path):
    path = shutil.copytree(folder / "model", tmp_path / "model")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert Store.open(path).verify().problems == []
    assert differences(make.answers_of(LivingModel.open(path)), folder) == []
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before  # looking writes nothing


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_golden_fingerprints_and_probes(folder):
    store = Store.open(folder / "model")
    for version in store.log():
        reading, version = formats.readable(store, version)
        assert sum(compare(reading, version.body, version.body, lambda place: [(100, 1)]).values()) == 0


def test_a_golden_answer_that_moved_is_told(golden):
    answers = make.answers_of(LivingModel.open(golden))
    value = torch.tensor(answers["spend"]["said"][1]["value"])
    answers["spend"]["said"][1]["value"] = value.item() * (1 + 1e-3)
    answers["next"]["said"][3]["items"].reverse()
    assert differences(answers, RELEASED[0])[0].startswith("/next/said/3/items")
    assert differences(answers, RELEASED[0])[-1] == "/spend/said/1/value"


DEFAULTS = {"alone": False, "first_row": 0, "parts": {}, "rows": 0, "parent": None, "owner": 1}


@pytest.mark.parametrize("missing", sorted(DEFAULTS.keys() - {"alone"}))  # a private copy has all it needs either way
def test_a_reader_that_takes_a_default_for_what_is_missing_is_caught(golden, monkeypatch, missing):
    """Planted fault: an entry without a field is read as if there were a usual value."""
    honest = checkpoint.load

    def lenient(store, body):
        tasks = {name: {**entry, missing: DEFAULTS[missing]} for name, entry in body["tasks"].items()}
        return honest(store, {**body, "tasks": tasks})

    monkeypatch.setattr("lifelong.opened.load", lenient)
    try:
        answers = make.answers_of(LivingModel.open(golden))
    except (LifelongError, AttributeError, KeyError, RuntimeError):
        return
    assert differences(answers, RELEASED[0]) != []


@pytest.mark.parametrize("missing", sorted(DEFAULTS))
def test_what_is_missing_is_not_made_up(golden, missing):
    body = Store.open(golden).newest().body
    tasks = {n: {key: value for key, value in e.items() if key != missing} for n, e in body["tasks"].items()}
    with pytest.raises((KeyError, LifelongError)):
        load(Store.open(golden), {**body, "tasks": tasks})


# -- a planted step ----------------------------------------------------------------------------------------------------


def one_to_two(body, store):
    """The planted step."""
    return {**body, "tasks": {name: _forward(entry, store) for name, entry in body["tasks"].items()}}


def _forward(entry, store):
    kept = {key: value for key, value in entry.items() if key not in ("parent", "first_row", "files")}
    files = dict(entry["files"])
    catalogue, items = (json.loads(store.get(Reference(**files.pop(role)))) for role in ("catalogue", "items"))
    files["words"] = store.put(canonical_json({"catalogue": catalogue, "items": items})).as_dict()
    return {**kept, "stands_on": entry["parent"], "begins_at": entry["first_row"], "files": files}


def load_two(store, body):
    """The reader of the planted format."""
    return load(store, {**body, "tasks": {name: _back(entry, store) for name, entry in body["tasks"].items()}})


def _back(entry, store):
    words = json.loads(store.get(Reference(**entry["files"]["words"])))
    files = dict(entry["files"]) | {role: _memory(words[role], store) for role in words}
    return {**entry, "parent": entry["stands_on"], "first_row": entry["begins_at"], "files": files}


def _memory(words, store):
    return formats.ReadOnly.put(store, canonical_json(words)).as_dict()


@pytest.fixture
def later(monkeypatch):
    """A later release, which writes the planted format."""
    monkeypatch.setattr(documents, "FORMAT", 2)
    monkeypatch.setitem(formats.STEPS, 1, one_to_two)

    def reading(store, body):
        return load_two(formats.ReadOnly(store, 2) if not isinstance(store, formats.ReadOnly) else store, body)

    for module in ("opened", "keeping.verification", "keeping.certifying", "living"):
        monkeypatch.setattr(f"lifelong.{module}.load", reading)
    monkeypatch.setattr(migrating, "check_candidate", lambda store, body, before: checked(store, body))


def checked(store, body):
    """What the fresh process does, in this one, which knows the planted format."""
    found = compare(store, body, body, lambda place: [(100, 1)])
    if sum(found.values()):
        raise LifelongError(f"the check failed, so nothing was committed: {found}")
    return {}


def test_an_older_format_is_read_and_not_written(golden, later, monkeypatch):
    model = LivingModel.open(golden)
    assert isinstance(model.store, formats.ReadOnly)
    assert "stands_on" in model.version.body["tasks"]["pet"]
    assert differences(make.answers_of(model), RELEASED[0]) == []
    before = sorted(path.name for path in golden.rglob("*"))
    for act in (lambda: model.remove("spend"), lambda: model.add_task(lives.label(0)), lambda: model.retrain("spend")):
        with pytest.raises(Unsupported, match="Run `lifelong migrate"):
            act()
    for act in (lambda: model.store.commit({}, "add", None, 0), lambda: model.store.writing().__enter__()):
        with pytest.raises(Unsupported, match="is of format 1, which this release only reads"):
            act()
    assert sorted(path.name for path in golden.rglob("*")) == before


def test_migrating_writes_a_version_and_keeps_every_task(golden, later):
    old = Store.open(golden).newest()
    moved = migrating.migrate(Store.open(golden))
    assert (moved.version, moved.before, moved.after, moved.tasks) == (6, 1, 2, 5)
    store = Store.open(golden)
    newest = store.newest()
    assert (newest.op, newest.format, store.version(5).format) == ("migrate", 2, 1)
    for name, entry in newest.body["tasks"].items():
        assert entry["identity"] == old.body["tasks"][name]["identity"]
        assert "words" in entry["files"]
    model = LivingModel.open(golden)
    assert not isinstance(model.store, formats.ReadOnly)
    assert differences(make.answers_of(model), RELEASED[0]) == []
    assert (
        differences(make.answers_of(LivingModel.open(golden, 5)), RELEASED[0]) == []
    )  # the old version, through the step
    assert store.verify().problems == []
    with pytest.raises(UsageError, match="nothing to migrate"):
        migrating.migrate(store)


def test_an_older_release_refuses_what_it_cannot_read(golden, later, monkeypatch):
    migrating.migrate(Store.open(golden))
    before = {file: file.read_bytes() for file in golden.rglob("*") if file.is_file()}
    monkeypatch.setattr(documents, "FORMAT", 1)
    with pytest.raises(Unsupported, match="is of format 2, this release reads 1; install a later one"):
        LivingModel.open(golden)
    assert {file: file.read_bytes() for file in golden.rglob("*") if file.is_file()} == before


def test_a_rollback_across_a_migration_is_read_through_the_step(golden, later):
    migrating.migrate(Store.open(golden))
    back = Store.open(golden).rollback(4, 5)
    assert back.format == 1
    assert list(LivingModel.open(golden).members) == ["next", "pet", "spend", "garden"]
    assert migrating.migrate(Store.open(golden)).version == back.number + 1


def test_a_format_without_a_step_is_refused(golden, monkeypatch):
    monkeypatch.setattr(documents, "FORMAT", 3)
    monkeypatch.setitem(formats.STEPS, 1, one_to_two)
    with pytest.raises(Unsupported, match="of format 2; no step leads on"):
        LivingModel.open(golden)


def test_steps_follow_each_other(golden, monkeypatch):
    taken = []
    monkeypatch.setattr(documents, "FORMAT", 4)
    for number in (1, 2, 3):
        monkeypatch.setitem(formats.STEPS, number, lambda body, store, n=number: taken.append(n) or {**body, "step": n})
    store = Store.open(golden)
    assert formats.stepped(store.newest(), store)["step"] == 3
    assert taken == [1, 2, 3]


def a_default(entry, store):
    """Fault: what the new format wants is not looked up."""
    return {**_forward(entry, store), "begins_at": 0}


def another_name(entry, store):
    """Fault: the step makes another task of it."""
    return {**_forward(entry, store), "identity": "0" * 16}


def a_new_seal(entry, store):
    """Fault: the fingerprint is written anew."""
    return {**_forward(entry, store), "fingerprint": "0" * 64}


def other_order(entry, store):
    """Fault: items stand in another order than their rows."""
    forward = _forward(entry, store)
    words = json.loads(store.get(Reference(**forward["files"]["words"])))
    words["items"] = list(reversed(words["items"]))
    forward["files"]["words"] = store.put(canonical_json(words)).as_dict()
    return forward


@pytest.mark.parametrize("fault", [a_default, another_name, a_new_seal])
def test_a_step_that_loses_something_commits_nothing(golden, later, monkeypatch, fault):
    monkeypatch.setitem(
        formats.STEPS, 1, lambda body, s: {**body, "tasks": {n: fault(e, s) for n, e in body["tasks"].items()}}
    )
    with pytest.raises((ForgettingError, ModelCorrupt, LifelongError)):
        migrating.migrate(Store.open(golden))
    assert len(Store.open(golden).numbers()) == 5


def test_a_step_that_mixes_up_items_is_caught_by_the_golden_answers(golden, later, monkeypatch):
    """No hash of weights knows which item a row is of; the answers do."""
    monkeypatch.setitem(
        formats.STEPS, 1, lambda body, s: {**body, "tasks": {n: other_order(e, s) for n, e in body["tasks"].items()}}
    )
    assert differences(make.answers_of(LivingModel.open(golden)), RELEASED[0]) != []


def test_the_command_says_that_there_is_nothing_to_do(golden, capsys):
    assert main(["migrate", str(golden)]) == 2
    assert "is of format 1 already; there is nothing to migrate" in capsys.readouterr().err
