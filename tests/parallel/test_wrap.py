import pytest
import torch
from ranks import run_ranks
from torch import nn

from lifelong.core.types import Batch, History, Negatives
from lifelong.parallel.group import ALONE
from lifelong.parallel.shares import share, shares
from lifelong.parallel.wrap import average_rows, full, unwrap, whole, wrap

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


class Small(nn.Module):
    """Item vectors (sparse gradients), a trained map, a frozen map, a parameter that no loss reaches; a mean over points."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.items = nn.Embedding(40, 6, sparse=True)
        self.map = nn.Linear(6, 40)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.unused = nn.Parameter(torch.zeros(3))

    def forward(self, batch):
        states = self.frozen(self.items(batch.history.window_BL)).cumsum(1)
        scores = self.map(states[batch.rows_N, batch.positions_N])
        return nn.functional.cross_entropy(scores, batch.targets_N)


def batches(count, seed=1):
    """Uneven: windows with 0 to 4 points; the last batch has one window alone, fewer than ranks."""
    random = torch.Generator().manual_seed(seed)
    for number in range(count):
        users = 1 if number == count - 1 else 5
        points = torch.randint(0, 5, (users,), generator=random)
        points[0] = 3
        rows = torch.repeat_interleave(torch.arange(users), points)
        draw = lambda high, *shape: torch.randint(0, high, shape, generator=random)  # noqa: E731
        yield Batch(History(draw(40, users, 5)), rows, draw(5, len(rows)), draw(40, len(rows)))


def train(group, mode, steps=6, drops=False):
    net = Small()
    step = wrap(net, group, mode, [net.items.weight])
    dense = [p for p in net.parameters() if p.requires_grad and p is not net.items.weight]
    optimizers = [torch.optim.AdamW(dense, 0.01, fused=True), torch.optim.SparseAdam([net.items.weight], 0.01)]
    losses = []
    for batch in shares(batches(steps), group):
        loss = step(batch) * batch.weight
        loss.backward()
        if not (drops and group.rank == 1):
            average_rows([net.items.weight], group)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(group.mean(float(loss.detach())))
    return net, losses


def same_as_alone(group, mode):
    alone, expected = train(ALONE, None)
    net, losses = train(group, mode)
    torch.testing.assert_close(losses, expected, **CLOSE)
    with whole(net):
        for (name, value), (_, right) in zip(net.named_parameters(), alone.named_parameters(), strict=True):
            torch.testing.assert_close(full(value).detach(), right.detach(), **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
    if mode == "fsdp":
        assert hasattr(net.map.weight, "full_tensor")
        assert net.map.weight.to_local().numel() < net.map.weight.numel()
    unwrap(net)
    assert not any(hasattr(p, "full_tensor") for p in net.parameters())
    torch.testing.assert_close(net.map.weight.detach(), alone.map.weight.detach(), **CLOSE)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_ranks_train_as_one(mode):
    run_ranks(2, same_as_alone, mode)


@pytest.mark.slow
@pytest.mark.parametrize("world", [3, 4])
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_more_ranks_train_as_one(mode, world):
    run_ranks(world, same_as_alone, mode)


def without_weights(group):
    """The fault: each rank's mean counts the same, however few points it had."""
    alone, _ = train(ALONE, None)
    net = Small()
    optimizer = torch.optim.AdamW([net.map.weight, net.map.bias], 0.01)
    step = wrap(net, group, "ddp", [net.items.weight])
    for batch in shares(batches(6), group):
        step(batch).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert (net.map.weight - alone.map.weight).abs().max() > 1e-3


def test_ranks_that_count_alike_are_not_the_same_as_one():
    run_ranks(2, without_weights)


def dropped(group):
    try:
        net, _ = train(group, None, drops=False)
        group.same(str(net.items.weight.sum().item()), "the item table")
        one = torch.tensor(1.0 if group.rank == 1 else 0.0)
        net.items.weight.data[3] += one  # as a rank that went its own way would leave it
        with pytest.raises(Exception, match="the item table of rank 1 is not that of rank 0"):
            group.same(str(net.items.weight.sum().item()), "the item table")
    finally:
        group.barrier()


def test_a_rank_that_went_its_own_way_is_caught():
    run_ranks(2, dropped)


def test_shares_cover_every_point_once_and_weigh_as_one():
    batch = next(batches(2, seed=3))
    negatives = Negatives(torch.arange(4), torch.zeros(4))
    batch = Batch(batch.history, batch.rows_N, batch.positions_N, batch.targets_N, negatives)
    for world in (1, 2, 3, 4):
        parts = [share(batch, rank, world) for rank in range(world)]
        real = [p for p in parts if p.weight]
        assert sum(len(p) for p in real) == len(batch)
        assert sum(p.weight for p in real) == pytest.approx(world)
        found = sorted(
            (tuple(p.history.window_BL[r].tolist()), int(q), int(t))
            for p in real
            for r, q, t in zip(p.rows_N, p.positions_N, p.targets_N, strict=True)
        )
        expected = sorted(
            (tuple(batch.history.window_BL[r].tolist()), int(q), int(t))
            for r, q, t in zip(batch.rows_N, batch.positions_N, batch.targets_N, strict=True)
        )
        assert found == expected
        assert all(p.negatives is negatives for p in parts)


def test_a_rank_without_windows_takes_part_with_weight_zero():
    (batch,) = batches(1)
    idle = share(batch, 1, 2)
    assert idle.weight == 0.0
    assert len(idle) > 0
    assert len(idle.history.window_BL) == 1
    assert share(batch, 0, 2).weight == 2.0
