"""Output vectors in closed form: they tell clouds apart, know how common each is, and invent nothing of what nobody had."""

import pytest
import torch

from lifelong.heads.layers import discriminant as module
from lifelong.heads.layers.discriminant import discriminant, narrowed


def clouds(share=(0.5, 0.3, 0.2), n=6000, seed=0):
    torch.manual_seed(seed)
    centres = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])
    targets = torch.multinomial(torch.tensor(share), n, replacement=True)
    return centres[targets] + 0.7 * torch.randn(n, 2) + 5.0, targets


def right(users, targets, items=4):
    weight, bias = discriminant(users, targets, items)
    return (users @ weight.T + bias).argmax(1).eq(targets).float().mean()


def test_it_tells_clouds_apart():
    assert right(*clouds(share=(1 / 3, 1 / 3, 1 / 3))) > 0.97


def test_users_that_say_nothing_leave_how_common_each_is():
    users, targets = clouds(share=(0.7, 0.2, 0.1))
    weight, bias = discriminant(torch.randn_like(users), targets, 3)
    assert weight.abs().max() < 0.05
    torch.testing.assert_close(bias.exp(), torch.tensor([0.7, 0.2, 0.1]), atol=0.05, rtol=0.1)


def test_what_nobody_had_has_no_vector_and_half_an_event():
    users, targets = clouds()
    weight, bias = discriminant(users, targets, 5)
    assert not weight[3:].any()
    assert bias[4].item() == pytest.approx(float(torch.log(torch.tensor(0.5 / (len(targets) + 2.5)))), abs=1e-4)


def test_by_hand():
    """Two items at +1 and -1 on a line: covariance 1, ridge 1, means shrunken by 2 / (2 + 30)."""
    users, targets = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]), torch.tensor([0, 0, 1, 1])
    weight, bias = discriminant(users, targets, 2)
    mean = 2 / 32
    assert weight[:, 0].tolist() == pytest.approx([0.5 * mean / 2, -0.5 * mean / 2])
    assert bias.tolist() == pytest.approx([-0.6931472 - 0.5 * 0.5 * mean * mean / 2] * 2)


def test_one_rare_item_does_not_shout(monkeypatch):
    """The fault: without doubt an item that one odd user had wins wherever users are a little like that one."""
    users, targets = clouds()
    users, targets = torch.cat([users, torch.tensor([[5.0, 9.0]])]), torch.cat([targets, torch.tensor([3])])
    shouted = []
    for doubt in (module.DOUBT, 0.0):
        monkeypatch.setattr(module, "DOUBT", doubt)
        shouted.append(discriminant(users, targets, 4)[0][3].norm().item())
    assert shouted[0] < 0.1 * shouted[1]


def test_users_that_are_all_alike_are_no_trouble():
    weight, bias = discriminant(torch.ones(8, 3), torch.arange(8) % 2, 2)
    assert torch.isfinite(weight).all()
    assert torch.isfinite(bias).all()


def wide_users(n=500, width=6, seed=0):
    """Users that vary by very different amounts along axes of their own, far from zero."""
    torch.manual_seed(seed)
    return (
        torch.randn(n, width) @ torch.diag(torch.tensor([9.0, 4.0, 1.0, 0.5, 0.1, 0.01])) @ torch.randn(6, width) + 7.0
    )


def scores_of(users, table, map_RW, bias):
    return users @ map_RW.T @ table.T + bias


def test_as_many_numbers_as_there_are_lose_nothing():
    users, weight, bias = wide_users(), torch.randn(9, 6), torch.randn(9)
    torch.testing.assert_close(
        scores_of(users, *narrowed(weight, bias, users, 6)), users @ weight.T + bias, atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_fewer_numbers_keep_as_much_of_the_scores_as_they_can(rank):
    """Eckart and Young: of all scores of this rank, their truncated singular value decomposition is the nearest."""
    users, weight, bias = wide_users(), torch.randn(9, 6), torch.randn(9)
    table, map_RW, bias_C = narrowed(weight, bias, users, rank)
    assert (table.shape, map_RW.shape) == ((9, rank), (rank, 6))
    wanted = users @ weight.T + bias
    mean = wanted.mean(0)
    left, strength, right = torch.linalg.svd(wanted - mean, full_matrices=False)
    best = (left[:, :rank] * strength[:rank]) @ right[:rank] + mean
    torch.testing.assert_close(scores_of(users, table, map_RW, bias_C), best, atol=2e-2, rtol=1e-3)
    first = users[:, :rank] @ weight[:, :rank].T + bias  # the fault: the first columns, whatever they say
    assert (first - wanted).norm() > 1.5 * (scores_of(users, table, map_RW, bias_C) - wanted).norm()


def test_mapped_users_vary_by_one():
    users = wide_users()
    _, map_RW, _ = narrowed(torch.randn(9, 6), torch.randn(9), users, 3)
    torch.testing.assert_close(torch.cov((users @ map_RW.T).T), torch.eye(3), atol=1e-2, rtol=0)


def test_narrowing_users_that_are_all_alike_is_no_trouble():
    assert all(bool(t.isfinite().all()) for t in narrowed(torch.randn(9, 6), torch.randn(9), torch.ones(4, 6), 2))
