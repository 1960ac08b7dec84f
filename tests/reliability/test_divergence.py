"""A loss or a weight that is no finite number: the training stops, nothing is committed, a lower rate goes on from the last
good epoch. The fault is planted in the loss, in the data, or in the rate."""

import hashlib
import math

import pytest
import torch
from attacked import DATA, FIRST, label

from lifelong import LivingModel
from lifelong.core.errors import Diverged, LifelongError
from lifelong.core.progress import Silent
from lifelong.growing import divergence, resume, training
from lifelong.growing.divergence import Losses
from lifelong.keeping import committing
from lifelong.parallel.group import ALONE

TASK = {
    "name": "cross",
    "head": "next_item",
    "data": {"dataset": DATA, "targets": {"domain": "domain_1"}},
    "fit": {"epochs": 4, "batch_size": 16, "lr": 0.01},
}
LOWER = {**TASK, "fit": {**TASK["fit"], "lr": 0.001}}
HIGHER = {**TASK, "fit": {**TASK["fit"], "lr": 0.02}}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _keep_every_epoch(monkeypatch):
    unchecked = lambda store, body, before: dict.fromkeys((before or {"tasks": {}})["tasks"], 0)  # noqa: E731
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(committing, "check_candidate", unchecked)


@pytest.fixture
def model(memory, cache):
    return LivingModel.pretrain(memory / "model", FIRST, cache=cache)


def hash_of(folder):
    """Of every name and byte that the store is answerable for."""
    digest = hashlib.sha256()
    for place in ("lifelong.json", "objects/*", "versions/*"):
        for path in sorted(folder.glob(place)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def plant(monkeypatch, at, value):
    """Let the loss of step `at` of every training be another."""
    forward = training.Learner.forward
    steps = [0]

    def planted(self, batch):
        steps[0] += 1
        loss = forward(self, batch)
        return loss * value if steps[0] == at else loss

    monkeypatch.setattr(training.Learner, "forward", planted)
    return steps


class Listening(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_commits_nothing(model, monkeypatch, value):
    before = hash_of(model.store.path)
    plant(monkeypatch, 2, value)
    with pytest.raises(
        Diverged, match=r"epoch 1 of train, step 2: .*Nothing was committed; lower fit\.lr \(it is 0\.01\)"
    ):
        model.add_task(TASK)
    assert hash_of(model.store.path) == before
    assert model.store.numbers() == [1]
    assert Diverged.exit_code == 1


def test_a_rate_that_is_far_too_high(model):
    with pytest.raises(Diverged, match=r"lower fit\.lr \(it is 1e\+30\)"):
        model.add_task({**TASK, "fit": {**TASK["fit"], "lr": 1e30}})
    assert model.store.numbers() == [1]


def test_a_lower_rate_goes_on_from_the_last_good_epoch(model, monkeypatch, cache):
    with monkeypatch.context() as patch:
        steps = plant(patch, 10**9, 1.0)
        progress = Listening()
        model.add_task({**TASK, "name": "counted"}, progress=progress)
        epochs = [line for line in progress.said if line.startswith("train epoch")]
        an_epoch = steps[0] // (len(epochs) + sum(line.startswith("retrain epoch") for line in progress.said))
    with monkeypatch.context() as patch:
        plant(patch, 2 * an_epoch + 1, math.nan)
        with pytest.raises(Diverged, match=r"epoch 3 of train, step 1: .*goes on from epoch 2, the last good one"):
            model.add_task(TASK)
    again = Listening()
    model.add_task(LOWER, progress=again)
    trained = [line.partition(":")[0] for line in again.said if line.startswith("train epoch")]
    assert trained[0] == "train epoch 3"
    assert "cross" in LivingModel.open(model.store.path, cache=cache).members
    assert not list((model.store.path / "resume").rglob("*.safetensors"))


@pytest.mark.parametrize("task", [TASK, HIGHER], ids=["the same", "higher"])
def test_another_rate_starts_over(model, monkeypatch, task):
    with monkeypatch.context() as patch:
        plant(patch, 12, math.nan)
        with pytest.raises(Diverged):
            model.add_task(TASK)
    progress = Listening()
    model.add_task(task, progress=progress)
    assert next(line for line in progress.said if "epoch" in line).startswith("train epoch 1:")


def test_a_label_that_is_infinite_is_refused_before_training(model, cache):
    """By data: what cannot be learnt does not reach the loss."""
    wrong = label("kids", head="regression")  # the classes of the invented world are no numbers
    before = hash_of(model.store.path)
    with pytest.raises(LifelongError):
        model.add_task(wrong)
    assert hash_of(model.store.path) == before


# -- noticing ----------------------------------------------------------------------------------------------------------


def losses(*values):
    found = Losses("train", 4, ALONE, torch.device("cpu"))
    for value in values:
        found.add(torch.tensor(value))
    return found


def test_the_first_bad_step_is_named():
    with pytest.raises(Diverged, match="epoch 5 of train, step 2: the loss is not finite"):
        losses(1.0, math.inf, math.nan, 1.0).check()
    losses(1.0, 2.0).check()
    losses().check()
    assert losses(1.0, 2.0, 6.0).mean() == 3.0


def test_weights_are_looked_at_behind_the_last_step():
    with pytest.raises(Diverged, match="epoch 5 of train: the weights are not finite"):
        losses(1.0).check_weights([torch.ones(3), torch.tensor([1.0, math.nan])])
    losses(1.0).check_weights([torch.ones(3), torch.zeros(0)])


def test_nothing_is_read_from_the_device_at_a_step(monkeypatch):
    """To read a number, a GPU must be waited for: adding a loss reads none."""
    for name in ("__bool__", "__float__", "__int__", "item", "tolist", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("read"))
    losses_ = Losses("train", 0, ALONE, torch.device("cpu"))
    for _ in range(5):
        losses_.add(torch.ones(()))
    assert losses_.steps == 5


def test_a_training_that_looks_at_the_mean_alone_would_be_caught(model, monkeypatch):
    """Planted fault: a gradient that is infinite behind the last finite loss is not noticed; then the weights are sealed, or
    the store has to refuse them."""
    monkeypatch.setattr(divergence.Losses, "check_weights", lambda self, trained: self.check())
    advance = resume.State.advance

    def ruined(state):
        advance(state)
        with torch.no_grad():
            next(iter(state.tensors.values())).fill_(math.nan)

    monkeypatch.setattr(resume.State, "advance", ruined)
    monkeypatch.setattr(divergence.Losses, "check", lambda self: None)
    with pytest.raises(LifelongError) as caught:
        model.add_task(TASK)
    assert not isinstance(caught.value, Diverged)  # the store refuses what holds NaN, and nobody says which step
    assert model.store.numbers() == [1]
