"""Binary cross-entropy with drawn items, and the in-batch softmax: two users worked by hand, faults planted in each step."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lifelong.core.types import Negatives, Seen
from lifelong.data.negatives import NegativeSampler
from lifelong.heads.losses.binary import binary_loss, some_negatives
from lifelong.heads.losses.softmax import barred, sampled_loss
from lifelong.heads.next_item import NextItem


def soft(x):
    return math.log1p(math.exp(x))


def test_two_means_are_summed():
    right, wrong = torch.tensor([2.0, -1.0]), torch.tensor([[0.5, 3.0], [1.0, 9.0]])
    found = torch.tensor([[True, True], [True, False]])
    expected = (soft(-2) + soft(1)) / 2 + (soft(0.5) + soft(3) + soft(1)) / 3
    assert binary_loss(right, wrong, found).item() == pytest.approx(expected, rel=1e-6)
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    assert binary_loss(right, wrong, nothing).item() == pytest.approx((soft(-2) + soft(1)) / 2, rel=1e-6)
    assert binary_loss(right[:0], wrong[:0], nothing[:0]).item() == 0.0


def test_large_scores_do_not_overflow():
    right = torch.tensor([-1e4], requires_grad=True)
    loss = binary_loss(right, torch.tensor([[1e4]]), torch.ones(1, 1, dtype=torch.bool))
    assert loss.item() == pytest.approx(2e4)
    assert torch.autograd.grad(loss, right)[0].item() == pytest.approx(-1.0)


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_drawn_is_uniform_and_never_what_was_had(count):
    torch.manual_seed(0)
    targets, taken = torch.full((6000,), 2), torch.tensor([[0, -1, 5]]).expand(6000, -1)
    index, found = some_negatives(targets, 7, taken, count)
    assert index.shape == found.shape == (6000, count)
    shares = np.bincount(index[found].numpy(), minlength=7) / int(found.sum())
    assert shares == pytest.approx([0, 0.25, 0, 0.25, 0.25, 0, 0.25], abs=0.02)
    assert found.float().mean() > 0.95


def test_who_had_everything_has_no_negatives_and_training_goes_on():
    index, found = some_negatives(torch.tensor([1]), 3, torch.tensor([[0, 2]]), 4)
    assert not found.any()
    assert (index < 3).all()


def head(rows, count, **options):
    made = NextItem(NextItem.Config(**options), 1, [str(i) for i in range(count)], rows)
    with torch.no_grad():
        made.bias.copy_(torch.tensor([0.1, 0.0, -0.2, 0.3][:count]))
    return made


TABLE = torch.nn.Embedding.from_pretrained(torch.tensor([[0.0], [0.5], [-1.0], [1.5], [2.0]]))
SEEN = Seen(torch.tensor([[1, 2], [4, 2]]), None, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 2]))
"""The four points of two users: nothing seen, then item 0; item 3, then items 3 and 1."""
USERS, TARGETS = torch.tensor([[1.0], [2.0], [-1.0], [0.5]]), torch.tensor([0, 1, 1, 2])
"""Item 1 is a target of both users."""
BIAS, VECTOR = (0.1, 0.0, -0.2, 0.3), (0.5, -1.0, 1.5, 2.0)


def score(point, item):
    return float(USERS[point]) * VECTOR[item] + BIAS[item]


def in_batch(counts=(1, 2, 1, 0)):
    """Every right answer of the batch once, expected as often as training says; the batch itself says nothing of it."""
    all_of_them = SimpleNamespace(random=lambda n: np.zeros(0), choice=lambda targets, n: targets)
    sampler = NegativeSampler(np.array(counts), count=0, in_batch=4)
    return sampler.draw(all_of_them, TARGETS.numpy())


def by_hand(barred_points, expected=(1, 2, 1)):
    """-log of the right answer's share, where item i competes so often as it stands there, divided by how often expected."""
    total = 0.0
    for point, target in enumerate(TARGETS.tolist()):
        others = [j for j in TARGETS.tolist() if j != target and j not in barred_points[point]]
        wrong = sum(math.exp(score(point, j)) / expected[j] for j in others)
        right = math.exp(score(point, target))
        total -= math.log(right / (right + wrong)) / 4
    return total


def test_two_users_with_a_shared_item_by_hand():
    """Both of item 1's columns are out for its own points; item 3, which no batch holds, and padding do not compete."""
    rows = torch.arange(1, 5)
    nobody, had = ((),) * 4, ((), (0,), (3,), (3, 1))
    again = head(rows, 4).loss(USERS, TARGETS, TABLE, in_batch(), None)
    assert again.item() == pytest.approx(by_hand(nobody), rel=1e-6)
    once = head(rows, 4, repeats=False).loss(USERS, TARGETS, TABLE, in_batch(), SEEN)
    assert once.item() == pytest.approx(by_hand(had), rel=1e-6)
    assert by_hand(nobody) != pytest.approx(by_hand(had), rel=1e-3)


def test_how_often_is_told_by_training_alone():
    """With other counts of training the same batch has another loss; the same with a hundred times as many."""
    made = head(torch.arange(1, 5), 4)
    losses = [
        made.loss(USERS, TARGETS, TABLE, in_batch(c)).item() for c in ((1, 2, 1, 0), (100, 200, 100, 0), (2, 1, 1, 0))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)
    assert losses[2] == pytest.approx(by_hand(((),) * 4, (2, 1, 1)), rel=1e-6)


@pytest.mark.parametrize("fault", ["sign", "duplicates", "history"])
def test_the_hand_example_would_see(fault):
    had = ((), (0,), (3,), (3, 1))
    drawn, seen = in_batch(), SEEN
    if fault == "sign":
        drawn = Negatives(drawn.index_K, -drawn.log_expected_K)
    if fault == "history":
        seen = Seen(torch.zeros_like(SEEN.rows_BS), None, SEEN.users_N, SEEN.ends_N)
    loss = head(torch.arange(1, 5), 4, repeats=False).loss(USERS, TARGETS, TABLE, drawn, seen).item()
    if fault == "duplicates":
        others = [[j for j in TARGETS.tolist() if j not in had[p]] for p in range(4)]
        loss = sum(
            -math.log(math.exp(score(p, t)) / (math.exp(score(p, t)) + sum(math.exp(score(p, j)) for j in others[p])))
            / 4
            for p, t in enumerate(TARGETS.tolist())
        )
    assert loss != pytest.approx(by_hand(had), rel=1e-3)


def test_what_is_barred():
    index = torch.tensor([3, 1, 3, 9, 0])
    left_out = torch.tensor([[3, -1, 8], [-1, -1, -1], [0, 9, 1]])
    found = barred(index, torch.tensor([1, 3, 7]), left_out)
    expected = [[True, True, True, False, False], [True, False, True, False, False], [False, True, False, True, True]]
    assert found.tolist() == expected
    assert barred(index[:0], torch.tensor([1]), left_out[:1]).shape == (1, 0)


@pytest.mark.parametrize("chunk", [1, 60, 1 << 19])
def test_what_is_left_out_of_the_candidates_in_any_chunk(chunk, monkeypatch):
    from lifelong.heads.losses import softmax

    monkeypatch.setattr(softmax, "CHUNK_VALUES", chunk)
    random = torch.Generator().manual_seed(0)
    users, wrong, shift, right = (
        torch.randn(*s, generator=random).requires_grad_() for s in ((9, 3), (5, 3), (5,), (9,))
    )
    index, targets = torch.tensor([0, 4, 4, 2, 7]), torch.tensor([0, 4, 1, 2, 7, 3, 0, 4, 6])
    left_out = torch.randint(-1, 8, (9, 2), generator=random)
    ours = sampled_loss(users, wrong, shift, right, (targets, index), None, left_out)
    out = (index == targets[:, None]) | (index[None, :, None] == left_out[:, None, :]).any(dim=2)
    scores = torch.cat([right[:, None], (users @ wrong.T + shift).masked_fill(out, -torch.inf)], dim=1)
    plain = torch.nn.functional.cross_entropy(scores, torch.zeros(9, dtype=torch.int64))
    torch.testing.assert_close(ours, plain)
    for a, b in zip(*(torch.autograd.grad(x, (users, wrong, shift, right)) for x in (ours, plain)), strict=True):
        torch.testing.assert_close(a, b)


def test_bce_rejects_what_the_user_had_although_it_may_come_again(monkeypatch):
    """Items 0 to 2 were had or are the target: the only wrong one left is 3."""
    made = head(torch.arange(1, 5), 4, loss="bce", drawn=5)
    assert made.needs_seen
    seen = Seen(torch.tensor([[1, 2]]), None, torch.tensor([0]), torch.tensor([2]))
    torch.manual_seed(0)
    loss = made.loss(USERS[:1], torch.tensor([2]), TABLE, None, seen).item()
    assert loss == pytest.approx(soft(-score(0, 2)) + soft(score(0, 3)), rel=1e-6)


def test_a_table_of_its_own_has_nothing_to_reject():
    """The catalogue is not read, so nothing of it can have been had."""
    made = NextItem(NextItem.Config(loss="bce"), 1, list("abc"), None)
    assert torch.isfinite(made.loss(USERS, TARGETS, TABLE, None, SEEN))


def test_unit_scores_by_direction():
    users, items = torch.randn(4, 3), torch.nn.Embedding(6, 3)
    made = NextItem(NextItem.Config(unit=True), 3, list("abcde"), torch.arange(1, 6))
    cosine = torch.nn.functional.cosine_similarity(users[:, None], items.weight[None, 1:], dim=2)
    torch.testing.assert_close(made.scores(users, items), cosine * users.norm(dim=1, keepdim=True))
    torch.testing.assert_close(made.vectors(torch.tensor([[1, 2], [3, 4]]), items).norm(dim=2), torch.ones(2, 2))


@pytest.mark.parametrize(("option", "says"), [({"drawn": 0}, "drawn is 0"), ({"rho": 0.0}, "rho is 0")])
def test_wrong_options_are_refused(option, says):
    with pytest.raises(ValueError, match=says):
        NextItem.Config(**option)
