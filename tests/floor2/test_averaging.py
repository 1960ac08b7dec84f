"""The running mean of weights: worked by hand, validated and kept, and taken up again after a kill."""

import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.growing import resume
from lifelong.growing.resume import State
from lifelong.model.task import Fit

FIT = {"epochs": 3, "batch_size": 32, "average": 0.9, "lr": 1e-2}


def moved(state, values):
    """Steps in which the optimizer puts these values there."""
    (tensor,) = state.tensors.values()
    for value in values:
        with torch.no_grad():
            tensor.fill_(value)
        state.optimizers = []
        state.advance()


def test_by_hand():
    state = State({"w": torch.zeros(1, requires_grad=True)}, set(), Fit(average=0.5))
    moved(state, [1.0, 5.0])
    first = 0.1 * 0 + 0.9 * 1  # decay 1 / 10 at the first step, 2 / 11 at the second
    assert state.means["w"].item() == pytest.approx(2 / 11 * first + 9 / 11 * 5)
    with state.averaged():
        assert state.tensors["w"].item() == pytest.approx(2 / 11 * first + 9 / 11 * 5)
    assert state.tensors["w"].item() == 5.0


def test_the_mean_is_what_is_kept():
    state = State({"w": torch.zeros(1, requires_grad=True)}, set(), Fit(average=0.5))
    moved(state, [1.0])
    state.judge(0.0, 1.0, 0.0)
    state.restore_best()
    assert state.tensors["w"].item() == pytest.approx(0.9)


def test_nothing_worse_than_the_start_is_kept():
    state = State({"w": torch.full((1,), 7.0, requires_grad=True)}, set(), Fit())
    state.start(2.0, 0.1)
    moved(state, [1.0])
    state.judge(0.0, 1.5, 0.0)
    state.restore_best()
    assert state.tensors["w"].item() == 7.0
    assert state.curve[0] == (0, None, 2.0, 0.1)


@pytest.mark.parametrize("average", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(average):
    with pytest.raises(ValueError, match=r"it must lie in \[0, 1\)"):
        Fit(average=average)


def weights(path, cache, monkeypatch, killed_after=None):
    """A first task's item table after three epochs, with a kill after some of them."""
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_SAVES", 0.0)
    task = worlds.first(fit=FIT)
    if killed_after:
        judge = State.judge

        def dying(state, *args):
            judge(state, *args)
            if state.epoch > killed_after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(State, "judge", dying)
            with pytest.raises(KeyboardInterrupt):
                LivingModel.pretrain(path, task, cache=cache)
    return LivingModel.pretrain(path, task, cache=cache).bank.values["items.weight"]


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, cache, monkeypatch):
    whole = weights(tmp_path / "whole", cache, monkeypatch)
    assert torch.equal(whole, weights(tmp_path / "killed", cache, monkeypatch, killed_after=1))
    plain = LivingModel.pretrain(tmp_path / "plain", worlds.first(fit={**FIT, "average": 0.0}), cache=cache)
    assert not torch.equal(whole, plain.bank.values["items.weight"])


@pytest.mark.slow
def test_forgetting_the_means_on_resume_would_be_caught(tmp_path, cache, monkeypatch):
    whole = weights(tmp_path / "whole", cache, monkeypatch)
    unflatten = resume._unflatten
    monkeypatch.setattr(resume, "_unflatten", lambda s, t: (unflatten(s, t), [m.zero_() for m in s.means.values()]))
    assert not torch.equal(whole, weights(tmp_path / "killed", cache, monkeypatch, killed_after=1))
