"""Batches on their way to a device: all of them, in order; an error on the way is raised; leaving early ends the thread."""

import threading

import pytest
import torch

from lifelong.core.types import Batch, History
from lifelong.growing.loading import ahead

CPU, ELSEWHERE = torch.device("cpu"), torch.device("meta")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setattr(Batch, "pinned", lambda self: self)


def batches(count, bad=None):
    for n in range(count):
        if n == bad:
            raise ValueError("unreadable")
        yield Batch(History(torch.ones(1, n + 1).long()), *(torch.zeros(1).long() for _ in range(3)))


@pytest.mark.parametrize("device", [CPU, ELSEWHERE])
def test_all_of_them_in_order(device):
    made = list(ahead(batches(20), device))
    assert [batch.history.window_BL.shape[1] for batch in made] == list(range(1, 21))
    assert {batch.targets_N.device.type for batch in made} == {device.type}


@pytest.mark.parametrize("device", [CPU, ELSEWHERE])
def test_an_error_is_raised_where_the_batches_are_used(device):
    with pytest.raises(ValueError, match="unreadable"):
        list(ahead(batches(20, bad=7), device))


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    for _ in ahead(batches(1000), ELSEWHERE):
        break
    assert threading.active_count() == before
