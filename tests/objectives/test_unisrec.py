"""UniSRec's two losses: duplicates of the right item are no negatives, other views leave out what they should."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from backbones import WORDS, language
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import Head, Net, batch_of

from lifelong import LivingModel
from lifelong.core.errors import ConfigError
from lifelong.core.progress import Silent
from lifelong.core.types import Contents, History
from lifelong.items.text import Text
from lifelong.objectives import unisrec as module
from lifelong.objectives.contrast import softmax
from lifelong.objectives.contrast.softmax import right_item, right_view
from lifelong.objectives.sum import Sum
from lifelong.objectives.unisrec import Unisrec
from lifelong.testing.objectives import checkerboard

TABLE = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def plain(users, items, targets, temperature, fault=None):
    """Row by row over all N right items, as the formula says."""
    scores = F.normalize(users, dim=1) @ F.normalize(items, dim=1)[targets].T / temperature
    losses = []
    for n, target in enumerate(targets.tolist()):
        alike = (targets == target) & (torch.arange(len(targets)) != n)
        row = scores[n].masked_fill(alike, 0.0 if fault == "zero before exp" else -torch.inf)
        row = scores[n] if fault == "duplicates compete" else row
        losses.append(-row[n] + row.logsumexp(0))
    return torch.stack(losses).mean().item()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(0, 99))
def test_it_is_the_formula_whatever_stands_twice(targets, seed):
    users = torch.randn(len(targets), 3, generator=torch.Generator().manual_seed(seed))
    targets = torch.tensor(targets)
    distinct, right = targets.unique(return_inverse=True)
    ours = right_item(users, TABLE[distinct], right, 0.5).item()
    assert ours == pytest.approx(plain(users, TABLE, targets, 0.5), abs=1e-5)


@pytest.mark.parametrize("fault", ["zero before exp", "duplicates compete"])
def test_the_faults_of_public_code_would_be_seen(fault):
    targets = torch.tensor([0, 1, 0, 2, 0])
    users = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    distinct, right = targets.unique(return_inverse=True)
    ours = right_item(users, TABLE[distinct], right, 0.5).item()
    assert ours == pytest.approx(plain(users, TABLE, targets, 0.5), rel=1e-4)
    assert ours != pytest.approx(plain(users, TABLE, targets, 0.5, fault), rel=0.01)


def test_by_hand():
    """Users (1, 0) and (0, 1) and (1, 0); items (1, 0), (0, 1); the first is asked for twice."""
    users, items = torch.tensor([[2.0, 0.0], [0.0, 5.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.1]])
    e = math.exp(1 / 0.5)
    first, second = -math.log(e / (e + 1)), -math.log(e / (e + 2))  # twice the other item, each e^0
    assert right_item(users, items, torch.tensor([0, 1, 0]), 0.5).item() == pytest.approx((2 * first + second) / 3)


def test_parts_give_the_same_loss_and_gradients(monkeypatch):
    users, items = (
        torch.randn(*s, generator=torch.Generator().manual_seed(2)).requires_grad_() for s in ((11, 3), (4, 3))
    )
    right, found = torch.arange(11) % 4, []
    wrong = F.normalize(users, dim=1) @ F.normalize(items, dim=1)[right].T / 0.2
    wrong = wrong.masked_fill((right[:, None] == right) & ~torch.eye(11, dtype=torch.bool), -torch.inf)
    naive = F.cross_entropy(wrong, torch.arange(11))
    found.append((naive, *torch.autograd.grad(naive, (users, items))))
    for most in (1 << 22, 12, 1):
        monkeypatch.setattr(softmax, "MOST_VALUES", most)
        loss = right_item(users, items, right, 0.2)
        found.append((loss, *torch.autograd.grad(loss, (users, items))))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b)


def test_views_of_users_with_the_same_right_item_are_left_out():
    users, again = (torch.randn(4, 3, generator=torch.Generator().manual_seed(s)) for s in (3, 4))
    ours = right_view(users, again, torch.tensor([0, 1, 0, 2]), 0.1).item()
    scores = F.normalize(users, dim=1) @ F.normalize(again, dim=1).T / 0.1
    scores[0, 2] = scores[2, 0] = -torch.inf
    assert ours == pytest.approx(F.cross_entropy(scores, torch.arange(4)).item(), rel=1e-5)
    assert right_view(users[:1], again[:1], torch.tensor([5]), 0.1).item() == 0.0


def unisrec(**options):
    return Unisrec(Unisrec.Config(**options))


def test_the_whole_loss():
    """Items of two domains in one batch; the same batch, whatever the order of its points."""
    windows, net = [[1, 2, 3, 4], [5, 6, 5, 6], [0, 0, 3, 1]], Net(Head(TABLE))
    batch = batch_of(windows)
    users = net.users_at(net.states(batch.history), batch)
    assert unisrec(weight=0.0).loss(net, batch).item() == pytest.approx(
        plain(users, TABLE, batch.targets_N, 0.07), rel=1e-4
    )
    losses = []
    for shuffled in (False, True):
        torch.manual_seed(0)
        losses.append(unisrec().loss(net, batch_of(windows, shuffled)).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_other_views_keep_the_first_event_and_end_at_their_point():
    """Events after a window's point are in no view; of those between the first and it a fifth is left out."""
    windows = [list(range(1, 7))] * 40
    net, kept, could = Net(Head(TABLE)), 0, 0
    for seed in range(20):
        net.read.clear()
        torch.manual_seed(seed)
        unisrec(at="one").loss(net, batch_of(windows))
        view = net.read[-1]
        assert ((view == 1).sum(dim=1) == 1).all(), "the first event stays"
        torch.manual_seed(seed)
        until = (torch.rand(40) * 5).long()  # the point that one_each draws: place 0 to 4
        assert (view.max(dim=1).values <= until + 1).all(), "nothing of what comes later is read"
        assert (view[:, -1] != 0).all()
        kept += int((view > 1).sum())
        could += int(until.sum())
    assert kept / could == pytest.approx(0.8, abs=0.03)


def test_no_second_pass_where_it_does_not_count():
    net = Net(Head(TABLE))
    unisrec(weight=0.0).loss(net, batch_of([[1, 2, 3]]))
    assert len(net.read) == 1
    unisrec().loss(net, batch_of([[1, 2, 3]]))
    assert len(net.read) == 3


class Blurring(torch.nn.Embedding):
    """A table whose items can be read with words missing: then they are all the same."""

    blurs = True

    def blurred(self, rows_n):
        self.asked = rows_n
        return self.weight[torch.ones_like(rows_n)]


@pytest.mark.parametrize("within_sum", [False, True])
def test_items_with_missing_words_where_the_items_can_be_read_so(within_sum):
    objective = Sum(Sum.Config(of=[{"name": "unisrec", "words": 1.0}])) if within_sum else unisrec(words=1.0)
    net, batch = checkerboard(objective)
    items = Blurring(net.items.num_embeddings, net.width, padding_idx=0)
    items.load_state_dict(net.items.state_dict())
    net.items = items
    torch.manual_seed(0)
    net(objective, batch).backward()
    valid = int((batch.history.window_BL > 0).sum())
    assert 0.05 * valid < len(items.asked) < 0.2 * valid, "a fifth of the events up to a random point"
    assert (items.asked > 0).all()


def test_items_that_have_one_reading_are_read_as_ever():
    """The very loss, gradients and draws of a table that knows of no second reading, and no pass that is wasted."""
    found = []
    for cls in (torch.nn.Embedding, Blurring):
        net, batch = checkerboard(unisrec())
        items = cls(net.items.num_embeddings, net.width, padding_idx=0)
        items.load_state_dict(net.items.state_dict())
        items.blurs, net.items = False, items
        torch.manual_seed(0)
        loss = net(unisrec(words=1.0, weight=1.0), batch)
        loss.backward()
        found.append((loss.detach(), items.weight.grad))
    assert not hasattr(items, "asked")
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_blurred_events_replace_the_item_and_nothing_else():
    from lifelong.objectives.unisrec import _with_fewer_words

    net, batch = checkerboard(unisrec())
    net.eval()
    history = History(batch.history.window_BL)
    with torch.no_grad():
        plain_states = net.states(history)
        net.items.blurred = lambda rows: net.items(rows)
        assert torch.allclose(_with_fewer_words(net, history), plain_states, atol=1e-6)
        torch.manual_seed(1)
        net.items.blurred = lambda rows: -net.items(rows)
        moved = _with_fewer_words(net, history)
    assert not torch.allclose(moved, plain_states, atol=1e-3)


@pytest.mark.parametrize("name", ["unisrec", "cpc"])
def test_items_that_are_encoded_give_the_loss_of_a_table(name):
    """What encodes items is asked for those of the step alone, and gets the same gradients."""
    from lifelong.items.id import Id
    from lifelong.testing.objectives import make

    found = []
    for encoded in (False, True):
        net, batch = checkerboard(make(name))
        if encoded:
            items = Id(Id.Config(), net.width, net.items.num_embeddings)
            items.table_VD.data.copy_(net.items.weight.data)
            items.readable_V[1:] = True
            net.items = items
        torch.manual_seed(0)
        loss = net(make(name), batch)
        loss.backward()
        found.append((loss.detach(), net.items.table_VD.grad if encoded else net.items.weight.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_what_is_refused():
    net = Net(Head(TABLE))
    net.causal = False
    with pytest.raises(ConfigError, match="unisrec needs a causal encoder"):
        unisrec().loss(net, batch_of([[1, 2, 3]]))
    for option, value in (("temperature", 0.0), ("weight", -1.0), ("words", 1.5)):
        with pytest.raises(ValueError, match=f"{option} is {value}"):
            unisrec(**{option: value})


def test_neither_asks_for_the_heads_candidates():
    from lifelong.objectives.cpc import Cpc

    assert not Unisrec.asks_candidates
    assert not Cpc.asks_candidates
    assert Sum(Sum.Config()).asks_candidates
    assert not Sum(Sum.Config(of=["cpc", "clue_infonce"])).asks_candidates


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(language(tmp_path_factory.mktemp("bert"), "bert"))


def trained_on_texts(bert, cache, steps=3, **options):
    """Losses, and how many rows were read with words missing in each step and how large the gradient was that they got."""
    net, batch = checkerboard(unisrec())
    rows, draw = net.items.num_embeddings, np.random.default_rng(0)
    items = Text(Text.Config(model=bert, **options), net.width, rows)
    items.open(
        Contents(np.arange(1, rows), [" ".join(draw.choice(WORDS, 6)) for _ in range(1, rows)]), None, cache, Silent()
    )
    net.items, read, encode = items, [], items.encode_blurred
    items.encode_blurred = lambda rows_U: read.append(encode(rows_U)) or read[-1]
    torch.manual_seed(1)
    optimizer, losses, objective = (
        torch.optim.Adam(net.train().parameters(), lr=0.01),
        [],
        unisrec(words=1.0, weight=1.0),
    )
    for step in range(steps):
        optimizer.zero_grad()
        loss = net(objective, batch)
        for made in read[step:]:
            made.retain_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return losses, [(len(made), float(made.grad.abs().max())) for made in read]


def test_a_text_with_missing_words_trains_the_map(bert, tmp_path):
    losses, read = trained_on_texts(bert, tmp_path, missing_words=0.5)
    assert len(read) == 3, "one second reading a step"
    assert all(0 < count <= 10 and gradient > 0 for count, gradient in read)
    assert losses[-1] < losses[0]
    without, unread = trained_on_texts(bert, tmp_path, missing_words=0.0)
    assert unread == []
    assert without != losses


def test_a_second_reading_that_gets_no_gradient_would_be_noticed(bert, tmp_path, monkeypatch):
    kept = module._with_fewer_words
    monkeypatch.setattr(module, "_with_fewer_words", lambda net, history: kept(net, history).detach())
    with pytest.raises(AttributeError):  # there is no gradient to look at
        trained_on_texts(bert, tmp_path, steps=1, missing_words=0.5)


@pytest.mark.slow
def test_a_model_that_read_texts_twice_answers_as_ever(bert, tmp_path, monkeypatch):
    """It is sealed, opened and verified, and grows by items whose texts are read."""
    import pyarrow as pa

    read, steps, encode, contrast = [], [], Text.encode_blurred, Unisrec.contrast
    monkeypatch.setattr(Text, "encode_blurred", lambda self, rows_U: read.append(len(rows_U)) or encode(self, rows_U))
    monkeypatch.setattr(Unisrec, "contrast", lambda self, net, batch: steps.append(1) or contrast(self, net, batch))
    first = {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
        "length": 12,
        "items": {"name": "text", "model": bert, "missing_words": 0.4},
        "objective": {"name": "unisrec", "words": 0.5},
        "head": {"name": "next_item", "unit": True},
        "data": {"dataset": {"name": "synthetic", "users": 120, "items": 60, "events_per_user": 20}, "text": ["title"]},
        "fit": {"epochs": 2, "batch_size": 32},
    }
    made = LivingModel.pretrain(tmp_path / "model", first, cache=tmp_path / "cache")
    assert 0.2 * len(steps) < len(read) < 0.8 * len(steps)
    known, asked = made.members["next"].catalogue[:3], len(read)
    before = made.recommend([list(known)], "next", k=5)
    made.add_items("next", pa.table({"id": ["new"], "title": ["dark rye bread"]}), "more")
    again = LivingModel.open(tmp_path / "model", cache=tmp_path / "cache")
    assert again.verify().ok
    assert again.recommend([list(known)], "next", k=5) == before
    assert len(again.recommend([["new"]], "more", k=5)[0].items) == 5
    assert len(read) == asked, "a second reading is for training alone"
    stored = again.members["next"].encoding.tensors
    assert {"projection.weight", "projection.bias", "missing_D"} < set(stored)
    assert not [name for name in stored if name.startswith("backbone")]
