"""Files of somebody who makes every hash right: refused by name, or told by verify; never a crash, a hang, or code run.

A forged file whose sense is whole, say another learning rate in a record, is not damage and may be opened; but then every
answer is what it was. `make torture` does 10,000 mutations.
"""

import json
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from attacked import Forged, copied, sealed_differently, told, untrained_model
from tampering import forge

from lifelong import LivingModel
from lifelong.core.errors import ConfigError, LifelongError, ModelCorrupt
from lifelong.core.fingerprint import canonical_json
from lifelong.keeping import entries
from lifelong.store import tensors
from lifelong.store.tensors import pack, unpack

CANARY = """
from pathlib import Path
Path(__file__).with_name("sung").touch()


class Boom:
    pass
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The untouched model."""
    base = tmp_path_factory.mktemp("whole")
    return untrained_model(base / "model", base / "cache")


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A module that can be imported, and whether it was."""
    (tmp_path / "canary_of_a_model.py").write_text(CANARY)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: (tmp_path / "sung").exists()
    sys.modules.pop("canary_of_a_model", None)


@pytest.fixture(autouse=True)
def _nothing_hangs():
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(1800)
    yield
    signal.alarm(0)


@dataclass
class Outcome:
    """refused: an error of ours; told: opened, and verify says which task is not what was sealed; harmless: every answer is
    what it was; wrong: anything else."""

    refused: int = 0
    told: int = 0
    harmless: int = 0
    wrong: list[str] = field(default_factory=list)
    kinds: Counter = field(default_factory=Counter)


def attack(whole, place, times, seed=0) -> Outcome:
    """Forge a fresh copy again and again."""
    clean, outcome = told(whole), Outcome()
    assert clean.error is None
    for number in range(seed, seed + times):
        copy = copied(whole, place / "copy")
        what = forge(copy, random.Random(number))
        found = told(copy)
        outcome.kinds[what] += 1
        if found.refused:
            outcome.refused += 1
        elif found.crashed:
            outcome.wrong.append(f"{number}: {what}: crashed: {found.error!r:.200}")
        elif found.said == clean.said:
            outcome.harmless += 1
        elif sealed_differently(copy):
            outcome.told += 1
        else:
            outcome.wrong.append(f"{number}: {what}: other answers, and nobody says so")
    assert not (place / "canary").exists()
    return outcome


def test_forged_files(whole, memory, canary):
    outcome = attack(whole, memory, 120)
    assert not outcome.wrong
    assert outcome.refused > 80
    assert len(outcome.kinds) > 20
    assert not canary()


@pytest.mark.torture
def test_10000_forged_files(whole, memory, canary):
    outcome = attack(whole, memory, 10_000, seed=1_000)
    print(
        f"10,000 mutations of {len(outcome.kinds)} kinds: {outcome.refused} refused, {outcome.told} told by verify, "
        f"{outcome.harmless} that change no answer, {len(outcome.wrong)} wrong"
    )
    assert not outcome.wrong
    assert not canary()


# -- what is said ------------------------------------------------------------------------------------------------------


def forged(whole, place, task, change):
    """A copy in which the weights of a task were changed, all hashes right; and the name of the file."""
    copy = Forged(copied(whole, place / "copy"))
    held = unpack(copy.read(task, "weights"), "weights")
    change(held)
    copy.replace(task, "weights", pack(held, {}, allow_nonfinite=True))
    copy.close()
    return copy.folder, copy.body["tasks"][task]["files"]["weights"]["sha256"]


def _nan(held):
    held["private/encoder.norm.weight"][0] = float("nan")


def _half(held):
    held["private/encoder.norm.weight"] = held["private/encoder.norm.weight"].half()


def _longer(held):
    held["private/encoder.norm.weight"] = torch.ones(9)


def _path(held):
    held["../../etc/passwd"] = torch.ones(1)


def _without(held):
    del held["private/encoder.norm.weight"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_nan, "holds NaN or infinity"),
        (_half, "torch.float16"),
        (_longer, r"\(9,\)"),
        (_path, "etc/passwd"),
        (_without, "encoder.norm.weight is missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(whole, memory, change, said):
    folder, name = forged(whole, memory, "next", change)
    with pytest.raises(ModelCorrupt, match=said) as caught:
        LivingModel.open(folder)
    assert f"objects/{name} (weights)" in str(caught.value)


def test_weights_of_another_value_are_told_by_verify(whole, memory):
    folder, _ = forged(whole, memory, "kids", lambda held: held["own/head.output.bias"].add_(1.0))
    history, told = sealed_differently(folder)
    assert "changed in version 5 (add) under the same identity: its file weights" in history
    assert told == "kids"


def test_classes_in_another_order_are_told_by_verify(whole, memory):
    """Weights and probes know nothing of names: only the identity, which is their hash, does."""
    copy = Forged(copied(whole, memory / "copy"))
    names = json.loads(copy.read("patched", "catalogue"))
    copy.replace("patched", "catalogue", canonical_json([*names[1:], names[0]]))
    copy.close()
    assert LivingModel.open(copy.folder)
    assert any("task patched" in line for line in sealed_differently(copy.folder))


@pytest.mark.parametrize("change", [{"first_row": 10}, {"first_row": 2**31 - 1}, {"parent": ...}])
@pytest.mark.parametrize("task", ["next", "wider"])
def test_rows_that_nobody_has_and_parents_that_are_not_named(whole, memory, task, change):
    copy = Forged(copied(whole, memory / "copy"))
    entry = copy.body["tasks"][task]
    for key, value in change.items():
        entry.pop(key) if value is ... else entry.update({key: value})
    copy.close()
    with pytest.raises(ModelCorrupt, match=f"{task}|rows of items.weight"):
        LivingModel.open(copy.folder)


@pytest.mark.parametrize("where", ["head", "objective", "strategy", "dataset"])
def test_a_model_cannot_name_code(whole, memory, canary, where):
    copy = Forged(copied(whole, memory / "copy"))
    values = json.loads(copy.read("kids", "task"))
    (values["data"] if where == "dataset" else values)[where] = {"name": "canary_of_a_model:Boom"}
    copy.replace("kids", "task", canonical_json(values))
    copy.close()

    def ask():
        model = LivingModel.open(copy.folder, cache=memory / "cache")
        model.predict([["i0000003"]], "kids")
        model.evaluate(["kids"])

    with pytest.raises(ConfigError, match="if you trust it"):
        ask()
    assert not canary()


def test_a_metric_or_an_encoder_cannot_name_code(whole, memory, canary):
    copy = Forged(copied(whole, memory / "copy"))
    values = json.loads(copy.read("kids", "task"))
    values["metrics"] = ["canary_of_a_model:Boom@5"]
    copy.replace("kids", "task", canonical_json(values))
    copy.close()
    with pytest.raises(ConfigError, match="if you trust it"):
        LivingModel.open(copy.folder, cache=memory / "cache").evaluate(["kids"])
    copy.body["design"]["encoder"] = "canary_of_a_model:Boom"
    copy.close()
    with pytest.raises(ConfigError, match="if you trust it"):
        LivingModel.open(copy.folder)
    assert not canary()


def test_a_small_file_cannot_ask_for_much_memory(whole, memory):
    for option, value in (("width", 16_000), ("blocks", 10**9), ("hidden", 10**7)):
        copy = Forged(copied(whole, memory / "copy"))
        copy.body["design"]["options"][option] = value
        copy.close()
        with pytest.raises(LifelongError):
            LivingModel.open(copy.folder)


# -- broken variants ---------------------------------------------------------------------------------------------------


def test_a_loader_that_takes_nan_would_be_caught(whole, memory, monkeypatch):
    monkeypatch.setattr(tensors, "_finite", lambda tensor: True)
    folder, _ = forged(whole, memory, "next", _nan)
    assert not told(folder).refused


def test_a_loader_that_believes_shapes_would_be_caught(whole, memory, monkeypatch):
    anything = dict.fromkeys(("private", "own", "claim", "mask", "rows"), lambda *_: True)
    monkeypatch.setattr(entries, "_CHECKS", anything)
    folder, _ = forged(whole, memory, "next", _longer)
    assert told(folder).crashed


def test_a_loader_that_believes_the_body_would_be_caught(whole, memory, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.checkpoint.check_body", lambda body: None)
    assert attack(whole, memory, 60).wrong


def test_a_registry_that_imports_for_a_model_would_be_caught(whole, memory, canary, monkeypatch):
    from lifelong.core import registry

    trusting = registry.find
    monkeypatch.setattr(registry, "find", lambda kind, name, *, outside=True: trusting(kind, name))
    copy = Forged(copied(whole, memory / "copy"))
    copy.body["design"]["encoder"] = "canary_of_a_model:Boom"
    copy.close()
    assert told(copy.folder).refused  # it is no encoder; but by then its code has run
    assert canary()
