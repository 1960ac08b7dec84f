"""The chunked softmax losses are the plain ones, gradients included, and hold one chunk at a time."""

import pytest
import torch
import torch.nn.functional as F

from lifelong.heads.losses import softmax
from lifelong.heads.losses.softmax import sampled_loss, softmax_loss

POINTS, CLASSES, WIDTH = 37, 23, 5


def given(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def full():
    return given(POINTS, WIDTH, seed=1), given(CLASSES, WIDTH, seed=2), given(CLASSES, seed=3)


TARGETS = torch.randint(CLASSES, (POINTS,), generator=torch.Generator().manual_seed(4))


def gradients(loss, inputs):
    return torch.autograd.grad(loss * 1.7, inputs)  # a factor from upstream must reach them


@pytest.mark.parametrize("chunk", [1, 60, 1 << 19])
def test_full_is_cross_entropy_in_any_chunk(chunk, monkeypatch):
    monkeypatch.setattr(softmax, "CHUNK_VALUES", chunk)
    users, matrix, bias = inputs = full()
    ours, plain = softmax_loss(*inputs, TARGETS), F.cross_entropy(F.linear(users, matrix, bias), TARGETS)
    torch.testing.assert_close(ours, plain)
    for a, b in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("chunk", [1, 60, 1 << 19])
def test_sampled_is_the_loss_of_the_columns_beside_each_other(chunk, monkeypatch):
    monkeypatch.setattr(softmax, "CHUNK_VALUES", chunk)
    users, matrix, shift = full()
    inputs, index = (users, matrix, shift, given(POINTS, seed=5)), torch.arange(CLASSES)
    ours = sampled_loss(*inputs, (TARGETS, index))
    wrong = F.linear(users, matrix, shift).masked_fill(index == TARGETS[:, None], -torch.inf)
    plain = F.cross_entropy(torch.cat([inputs[3][:, None], wrong], dim=1), torch.zeros(POINTS, dtype=torch.int64))
    torch.testing.assert_close(ours, plain)
    for a, b in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_large_scores_do_not_overflow():
    users = torch.full((2, 1), 1e4, requires_grad=True)
    loss = softmax_loss(users, torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(1e4)
    assert torch.isfinite(torch.autograd.grad(loss, users)[0]).all()


def test_never_points_times_catalogue(monkeypatch):
    monkeypatch.setattr(softmax, "CHUNK_VALUES", 100)
    largest = 0
    inner = softmax._from_columns

    def watched(scores, targets):
        nonlocal largest
        largest = max(largest, scores.numel())
        return inner(scores, targets)

    monkeypatch.setattr(softmax, "_from_columns", watched)
    softmax_loss(*full(), TARGETS)
    assert largest <= 100 < POINTS * CLASSES


def test_what_is_left_out_is_not_in_the_softmax_and_the_target_always_is():
    users, matrix, bias = inputs = full()
    left_out = torch.stack([TARGETS, (TARGETS + 1) % CLASSES, torch.full_like(TARGETS, -1)], dim=1)
    ours = softmax_loss(*inputs, TARGETS, left_out)
    scores = F.linear(users, matrix, bias).scatter(1, left_out[:, 1:2], -torch.inf)
    plain = F.cross_entropy(scores, TARGETS)
    torch.testing.assert_close(ours, plain)
    for a, b in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(a, b)
