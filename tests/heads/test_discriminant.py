"""Output vectors in closed form: they tell clouds apart, know how common each is, and invent nothing of what nobody had."""

import pytest
import torch

from lifelong.heads.layers import discriminant as module
from lifelong.heads.layers.discriminant import discriminant


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
