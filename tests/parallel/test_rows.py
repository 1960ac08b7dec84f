import pytest
import torch
from ranks import run_ranks
from torch import nn

from lifelong.core.errors import ModelCorrupt
from lifelong.parallel.group import ALONE
from lifelong.parallel.rows import ShardedRows, load_rows

V, D, CLOSE = 53, 4, {"rtol": 1e-5, "atol": 1e-6}


def table():
    return torch.randn(V, D, generator=torch.Generator().manual_seed(0))


def wanted(step, rank):
    """Different rows on every rank, with repeats, some of them on all; rank 1 asks for one row alone in step 1."""
    random = torch.Generator().manual_seed(100 * step + rank)
    rows = torch.randint(0, V, (3, 4), generator=random)
    rows[0, 0] = 7
    return rows[:1, :1] if (step, rank) == (1, 1) else rows


def loss_of(vectors, step, rank):
    random = torch.Generator().manual_seed(1000 * step + rank)
    return (vectors * torch.randn(vectors.shape, generator=random)).square().sum()


def alone(world, steps):
    """One process, the sum over ranks / world, on a table in one piece."""
    whole = nn.Embedding(V, D, sparse=True)
    whole.weight.data.copy_(table())
    optimizer, losses, gradient = torch.optim.SparseAdam(whole.parameters(), 0.01), [], None
    for step in range(steps):
        loss = sum(loss_of(whole(wanted(step, rank)), step, rank) for rank in range(world)) / world
        optimizer.zero_grad()
        loss.backward()
        gradient = whole.weight.grad.to_dense() if step == 0 else gradient
        optimizer.step()
        losses.append(loss.item())
    return whole.weight.detach(), losses, gradient


def sharded(group, steps, drops=-1):
    rows = ShardedRows.split(table(), group)
    optimizer, losses, gradient = torch.optim.SparseAdam(rows.parameters(), 0.01), [], None
    for step in range(steps):
        vectors = rows(wanted(step, group.rank))
        if group.rank == drops:
            vectors.register_hook(torch.zeros_like)
        loss = loss_of(vectors, step, group.rank)
        optimizer.zero_grad()
        loss.backward()
        gradient = rows.weight.grad.to_dense() if step == 0 else gradient
        optimizer.step()
        losses.append(group.mean(loss.item()))
    return rows, optimizer, losses, gradient


def as_one_table(group):
    steps = 8
    right, expected, gradient = alone(group.world, steps)
    rows, optimizer, losses, mine = sharded(group, steps)
    last = rows.first + len(rows.weight)
    torch.testing.assert_close(mine, gradient[rows.first : last], **CLOSE)
    torch.testing.assert_close(losses, expected, **CLOSE)
    torch.testing.assert_close(rows.gather(), right, **CLOSE)
    dtensor = rows.dtensor()
    assert dtensor.shape == (V, D)
    assert dtensor.to_local().data_ptr() == rows.weight.data_ptr()
    assert torch.equal(dtensor.full_tensor(), rows.gather())
    held = [rows.weight, *(m for m in optimizer.state[rows.weight].values() if torch.is_tensor(m) and m.dim())]
    assert all(len(tensor) <= -(-V // group.world) for tensor in held)
    assert len(held) == 3


def test_two_ranks_are_one_table():
    run_ranks(2, as_one_table)


@pytest.mark.slow
@pytest.mark.parametrize("world", [3, 4])
def test_more_ranks_are_one_table(world):
    run_ranks(world, as_one_table)


def test_one_rank_is_one_table():
    right, expected, _ = alone(1, 4)
    rows, _, losses, _ = sharded(ALONE, 4)
    torch.testing.assert_close(losses, expected, **CLOSE)
    torch.testing.assert_close(rows.gather(), right, **CLOSE)


def loses_a_gradient(group):
    right, _, _ = alone(group.world, 3)
    rows, *_ = sharded(group, 3, drops=1)
    assert not torch.allclose(rows.gather(), right, **CLOSE)


def test_a_rank_that_drops_its_gradient_is_caught():
    run_ranks(2, loses_a_gradient)


def write(group, folder):
    rows, *_ = sharded(group, 2)
    rows.save(folder, "items")


def read(group, folder, right):
    rows = load_rows(folder, "items", group)
    torch.testing.assert_close(rows.gather(), right, **CLOSE)
    assert len(rows.weight) == max(0, min(V, rows.first + rows.run) - rows.first)


def test_blocks_of_two_ranks_open_in_one_and_in_any_number(tmp_path):
    run_ranks(2, write, tmp_path)
    right, _, _ = alone(2, 2)
    read(ALONE, tmp_path, right)
    for world in (2, 3, 5):  # the ranks that are not there are played by groups that only cut
        parts = [load_rows(tmp_path, "items", played(rank, world)).weight for rank in range(world)]
        torch.testing.assert_close(torch.cat(parts).detach(), right, **CLOSE)


def played(rank, world):
    group = type(ALONE)()
    group.rank, group.world = rank, world
    return group


@pytest.mark.slow
@pytest.mark.parametrize(("writers", "readers"), [(3, 2), (2, 4), (4, 3)])
def test_blocks_of_any_world_open_in_any_other(tmp_path, writers, readers):
    run_ranks(writers, write, tmp_path)
    run_ranks(readers, read, tmp_path, alone(writers, 2)[0])


def test_a_missing_block_is_named(tmp_path):
    for rank in (0, 2):
        ShardedRows.split(table(), played(rank, 3)).save(tmp_path, "items")
    with pytest.raises(ModelCorrupt, match="of rows 0 to 53 of 'items' only 35 are in its blocks"):
        load_rows(tmp_path, "items", ALONE)
    with pytest.raises(ModelCorrupt, match="holds no block of the table 'users'"):
        load_rows(tmp_path, "users", ALONE)
