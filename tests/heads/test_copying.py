"""next_item with copy: the shared normaliser, what is seen and what is not, trips and counts worked by hand."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from lifelong.asking.scoring import CatalogueBlocks
from lifelong.core.errors import ConfigError
from lifelong.core.types import Negatives, Seen
from lifelong.heads import next_item
from lifelong.heads.layers import copying
from lifelong.heads.layers.copying import (
    OUT,
    SCALE,
    Copying,
    add_mass_,
    mass_of_items,
    occurrences,
    trip_buckets,
    trips,
)
from lifelong.heads.next_item import NextItem
from lifelong.testing import heads as contract

WIDTH, ROWS, SEEN = 8, 21, 9
ROWS_C = torch.tensor([r for r in range(1, ROWS) if r != 4])  # row 4 is read, and is not in the catalogue
COUNT = len(ROWS_C)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head(**options):
    torch.manual_seed(0)
    made = NextItem(NextItem.Config(copy=True, **options), WIDTH, [str(i) for i in range(COUNT)], ROWS_C)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def seen(users=(0, 0, 1, 2, 2), ends=(6, 9, 9, 3, 8)):
    rows = torch.randint(1, 8, (3, SEEN), generator=torch.Generator().manual_seed(3))
    rows[0, :4], rows[1, 5] = 0, 4
    times = torch.randint(0, 2, (3, SEEN), generator=torch.Generator().manual_seed(4)).cumsum(1) * 3600
    return Seen(rows, times, torch.tensor(users), torch.tensor(ends))


ITEMS = torch.nn.Embedding.from_pretrained(random(ROWS, WIDTH, seed=1))
USERS = random(5, WIDTH, seed=2)
TARGETS = torch.tensor([2, 4, 17, 1, 5])


def naive(made, users=USERS, items=ITEMS, what=None):
    """log(exp(z) + sum of exp(psi) over the events of the item), with a place for every point, event and item."""
    what = what or seen()
    linear = F.linear(users, made.matrix(items), made.bias)
    countable = torch.isin(what.rows_BS, ROWS_C)
    psi = made.copying(users, items(what.rows_BS), what, countable)
    is_item = what.rows_BS[what.users_N][:, :, None] == ROWS_C
    return torch.cat([linear[:, None], psi[:, :, None].where(is_item, -torch.inf)], dim=1).logsumexp(1)


def test_scores_are_the_log_of_the_shared_sum():
    with torch.no_grad():
        scores = head().scores(USERS, ITEMS, seen())
        torch.testing.assert_close(scores, naive(head()))
        assert (scores > F.linear(USERS, head().matrix(ITEMS), head().bias)).any()


@pytest.mark.parametrize("sampled", [False, True])
def test_the_loss_is_minus_log_softmax_of_the_scores_and_so_are_its_gradients(sampled):
    made, users = head(), USERS.clone().requires_grad_()
    items = torch.nn.Embedding.from_pretrained(ITEMS.weight.clone(), freeze=False)
    everything = Negatives(torch.arange(COUNT), torch.zeros(COUNT)) if sampled else None
    ours = made.loss(users, TARGETS, items, everything, seen())
    plain = F.cross_entropy(naive(made, users, items), TARGETS)
    torch.testing.assert_close(ours, plain)
    inputs = [users, items.weight, *made.parameters()]
    for a, b in zip(*(torch.autograd.grad(1.7 * loss, inputs) for loss in (ours, plain)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_what_comes_after_a_point_is_not_seen():
    made, points, later = head(), seen(), seen()
    later.rows_BS[0, 6:], later.rows_BS[2, 8:] = 7, 7
    later.times_BS[0, 6:] += 10**6
    with torch.no_grad():
        before, after = (made.scores(USERS, ITEMS, what) for what in (points, later))
    assert torch.equal(before[[0, 2, 3, 4]], after[[0, 2, 3, 4]])
    assert not torch.equal(before[1], after[1])  # it does see them


def test_a_point_that_sees_too_much_is_caught(monkeypatch):
    whole = copying._in_grid
    everything = lambda values, *rest: whole(values, *rest) if values.dim() > 1 else whole(values, *rest) * 0 + SEEN  # noqa: E731
    monkeypatch.setattr(copying, "_in_grid", everything)
    with pytest.raises(AssertionError):
        test_what_comes_after_a_point_is_not_seen()


def test_psi_by_hand():
    """Milk, bread | milk | milk, tea, seen from after the tea: the first milk was two trips ago and there for the first time,
    the second one trip ago, and there before one trip earlier."""
    layer = Copying(WIDTH)
    torch.nn.init.zeros_(layer.query.weight)
    torch.nn.init.zeros_(layer.query.bias)
    with torch.no_grad():
        layer.by_trips[0], layer.by_gap[0], layer.by_gap[1], layer.by_count[:3] = torch.arange(40.0), 100.0, 200.0, 0.0
        layer.by_count[2] = 1000.0  # there once before
        layer.by_count[3] = 3000.0  # there twice before: 2 log2(3), rounded down
        layer.user.bias.fill_(0.5)
        what = Seen(
            torch.tensor([[1, 2, 1, 1, 3]]), torch.tensor([[5, 5, 60, 99, 99]]), torch.tensor([0]), torch.tensor([5])
        )
        psi = layer(torch.zeros(1, WIDTH), torch.zeros(1, 5, WIDTH), what, torch.ones(1, 5, dtype=torch.bool))
    ago, first, again = [4, 4, 1, 0, 0], 100.0, 200.0
    expected = [ago[0] + first, ago[1] + first, ago[2] + again + 1000, ago[3] + again + 3000, ago[4] + first]
    assert psi[0].tolist() == [0.5 + SCALE * value for value in expected]


def test_without_times_each_event_is_a_trip():
    what = seen()
    lone = Seen(what.rows_BS, None, what.users_N, what.ends_N)
    assert trips(lone)[0].tolist() == list(range(SEEN))
    assert torch.isfinite(head().loss(USERS, TARGETS, ITEMS, None, lone))


def test_occurrences_count_in_order_and_buckets_double():
    rows, trip = torch.tensor([[9, 4, 9, 9, 4]]), torch.tensor([[0, 0, 1, 5, 9]])
    counts, gaps = occurrences(rows, trip)
    assert counts.tolist() == [[0, 0, 2, 3, 2]]
    assert gaps.tolist() == [[0, 0, 1, 1 + 4, 1 + math.floor(2 * math.log2(9))]]
    buckets = trip_buckets(torch.arange(10_000))
    assert buckets[:9].tolist() == [0, 1, 4, 5, 7, 7, 8, 9, 10]
    assert buckets.max() == 39
    assert (buckets.diff() >= 0).all()


def test_a_user_without_a_past_is_ranked_by_the_linear_scores():
    made, nothing = head(), Seen(torch.zeros(5, SEEN, dtype=torch.int64), None, torch.arange(5), torch.full((5,), SEEN))
    with torch.no_grad():
        assert torch.equal(made.scores(USERS, ITEMS, nothing), F.linear(USERS, made.matrix(ITEMS), made.bias))
        assert torch.isfinite(made.loss(USERS, TARGETS, ITEMS, None, nothing))


def test_mass_is_added_once_an_item_and_huge_ones_do_not_overflow():
    index, mass = mass_of_items(torch.tensor([[3, -1, 3, 0]]), torch.tensor([[200.0, OUT, 200.0, -200.0]]))
    scores = add_mass_(torch.zeros(1, 4), index, mass)
    torch.testing.assert_close(scores, torch.tensor([[0.0, 0.0, 0.0, 200.0 + math.log(2)]]))


def test_blocks_of_the_catalogue_are_the_whole():
    made = head()
    net = type("Net", (), {"head": made, "items": ITEMS})()
    what = Seen(seen().rows_BS, seen().times_BS, torch.arange(3), torch.full((3,), SEEN))
    with torch.no_grad():
        blocks = torch.cat(list(CatalogueBlocks(net, size=7).of(USERS[:3], what)), 1)
        torch.testing.assert_close(blocks, made.scores(USERS[:3], ITEMS, what))
        alone = CatalogueBlocks(net, size=7).block(USERS[:3], 7, what)
    assert torch.equal(alone, blocks[:, 7:14])


def test_bits_do_not_depend_on_threads_or_neighbours():
    made, length = head(), 1023
    rows = torch.randint(0, ROWS, (16, length), generator=torch.Generator().manual_seed(5))
    what = Seen(rows, rows.cumsum(1) // 50, torch.arange(16), torch.full((16,), length))
    users, found, threads = random(16, WIDTH, seed=6), [], torch.get_num_threads()
    with torch.no_grad():
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(add_mass_(torch.zeros(16, COUNT), *made.copied(users, ITEMS, what)))
        torch.set_num_threads(threads)
        rows[1:] = rows[1:].flip(1)
        others = add_mass_(torch.zeros(16, COUNT), *made.copied(torch.cat([users[:1], 3 * users[1:]]), ITEMS, what))
    assert all(torch.equal(found[0], scores) for scores in found[1:])
    assert torch.equal(found[0][0], others[0])


def test_a_longer_past_than_is_copied_from_changes_nothing():
    made, what = head(copy_past=SEEN), seen()
    longer = Seen(F.pad(what.rows_BS, (5, 0), value=3), F.pad(what.times_BS, (5, 0)), what.users_N, what.ends_N + 5)
    with torch.no_grad():
        assert torch.equal(made.scores(USERS, ITEMS, longer), made.scores(USERS, ITEMS, what))
        assert not torch.equal(head(copy_past=SEEN + 5).scores(USERS, ITEMS, longer), made.scores(USERS, ITEMS, what))


@pytest.mark.parametrize("check", contract.HEAD_CHECKS, ids=lambda c: c.__name__)
def test_contract(check):
    check(partial(NextItem, NextItem.Config(copy=True)))


def test_a_gradient_of_the_log_of_nothing_is_caught(monkeypatch):
    """As it was: places that hold no item spoilt the gradient of all by the largest psi; lwf diverged in its second step."""

    def as_it_was(index_BS, psi_BS):
        once_BS, mass_BS = mass_of_items(index_BS, psi_BS)
        largest_B1 = psi_BS.amax(dim=1, keepdim=True)
        return once_BS, (mass_BS - largest_B1).exp().log() + largest_B1

    make = partial(NextItem, NextItem.Config(copy=True))
    contract.check_scores_train(make)
    monkeypatch.setattr(next_item, "mass_of_items", as_it_was)
    with pytest.raises(AssertionError, match="no finite gradient"):
        contract.check_scores_train(make)


@pytest.mark.parametrize("options", [{"repeats": False}, {"loss": "bpr"}])
def test_what_cannot_be_copied_is_refused(options):
    with pytest.raises(ConfigError, match="copy: true needs"):
        head(**options)
    with pytest.raises(ConfigError, match="copy: true needs"):
        NextItem(NextItem.Config(copy=True), WIDTH, ["a", "b"], None)


def test_scores_without_what_is_seen_are_refused():
    with pytest.raises(ValueError, match="seen"):
        head().scores(USERS, ITEMS)
