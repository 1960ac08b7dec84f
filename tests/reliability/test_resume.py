"""A training that is killed at any step, by SIGKILL, goes on to the same bits.

What is compared is the sealed task: a hash of every tensor that it computes with. The tasks use all that a training carries
from step to step: shuffled users, drawn negatives, dropout, Adam's moments, early stopping, a running mean, Conure's two
phases, a head that is solved before the first step. `make torture` kills at 20 random steps.
"""

import os
import random
import shutil
import signal

import pytest
import torch
from attacked import DATA, FIRST, label

from lifelong import LivingModel
from lifelong.core.errors import LifelongError, ModelCorrupt
from lifelong.growing import resume, training
from lifelong.growing.resume import Resume, State
from lifelong.keeping import committing, kept
from lifelong.model.task import Fit
from lifelong.store.tensors import pack, read_metadata, unpack
from lifelong.testing.store import in_child

EVERYTHING = {
    "name": "cross",
    "head": {"name": "next_item", "full_softmax_up_to": 2, "negatives": 4, "in_batch": 4},
    "strategy": {"name": "conure", "keep": 0.5},
    "fit": {"epochs": 4, "batch_size": 16, "average": 0.8, "patience": 3},
    "data": {
        "dataset": DATA,
        "inputs": {"domain": ["domain_0", "domain_1"]},
        "targets": {"domain": "domain_1"},
    },
}
SOLVED = label("kids", fit={"epochs": 4, "batch_size": 16, "lr": 0.02})
BEFORE = {**FIRST, "encoder": {**FIRST["encoder"], "dropout": 0.3}}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _keep_every_epoch(monkeypatch):
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(
        committing, "check_candidate", lambda store, body, before: dict.fromkeys((before or {"tasks": {}})["tasks"], 0)
    )


@pytest.fixture(scope="module")
def born(tmp_path_factory, cache):
    """The folder of a model that has learnt its first task."""
    path = tmp_path_factory.mktemp("born") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committing, "check_candidate", lambda store, body, before: {})
        LivingModel.pretrain(path, BEFORE, cache=cache)
    return path


class Steps:
    """Counts steps of the optimizer; at the fatal one the process is killed, before or after its weights have changed."""

    def __init__(self, fatal: int | None = None, after: bool = False) -> None:
        self.count, self.fatal, self.after = 0, fatal, after

    def __enter__(self):
        self.advance = advance = State.advance

        def counted(state):
            self.count += 1
            if self.count == self.fatal and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            advance(state)
            if self.count == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        State.advance = counted
        return self

    def __exit__(self, *_):
        State.advance = self.advance


def identity_of(path, task, cache) -> str:
    return LivingModel.open(path, cache=cache).version.body["tasks"][task["name"]]["identity"]


def learnt(born, place, task, cache) -> tuple[str, int]:
    """What an uninterrupted training makes of the task, and in how many steps."""
    path = shutil.copytree(born, place / "whole")
    with Steps() as steps:
        LivingModel.open(path, cache=cache).add_task(task)
    return identity_of(path, task, cache), steps.count


def killed(path, task, cache, step, after=False) -> None:
    """Train in a process of its own until it dies at a step."""

    def train():
        with Steps(step, after):
            LivingModel.open(path, cache=cache).add_task(task)

    assert not in_child(train)
    assert len(LivingModel.open(path, cache=cache).members) == 1


def goes_on(born, place, task, cache, fatal, seed=0) -> str:
    """The identity of the task after kills at these steps (each counted from where the training went on)."""
    path = shutil.copytree(born, place / f"killed-{seed}")
    for number, step in enumerate(fatal):
        killed(path, task, cache, step, after=(number + seed) % 2 == 1)
    LivingModel.open(path, cache=cache).add_task(task)
    assert not list((path / "resume").rglob("*.safetensors"))
    found = identity_of(path, task, cache)
    shutil.rmtree(path)
    return found


def test_three_kills(born, memory, cache):
    whole, steps = learnt(born, memory, EVERYTHING, cache)
    assert steps > 20
    assert goes_on(born, memory, EVERYTHING, cache, [3, steps // 3, steps // 3]) == whole


@pytest.mark.torture
@pytest.mark.parametrize("task", [EVERYTHING, SOLVED], ids=lambda task: task["name"])
def test_20_kills(born, memory, cache, task):
    whole, steps = learnt(born, memory, task, cache)
    rng = random.Random(5)
    for seed in range(20):
        step = rng.randint(1, steps)
        assert goes_on(born, memory, task, cache, [step], seed) == whole, f"killed at step {step} of {steps}"
    print(f"{task['name']}: killed at 20 random steps of {steps}, the same bits every time")


@pytest.mark.torture
def test_10_kills_while_pretraining(memory, cache):
    LivingModel.pretrain(memory / "whole", BEFORE, cache=cache)
    whole, rng = identity_of(memory / "whole", BEFORE, cache), random.Random(6)
    for number in range(10):
        path = memory / str(number)

        def train(path=path, step=rng.randint(1, 6)):
            with Steps(step):
                LivingModel.pretrain(path, BEFORE, cache=cache)

        in_child(train)
        LivingModel.pretrain(path, BEFORE, cache=cache)
        assert identity_of(path, BEFORE, cache) == whole


# -- planted faults ----------------------------------------------------------------------------------------------------


def _forget_moments(state, tensors, restore=resume._unflatten):
    restore(state, {name: value for name, value in tensors.items() if not name.startswith("optimizer/")})


def _forget_best(state, tensors, restore=resume._unflatten):
    restore(state, tensors)
    for name, value in state.tensors.items():
        state.best[name].copy_(value.detach())


def _forget_mean(state, tensors, restore=resume._unflatten):
    restore(state, tensors)
    for name, value in state.means.items():
        value.copy_(state.tensors[name].detach())


FAULTS = [_forget_moments, *(pytest.param(fault, marks=pytest.mark.slow) for fault in (_forget_best, _forget_mean))]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_resume_that_forgets_would_be_caught(born, memory, cache, monkeypatch, fault):
    scores = iter(range(0, -1000, -1))
    monkeypatch.setattr(
        training, "_validate", lambda job, learner: float(next(scores))
    )  # the first epoch stays the best
    if fault is not _forget_best:
        monkeypatch.setattr(training, "_validate", lambda job, learner: 1.0 - 1.0 / (1 + learner.net.training))
        task = {**EVERYTHING, "strategy": "finetune"}
        monkeypatch.setattr(State, "restore_best", lambda state: state._swap())  # the last epoch counts
    else:
        task = EVERYTHING
    whole, steps = learnt(born, memory, task, cache)
    path = shutil.copytree(born, memory / "killed")
    killed(path, task, cache, steps // 2)
    monkeypatch.setattr(resume, "_unflatten", fault)
    LivingModel.open(path, cache=cache).add_task(task)
    assert identity_of(path, task, cache) != whole


@pytest.mark.slow
def test_random_numbers_that_go_on_from_anywhere_would_be_caught(born, memory, cache, monkeypatch):
    whole, steps = learnt(born, memory, EVERYTHING, cache)
    path = shutil.copytree(born, memory / "killed")
    killed(path, EVERYTHING, cache, steps // 3)
    monkeypatch.setattr(training, "_mix", lambda *numbers: 7)
    LivingModel.open(path, cache=cache).add_task(EVERYTHING)
    assert identity_of(path, EVERYTHING, cache) != whole


# -- files that are not of this training -------------------------------------------------------------------------------


def a_state(width=3) -> State:
    state = State(
        {"theta/w": torch.ones(width, 3).requires_grad_(), "own/b": torch.ones(3).requires_grad_()},
        (),
        Fit(average=0.5),
    )
    sum(value.sum() for value in state.tensors.values()).backward()
    state.advance()
    state.judge(1.0, 0.5, 1.0)
    return state


def saved(place) -> tuple[Resume, bytes]:
    found = Resume(place)
    found.save(0, a_state(), now=True)
    return found, (place / "phase-0.safetensors").read_bytes()


def test_what_was_saved_comes_back(tmp_path):
    found, _ = saved(tmp_path)
    other = a_state()
    with torch.no_grad():
        other.tensors["own/b"].zero_()
    found.load(0, other)
    assert torch.equal(other.tensors["own/b"], a_state().tensors["own/b"])


@pytest.mark.parametrize("times", [200, pytest.param(5_000, marks=pytest.mark.torture)])
def test_mutations_of_a_state(memory, times):
    """Each is refused, and the way out is said; none is taken in, and nothing else is raised."""
    found, good = saved(memory)
    path, rng, state = memory / "phase-0.safetensors", random.Random(1), a_state()
    for _ in range(times):
        data = bytearray(good)
        how = rng.randrange(4)
        if how == 0:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[rng.randrange(len(data)) :]
        elif how == 2:
            data += rng.randbytes(rng.randint(1, 9))
        else:
            at = rng.randrange(len(data))
            data[at:at] = rng.randbytes(rng.randint(1, 9))
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt, match=r"phase-0\.safetensors: .*delete it, and the training starts over"):
            found.load(0, state)


FORGED = {
    "another shape": lambda t, n: t.update({"now/own/b": torch.ones(4)}),
    "another dtype": lambda t, n: t.update({"best/own/b": torch.ones(3, dtype=torch.float64)}),
    "a tensor less": lambda t, n: t.pop("mean/theta/w"),
    "a tensor more": lambda t, n: t.update({"now/../x": torch.ones(1)}),
    "half of Adam": lambda t, n: t.pop("optimizer/exp_avg/own/b"),
    "a long step": lambda t, n: t.update({"optimizer/step/own/b": torch.ones(3)}),
    "no epoch": lambda t, n: n.pop("epoch"),
    "a text for a number": lambda t, n: n.update(epoch="3"),
    "true for a number": lambda t, n: n.update(epoch=True),
    "a negative epoch": lambda t, n: n.update(epoch=-1),
    "more than is kept": lambda t, n: n.update(extra=1),
    "no curve": lambda t, n: n.update(curve=5),
    "an odd curve": lambda t, n: n.update(curve=[[1]]),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED.keys())
def test_a_forged_state_is_refused(tmp_path, change):
    import json

    found, good = saved(tmp_path)
    tensors, numbers = unpack(good, ""), json.loads(read_metadata(good, "")["numbers"])
    change(tensors, numbers)
    (tmp_path / "phase-0.safetensors").write_bytes(pack(tensors, {"numbers": json.dumps(numbers)}))
    with pytest.raises(ModelCorrupt, match="delete it"):
        found.load(0, a_state())


@pytest.mark.parametrize("harm", ["pipe", "folder", "link", "dangling", "empty", "pickle"])
def test_what_is_no_file_is_refused(tmp_path, harm):
    import pickle

    found, good = saved(tmp_path)
    path = tmp_path / "phase-0.safetensors"
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(good)
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path / "elsewhere"),
        "dangling": lambda: path.symlink_to(tmp_path / "nowhere"),
        "empty": lambda: path.write_bytes(b""),
        "pickle": lambda: path.write_bytes(pickle.dumps({})),
    }[harm]()
    signal.alarm(10)
    try:
        with pytest.raises(LifelongError, match=r"phase-0\.safetensors"):
            found.load(0, a_state())
    finally:
        signal.alarm(0)


def test_a_state_of_another_model_is_refused(tmp_path):
    found, _ = saved(tmp_path)
    with pytest.raises(ModelCorrupt, match="does not fit"):
        found.load(0, a_state(width=4))


def test_taking_any_shape_in_would_be_caught(tmp_path, monkeypatch):
    """Planted fault: what was read is not compared with what is trained."""
    monkeypatch.setattr(kept, "_check_fits", lambda tensors, state, path: None)
    found, _ = saved(tmp_path)
    with pytest.raises(RuntimeError):
        found.load(0, a_state(width=4))
