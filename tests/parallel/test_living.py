"""A whole task in several processes: the same weights as in one, within the tolerance that docs/PERFORMANCE.md states."""

import json

import numpy as np
import pytest
from ranks import run_ranks

from lifelong import LivingModel
from lifelong.core.compute import Compute
from lifelong.core.errors import LifelongError
from lifelong.core.fingerprint import tensors_hash
from lifelong.growing import growth as growing
from lifelong.growing import resume
from lifelong.keeping import committing
from lifelong.parallel.group import ALONE

pytestmark = pytest.mark.slow
WORST = 1e-5
"""Largest difference of a weight after two epochs and pruning, at a learning rate of 0.001."""


def task(**changes):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1, "dropout": 0.0},
        "length": 12,
        "head": {"name": "next_item", **changes.pop("head", {})},
        "data": {
            "dataset": {"name": "synthetic", "users": 120, "items": 60, "events_per_user": 20},
            "inputs": {"domain": "domain_0"},
        },
        "fit": {"epochs": 2, "batch_size": 32, **changes.pop("fit", {})},
        **changes,
    }


LARGE_TABLE = {"full_softmax_up_to": 5, "negatives": 16}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with prepared data, and commits that do not wait for a fresh process: that is tested elsewhere."""
    monkeypatch.setattr(committing, "check_candidate", lambda *_: {})
    return tmp_path


def learn(group, folder, name, mode, head):
    compute = Compute(device="cpu", precision="float32", parallel=mode)
    told = task(head=head)
    model = LivingModel.pretrain(folder / name, told, compute=compute, cache=folder / "cache", group=group)
    group.same(tensors_hash({**model.bank.values, **model.bank.owners}), "the bank")
    assert model.version.number == 1
    assert model.last_addition.task == "next"


def difference(folder, one, other):
    a, b = LivingModel.open(folder / one), LivingModel.open(folder / other)
    worst = max(float((a.bank.values[n] - b.bank.values[n]).abs().max()) for n in a.bank.values)
    owners = sum(int((a.bank.owners[n] != b.bank.owners[n]).sum()) for n in a.bank.owners)
    curves = [[p["valid"] for p in m.members["next"].record["curve"]] for m in (a, b)]
    return worst, owners, np.abs(np.subtract(*curves)).max()


@pytest.mark.parametrize(("mode", "head"), [("ddp", {}), ("fsdp", {}), ("ddp", LARGE_TABLE), ("fsdp", LARGE_TABLE)])
def test_two_processes_learn_what_one_does(world, monkeypatch, mode, head):
    if head:
        monkeypatch.setattr(growing, "SPARSE_FROM", 1)
    learn(ALONE, world, "one", mode, head)
    run_ranks(2, learn, world, "two", mode, head, timeout_s=300)
    worst, owners, valid = difference(world, "one", "two")
    print(json.dumps({"mode": mode, "head": head, "worst": worst, "owners": owners, "valid": valid}))
    assert worst < WORST
    assert owners == 0
    assert valid < 1e-3


class Stopped(Exception):
    pass


def stop_after_one_epoch(group, folder):
    kept = resume.Resume.save

    def save(self, phase, state, **_):
        kept(self, phase, state, now=True)
        raise Stopped

    resume.Resume.save = save
    try:
        learn(group, folder, "resumed", "fsdp", {})
    except Stopped:
        group.barrier()
    finally:
        resume.Resume.save = kept


def test_one_and_three_processes_go_on_where_two_stopped(world):
    learn(ALONE, world, "one", "ddp", {})
    run_ranks(2, stop_after_one_epoch, world, timeout_s=300)
    assert list((world / "resumed" / "resume").glob("*/phase-0.safetensors"))
    learn(ALONE, world, "resumed", "ddp", {})
    worst, owners, _ = difference(world, "one", "resumed")
    assert worst < WORST
    assert owners == 0
    stop_after_one_epoch(ALONE, world / "again")
    run_ranks(3, learn, world / "again", "resumed", "fsdp", {}, timeout_s=300)
    worst, owners, _ = difference(world, "one", "again/resumed")
    assert worst < WORST
    assert owners == 0


def drift(group, folder):
    kept = resume.State.advance

    def advance(self):
        if group.rank == 1:
            for value in self.tensors.values():
                value.grad = None
        kept(self)

    resume.State.advance = advance
    with pytest.raises(LifelongError, match="what was learnt in train of rank 1 is not that of rank 0"):
        learn(group, folder, "drifted", "ddp", {})


def test_a_rank_that_drops_its_gradients_is_caught_before_the_commit(world):
    run_ranks(2, drift, world, timeout_s=300)
    with pytest.raises(LifelongError, match="holds no version yet"):
        LivingModel.open(world / "drifted")
