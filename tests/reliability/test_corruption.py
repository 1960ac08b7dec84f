"""Bits that flip, files that are cut, swapped or replaced: each is named by verify, and no answer ever changes in silence.

A model of five real tasks; every harm is done to a file of a copy. `make torture` flips 4,000 bits and does 2,000 other harms.
"""

import hashlib
import os
import random
import shutil
import signal
from dataclasses import dataclass, field

import pytest
from attacked import Told, copied, files_of, told, untrained_model
from tampering import BLIND, flip

from lifelong.core.errors import LifelongError
from lifelong.store import folder as layout
from lifelong.store import store, verify
from lifelong.store.files import Files, read_plain
from lifelong.store.store import Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The untouched model."""
    base = tmp_path_factory.mktemp("whole")
    return untrained_model(base / "model", base / "cache")


@pytest.fixture(autouse=True)
def _nothing_hangs():
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(900)
    yield
    signal.alarm(0)


@dataclass
class Outcome:
    """What became of all harms: how many ended how, and those that ended as they must not."""

    refused: int = 0
    unread: int = 0
    """The file is not read to open the newest version; verify named it, and every answer is what it was."""
    shortened: int = 0
    """The newest version's file is gone: what is left is the model before it, and verify counts files of no version."""
    wrong: list[str] = field(default_factory=list)


def attack(whole, place, harms, times, seed=0) -> Outcome:
    """Harm one random file after the other, each with a copy of the model put right again before the next."""
    clean, outcome, rng = told(whole), Outcome(), random.Random(seed)
    before_it = told(whole, Store.open(whole).numbers()[-2])
    assert clean.error is before_it.error is None
    copy = copied(whole, place / "copy")
    for number in range(times):
        harm, name = rng.choice(harms), rng.choice(files_of(whole))
        before = {path: state_of(copy / path) for path in files_of(copy)}
        harm(copy / name, rng, copy)
        if _is_without_newest(copy, name) and Store.open(copy).verify().unclaimed and told(copy) == before_it:
            outcome.shortened += 1
        else:
            _judge(outcome, copy, name, clean, f"{number}: {harm.__name__} of {name}")
        for path, state in before.items():
            if state_of(copy / path) != state:
                put_back(whole / path, copy / path)
    assert not (place / "canary").exists()
    return outcome


def _judge(outcome: Outcome, copy, name, clean: Told, what: str) -> None:
    found = told(copy)
    if found.refused:
        outcome.refused += 1
    elif found.said == clean.said:
        outcome.unread += 1
    else:
        outcome.wrong.append(f"{what}: {'crashed: ' + repr(found.error) if found.crashed else 'other answers'}")
    try:
        named = [problem.file for problem in Store.open(copy).verify().problems]
    except LifelongError as error:
        named = [str(name)] if name.name in str(error) or not (copy / "lifelong.json").exists() else []
    if str(name) not in named:
        outcome.wrong.append(f"{what}: verify names {named}")


def _is_without_newest(copy, name) -> bool:
    """Whether that file was the newest version and is gone, as in a copy that was made before it."""
    others = [path.name for path in (copy / "versions").iterdir()]
    return name.parent.name == "versions" and not os.path.lexists(copy / name) and name.name > max(others, default="~")


def state_of(path):
    """What stands there, without following it."""
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).digest()


def put_back(good, path):
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    shutil.copy2(good, path)


def test_flipped_bits(whole, memory):
    outcome = attack(whole, memory, [flip], 120)
    assert not outcome.wrong
    assert outcome.refused > outcome.unread > 0


def test_every_other_harm(whole, memory):
    outcome = attack(whole, memory, BLIND, 100, seed=1)
    assert not outcome.wrong
    assert outcome.refused > 50


def test_a_newest_version_that_is_gone_leaves_the_one_before_and_files_of_no_version(whole, memory):
    copy = copied(whole, memory / "copy")
    newest = sorted((copy / "versions").glob("*.json"))[-1]
    newest.unlink()
    report = Store.open(copy).verify()
    assert told(copy) == told(whole, Store.open(whole).numbers()[-2]) != told(whole)
    assert not report.problems
    assert report.unclaimed
    assert not Store.open(whole).verify().unclaimed


@pytest.mark.torture
def test_4000_flipped_bits(whole, memory):
    outcome = attack(whole, memory, [flip], 4_000, seed=2)
    print(
        f"4,000 flipped bits: {outcome.refused} refused, {outcome.unread} in files that are not read; verify named all"
    )
    assert not outcome.wrong


@pytest.mark.torture
def test_2000_other_harms(whole, memory):
    outcome = attack(whole, memory, BLIND, 2_000, seed=3)
    print(
        f"2,000 harms of {len(BLIND)} kinds: {outcome.refused} refused, {outcome.unread} in files that are not read, "
        f"{outcome.shortened} newest versions taken away"
    )
    assert not outcome.wrong


# -- broken variants ---------------------------------------------------------------------------------------------------


def _unchecked(files: Files, root, sha256, size=None):
    return read_plain(files, layout.object_path(root, sha256))


def test_a_store_that_does_not_hash_would_be_caught(whole, memory, monkeypatch):
    for module in (layout, verify):
        monkeypatch.setattr(module, "read_object", _unchecked)
    assert attack(whole, memory, [flip], 20).wrong


def test_a_verify_that_looks_at_sizes_alone_would_be_caught(whole, memory, monkeypatch):
    monkeypatch.setattr(verify, "read_object", _unchecked)
    assert any("verify names []" in line for line in attack(whole, memory, [flip], 20).wrong)


def test_passing_over_a_damaged_newest_version_would_be_caught(whole, memory, monkeypatch):
    """Many stores do: the version before still opens, and nobody is told."""

    def forgiving(self):
        for number in reversed(self.numbers()):
            try:
                return self.version(number)
            except store.ModelCorrupt:
                continue
        raise store.UsageError("no version")

    monkeypatch.setattr(Store, "newest", forgiving)
    copy = copied(whole, memory / "copy")
    newest = sorted((copy / "versions").glob("*.json"))[-1].relative_to(copy)
    flip(copy / newest, random.Random(0), copy)
    outcome = Outcome()
    _judge(outcome, copy, newest, told(whole), "flip")
    assert outcome.wrong == ["flip: other answers"]
