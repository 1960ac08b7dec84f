"""The long-term path: no order, no padding, no neighbours in it; and its table out of the training users alone."""

import numpy as np
import pytest
import torch

from lifelong.core.bags import bag
from lifelong.core.tfidf import MIN_USERS
from lifelong.core.types import Seen
from lifelong.encoders.layers import longterm
from lifelong.encoders.layers.bag_table import started_table
from lifelong.encoders.layers.longterm import LongTerm

TASTES, USERS, ITEMS = 4, 80, 120


@pytest.fixture
def path():
    torch.manual_seed(1)
    return LongTerm(LongTerm.Config(width=8), 50)


def world(seed=0):
    """Users of four tastes, each with 20 items, mostly of the quarter of the catalogue that is of its taste."""
    random = np.random.default_rng(seed)
    taste_U = random.integers(0, TASTES, USERS)
    quarter = ITEMS // TASTES
    own_E = random.integers(0, quarter, (USERS, 20)) + taste_U[:, None] * quarter
    any_E = random.integers(0, ITEMS, (USERS, 20))
    rows_E = 1 + np.where(random.random((USERS, 20)) < 0.6, own_E, any_E).ravel()
    begins_U = np.arange(USERS) * 20
    return rows_E.astype(np.int32), begins_U, begins_U + 20, taste_U


def test_weights_by_hand():
    rows, weights = bag(torch.tensor([[0, 7, 5, 7], [0, 0, 0, 0], [4, 3, 2, 1]]))
    assert rows[0].tolist() == [0, 5, 7, 7]
    assert weights[0].tolist() == pytest.approx([0, 2**-0.5, 2**-0.5, 0])
    assert weights[1].tolist() == [0, 0, 0, 0]
    assert weights[2].tolist() == [0.5] * 4


def test_a_vector_by_hand(path):
    made = path(torch.tensor([[0, 7, 5, 7]]))
    assert torch.allclose(made[0], (path.items.weight[7] + path.items.weight[5]) / 2**0.5)


def test_a_user_without_a_past_is_zero(path):
    assert torch.equal(path(torch.zeros(2, 5, dtype=torch.long)), torch.zeros(2, 8))


def test_order_padding_and_neighbours_change_no_bit(path):
    past = torch.randint(1, 50, (5, 12), generator=torch.Generator().manual_seed(0))
    whole = path(past)
    assert torch.equal(path(past.flip(1)), whole)
    assert torch.equal(path(torch.cat([torch.zeros(5, 9, dtype=torch.long), past], 1)), whole)
    assert torch.equal(torch.cat([path(past[n : n + 1]) for n in range(5)]), whole)


def test_a_path_that_knows_the_order_is_caught(path, monkeypatch):
    past = torch.tensor([[1, 2, 3, 4]])
    monkeypatch.setattr(longterm, "bag", lambda past_BS: (past_BS, torch.arange(4.0).expand(1, 4)))
    assert not torch.equal(path(past), path(past.flip(1)))


def test_a_users_own_future_changes_nothing_of_its_vector(path):
    history = torch.tensor([[3, 9, 4, 11, 30]])
    before = path(history[:, :3])
    assert torch.equal(path(torch.nn.functional.pad(history[:, :3], (2, 0))), before)
    assert not torch.equal(path(history), before), "a vector that read past the cut would equal the whole one"


def points_of(past_BS):
    """Every column of every user as a point."""
    users, size = past_BS.shape
    users_N = torch.arange(users).repeat_interleave(size)
    return Seen(past_BS, None, users_N, torch.arange(1, size + 1).repeat(users))


def test_what_lies_before_a_point_is_a_past_that_ends_there(path):
    past = torch.randint(0, 9, (5, 12), generator=torch.Generator().manual_seed(0))  # few rows: most come again
    seen = points_of(past)
    cut = torch.where(torch.arange(12) < seen.ends_N[:, None], past[seen.users_N], 0)
    assert torch.allclose(path.before(seen), path(cut), atol=1e-6)


def test_points_that_count_what_comes_again_are_caught(path, monkeypatch):
    seen = points_of(torch.tensor([[7, 5, 7, 7]]))
    right = path.before(seen)
    monkeypatch.setattr(longterm, "newcomers", lambda past_BS: past_BS != 0)
    assert not torch.allclose(path.before(seen), right, atol=1e-3)


def test_gradients_reach_the_rows_of_the_past_alone(path):
    path(torch.tensor([[0, 7, 5, 7]])).sum().backward()
    touched = path.items.weight.grad.abs().sum(1).nonzero().flatten()
    assert touched.tolist() == [5, 7]


def test_more_rows_leave_the_first_as_they_were():
    few, many = (LongTerm(LongTerm.Config(width=8), rows) for rows in (20, 30) if torch.manual_seed(3))
    assert torch.equal(many.items.weight[:20], few.items.weight)


def test_users_of_one_taste_are_near():
    rows_E, begins_U, ends_U, taste_U = world()
    vectors_UW = vectors_of(started_table(rows_E, begins_U, ends_U, ITEMS + 1, 8, 0), rows_E)
    assert same_taste(vectors_UW, taste_U) > 0.9
    assert same_taste(vectors_UW, np.random.default_rng(0).permutation(taste_U)) < 0.5, "the check can fail"


def test_columns_vary_alike():
    rows_E, begins_U, ends_U, _ = world()
    table = started_table(rows_E, begins_U, ends_U, ITEMS + 1, 16, 0)
    vectors_UW = vectors_of(table, rows_E)
    assert float(vectors_UW.square().mean()) == pytest.approx(1.0, rel=1e-4)
    strength_W = torch.linalg.svdvals(vectors_UW - vectors_UW.mean(0))
    deviation_W = vectors_UW.std(0)
    assert deviation_W.max() / deviation_W.min() < strength_W.max() / strength_W.min() / 2


def test_users_that_may_not_be_looked_at_change_no_bit():
    rows_E, begins_U, ends_U, _ = world()
    some = np.arange(60)
    table = started_table(rows_E, begins_U[some], ends_U[some], ITEMS + 1, 8, 0)
    other = rows_E.copy()
    other[60 * 20 :] = 1 + (other[60 * 20 :] + 31) % ITEMS
    assert torch.equal(started_table(other, begins_U[some], ends_U[some], ITEMS + 1, 8, 0), table)
    leaky = [started_table(rows, begins_U, ends_U, ITEMS + 1, 8, 0) for rows in (rows_E, other)]
    assert not torch.equal(*leaky), "a table that reads test users depends on them"


def test_what_lies_after_the_end_is_not_read():
    rows_E, begins_U, ends_U, _ = world()
    other = rows_E.copy()
    other[ends_U - 1] = 1 + (other[ends_U - 1] + 17) % ITEMS
    cut = [started_table(rows, begins_U, ends_U - 1, ITEMS + 1, 8, 0) for rows in (rows_E, other)]
    assert torch.equal(*cut)
    assert not torch.equal(*(started_table(rows, begins_U, ends_U, ITEMS + 1, 8, 0) for rows in (rows_E, other)))


def test_the_order_of_events_does_not_matter_to_the_table():
    rows_E, begins_U, ends_U, _ = world()
    turned = rows_E.reshape(USERS, 20)[:, ::-1].ravel().copy()
    assert torch.equal(*(started_table(rows, begins_U, ends_U, ITEMS + 1, 8, 0) for rows in (rows_E, turned)))


def test_padding_and_rare_items_have_no_vector():
    rows_E, begins_U, ends_U, _ = world()
    rows_E[[0, 20]] = ITEMS + 1
    table = started_table(rows_E, begins_U, ends_U, ITEMS + 2, 8, 0)
    assert MIN_USERS > 2
    assert not table[[0, ITEMS + 1]].any()
    assert table[1 : ITEMS + 1].any(dim=1).all()


def alike(one, other):
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_a_later_tasks_items_are_told_apart_as_if_they_were_alone():
    """Same distances between users as a table of these items alone gives, in directions of their own."""
    rows_E, begins_U, ends_U, _ = world()
    half = 1 + ITEMS // 2
    table = started_table(rows_E, begins_U, ends_U, ITEMS + 1, 8, 0, first=half)
    alone = started_table(np.where(rows_E < half, 0, rows_E - half + 1), begins_U, ends_U, 1 + ITEMS // 2, 8, 0)
    assert not table[:half].any()
    later, other = table[half:], alone[1:]
    assert alike(later @ later.T, other @ other.T) > 0.9  # randomised, so not the same
    assert abs(alike(later, other)) < 0.3, "the same rotation lays one task's items over another's"


@pytest.mark.parametrize("users", [0, 1, 4])
def test_few_users_give_a_table_of_the_width_asked_for(users):
    rows_E = np.tile([1, 2, 3], 4).astype(np.int32)
    begins_U = np.arange(users) * 3
    table = started_table(rows_E, begins_U, begins_U + 3, 5, 8, 0)
    assert table.shape == (5, 8)
    assert table.dtype == torch.float32
    assert torch.isfinite(table).all()
    assert bool(table.any()) == (users >= MIN_USERS)


def vectors_of(table, rows_E):
    path = LongTerm(LongTerm.Config(width=table.shape[1]), len(table))
    path.load_state_dict({"items.weight": table})
    with torch.no_grad():
        return path(torch.from_numpy(rows_E.reshape(-1, 20).astype(np.int64)))


def same_taste(vectors_UW, taste_U):
    """How often the nearest other user is of the same taste."""
    cosine_UU = torch.nn.functional.normalize(vectors_UW, dim=1)
    cosine_UU = (cosine_UU @ cosine_UU.T).fill_diagonal_(-2)
    return float((taste_U[cosine_UU.argmax(1).numpy()] == taste_U).mean())
