"""TERACON: masks by hand, growth that changes no bit, retention that retains, ten tasks in a row, killed and gone on."""

import copy
import math
import shutil

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lifelong.continual.parts.mask import Mask
from lifelong.continual.retention import Retention
from lifelong.continual.strategies import teracon
from lifelong.continual.strategies.teracon import Teracon, grow_masks
from lifelong.core.config import build
from lifelong.core.errors import ConfigError, Diverged
from lifelong.core.progress import Silent
from lifelong.encoders.layers.dropout import Dropout
from lifelong.living import LivingModel
from lifelong.testing import strategies as contract


class Pupil(contract.World):
    """A world that learns the task's examples, as the training loop would: some epochs of 20 steps, masks in training."""

    epochs, steps = 4, 20

    def train(self, overlay, phase):
        net = contract.TaskNet(self.design, phase.view.rows, None)
        net.sit(phase.view.parts)
        head = self.heads[phase.view.owner].requires_grad_(True)
        trained = [*overlay.theta.values(), *head.parameters(), *contract.trained_beside(phase)]
        optimizer = torch.optim.Adam(trained, 0.02)
        for epoch in range(self.epochs):
            if phase.penalty is not None:
                phase.penalty.start(epoch, self.steps)
            for step in range(self.steps):
                self._step(net, head, overlay, phase, (epoch * self.steps + step) % 8, optimizer)
        head.requires_grad_(False)
        overlay.store()

    def _step(self, net, head, overlay, phase, number, optimizer):
        batch, weights = next(contract.examples(phase.view, number)), overlay.weights()
        states = functional_call(net, weights, (contract._states, batch.history))
        loss = nn.functional.cross_entropy(head(states[:, -1]), batch.targets_N)
        loss = loss + (0.0 if phase.penalty is None else phase.penalty(weights, batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def loss(self, view):
        """The task's loss on examples that it never saw."""
        task = contract.Remembered(self, view).eval()
        weights = contract.render(self.bank, view, self.names)
        return float(task.loss(weights, next(contract.examples(view, 99))))


@pytest.fixture(scope="module")
def learnt():
    torch.manual_seed(0)
    world = Pupil()
    world.grow(contract.make("conure", keep=1.0, min_share=0.0), None, contract.ROWS - 1)
    return world


def _after(learnt, name, tasks=1, epochs=4, steps=20, **options):
    torch.manual_seed(1)
    world = copy.deepcopy(learnt)
    world.epochs, world.steps = epochs, steps
    for _ in range(tasks):
        world.grow(contract.make(name, **options), world.views[0])
    return world


def test_the_gates_by_hand():
    mask = Mask(Mask.Config(tasks=2, place=1), 2)
    with torch.no_grad():
        mask.embeddings_TD.copy_(torch.tensor([[0.1, -0.2], [9.0, 0.0]]))  # 9 counts as 6
        mask.mixer_T.copy_(torch.tensor([0.5, -0.25]))
        mask.bias.fill_(0.1)
    mask.train().sharpness = 2.0
    mixed = [0.1 + 0.5 * math.tanh(2 * 0.1) - 0.25 * math.tanh(2 * 6), 0.1 + 0.5 * math.tanh(2 * -0.2)]
    by_hand = [1 / (1 + math.exp(-2 * value)) for value in mixed]
    states = torch.tensor([[[1.0, 10.0]]])
    assert mask(states).flatten().tolist() == pytest.approx([by_hand[0], 10 * by_hand[1]], rel=1e-5)
    sharp = 1 / (1 + math.exp(-50 * (0.1 + 0.5 * math.tanh(50 * 0.1) - 0.25)))
    assert float(mask.eval().gates()[0].detach()) == pytest.approx(sharp, rel=1e-5)


@pytest.mark.parametrize("tasks", [1, 3, 10, 100])
def test_a_fresh_mask_is_exactly_one(tasks):
    states = torch.randn(2, 3, 8)
    assert torch.equal(Mask(Mask.Config(tasks=tasks), 8).eval()(states), states)


def test_the_bits_of_many_wide_masks_do_not_depend_on_threads():
    mask = Mask(Mask.Config(tasks=100), 515).eval()
    nn.init.normal_(mask.embeddings_TD)
    nn.init.normal_(mask.mixer_T, std=0.01)
    threads, made = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            made.append(mask.gates().detach())
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def _used(width=8):
    """The masks of two tasks that have been trained, and of a third that has none yet."""
    first, second = grow_masks([{}], {"slot": width}, 50.0)
    for mask in (first["slot"], second["slot"]):
        nn.init.normal_(mask.mixer_T, std=0.1)
        nn.init.normal_(mask.bias, std=0.1)
    return [{"slot": first["slot"].apart()}, {"slot": second["slot"].apart()}, {}]


def check_growth(grow):
    """A mask that grows computes what it computed, and all masks look at one set of embeddings, the old ones among them."""
    before = _used()
    made = grow(before, {"slot": 8}, 50.0)
    for old, grown in zip(before, made, strict=False):
        expected = old["slot"].eval().gates() if old else torch.ones(8)
        assert torch.equal(grown["slot"].eval().gates(), expected), "a mask that grew is another"
    assert torch.equal(made[-1]["slot"].embeddings_TD[:2], before[0]["slot"].embeddings_TD)
    assert [mask["slot"].options.place for mask in made] == [0, 1, 2, 3]
    trained = [p for mask in made for p in mask["slot"].parameters() if p.requires_grad]
    assert len(trained) == 3, "the embeddings are trained once, and earlier mixers only where it is wanted"


def test_masks_grow_without_a_change():
    check_growth(grow_masks)


def made_anew(before, slots, largest):
    """Planted fault, the one of the paper's code: all mixers are made again when a task comes."""
    made = grow_masks(before, slots, largest)
    for masks in made[:-1]:
        for mask in masks.values():
            nn.init.normal_(mask.mixer_T, std=0.1)
    return made


def test_mixers_made_anew_are_caught():
    with pytest.raises(AssertionError, match="another"):
        check_growth(made_anew)


def test_mixers_made_anew_change_earlier_answers(monkeypatch):
    check_answers()
    monkeypatch.setattr(teracon, "grow_masks", made_anew)
    with pytest.raises(AssertionError):
        check_answers()


def check_answers():
    """Adding a task without training it leaves what every earlier one computes, bit for bit, masks included."""
    world = contract.grown(contract.make("teracon"), 2)
    assert all(len(view.parts) for view in world.views)
    before = [world.states(view) for view in world.views]
    world.grow(contract.make("teracon"), world.views[0], train=False)
    for view, states in zip(world.views, before, strict=False):
        assert torch.equal(world.states(view), states)


@pytest.mark.parametrize("encoder", ["sasrec", "nextitnet", "gru4rec"])
def test_it_starts_as_its_first_parent(encoder):
    world = contract.World(encoder)
    root = world.grow(contract.make("conure", min_share=0.0), None, contract.ROWS - 1)
    before = world.states(root)
    child = world.grow(contract.make("teracon"), root, train=False)
    assert torch.equal(world.states(child), before)
    assert torch.equal(world.states(root), before)
    assert not torch.equal(world.states(world.grow(contract.make("teracon"), root)), before)


def test_retention_keeps_earlier_tasks_nearer_to_what_they_were(learnt):
    before = learnt.loss(learnt.views[0])
    with_it, without = (_after(learnt, "teracon", strength=s) for s in (0.7, 0.0))
    assert with_it.loss(with_it.views[1]) < 0.8  # chance is 1.1
    rise, drift = (world.loss(world.views[0]) - before for world in (with_it, without))
    assert drift > 0.5
    assert rise < 0.7 * drift


def test_heads_and_mixers_can_be_left_as_they_are(learnt):
    world = _after(learnt, "teracon", epochs=1, steps=4, heads="freeze")
    assert torch.equal(world.heads[1].weight, learnt.heads[1].weight)
    assert all(not mask.mixer_T.any() for mask in world.views[0].parts.values())
    assert any(bool(mask.mixer_T.any()) for mask in world.views[1].parts.values())


def test_ten_tasks_in_a_row_stay_finite(learnt):
    world = _after(learnt, "teracon", tasks=9, epochs=1, steps=2)
    assert len(world.views) == 10
    for view in world.views:
        assert bool(world.states(view).isfinite().all())
        assert all(mask.options.tasks == 10 for mask in view.parts.values())
        assert math.isfinite(world.loss(view))
    first, last = world.views[0].parts, world.views[-1].parts
    assert all(torch.equal(first[slot].embeddings_TD, last[slot].embeddings_TD) for slot in first)


def _penalty(learnt, **options):
    world = _after(learnt, "teracon", epochs=1, steps=4)
    site = world.site(world.views[0])
    phase = next(contract.make("teracon", **options).grow(site, "task"))
    return phase.penalty, site.seen_by_parent(), next(contract.examples(world.views[0], 5)), phase.view


def test_nothing_is_retained_at_the_start_and_something_later(learnt):
    penalty, weights, batch, _ = _penalty(learnt)
    for module in penalty.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    penalty.start(0, 10)
    for _ in range(10):
        assert float(penalty(weights, batch).detach()) == pytest.approx(0.0, abs=1e-10)
    moved = {name: value + 0.05 for name, value in weights.items()}
    assert float(penalty(moved, batch).detach()) > 1e-4


def test_sharpness_rises_within_every_epoch_for_all_masks(learnt):
    penalty, weights, batch, view = _penalty(learnt)
    masks = [m for m in penalty.modules() if isinstance(m, Mask)] + list(view.parts.values())
    assert {mask.sharpness for mask in masks} == {50.0}  # nobody has said how many steps there are
    for epoch in (0, 1):
        penalty.start(epoch, 4)
        for done in (0.0, 0.25, 0.5, 0.75, 1.0, 1.0):
            assert {mask.sharpness for mask in masks} == {0.02 + 49.98 * done}
            penalty(weights, batch)


def test_the_share_of_users_by_hand(learnt):
    penalty, *_ = _penalty(learnt)
    assert isinstance(penalty, Retention)
    for masks in (penalty._taught(0), penalty._own[0]):
        for mask in masks.values():
            nn.init.zeros_(mask.mixer_T)
    assert penalty._rho(0) == pytest.approx(1 - 1 / (1 + math.exp(-6)), abs=1e-6)  # all masks are 1, so they are alike


def test_a_mask_that_is_no_number_is_a_divergence(learnt):
    """As it was: the share of users could not be made an integer, and the training ended in a traceback."""
    penalty, weights, batch, _ = _penalty(learnt)
    nn.init.constant_(next(iter(penalty._own[0].values())).bias, math.nan)
    with pytest.raises(Diverged, match="a mask is not finite"):
        penalty(weights, batch)


def test_one_user_is_enough(learnt):
    penalty, weights, batch, _ = _penalty(learnt)
    one = contract.Batch(
        batch.history.users(slice(0, 1)), *(v[:1] for v in (batch.rows_N, batch.positions_N, batch.targets_N))
    )
    nobody = contract.Batch(
        batch.history.users(slice(0, 0)), *(v[:0] for v in (batch.rows_N, batch.positions_N, batch.targets_N))
    )
    moved = {name: value + 0.05 for name, value in weights.items()}
    assert math.isfinite(float(penalty(moved, one).detach()))
    assert float(penalty(moved, nobody)) == 0.0


@pytest.mark.parametrize("wrong", [{"strength": -1.0}, {"largest": 10.0}, {"heads": "some"}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(Teracon.Config, wrong, "strategy teracon")


def test_a_task_with_patches_goes_without_masks():
    world = contract.grown(contract.make("peterrec"), 1)
    world.grow(contract.make("teracon"), world.views[0])
    kinds = [{type(part).__name__ for part in view.parts.values()} for view in world.views]
    assert kinds == [{"Mask"}, {"Patch"}, {"Mask"}]


DATA = {"name": "synthetic", "users": 60, "items": 24, "events_per_user": 10}
FIRST = {
    "name": "next",
    "encoder": {"name": "sasrec", "width": 8, "blocks": 1},
    "length": 6,
    "head": "next_item",
    "data": {"dataset": DATA},
    "fit": {"epochs": 1},
}


def _label(number, strategy="teracon"):
    data = {"dataset": DATA, "label": f"label_{number}", "split": "by_user"}
    return {
        "name": f"label_{number}",
        "head": "classification",
        "data": data,
        "strategy": strategy,
        "fit": {"epochs": 3},
    }


class Stop(Exception):
    pass


class StopAfter(Silent):
    """Stops the run after so many epochs."""

    def __init__(self, epochs):
        self.left = epochs

    def say(self, text):
        self.left -= " epoch " in text
        if self.left == 0:
            raise Stop


def test_a_living_model_learns_is_killed_goes_on_and_is_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.committing.check_candidate", lambda store, body, before: {})
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    path = tmp_path / "m"
    LivingModel.pretrain(path, FIRST, cache=tmp_path).add_task(_label(0), allow_forgetting=True)
    whole = LivingModel.open(shutil.copytree(path, tmp_path / "whole"), cache=tmp_path)
    whole.add_task(_label(1), allow_forgetting=True)
    with pytest.raises(Stop):
        LivingModel.open(path, cache=tmp_path).add_task(_label(1), allow_forgetting=True, progress=StopAfter(2))
    gone_on = LivingModel.open(path, cache=tmp_path)
    gone_on.add_task(_label(1), allow_forgetting=True)
    entries = [model.version.body["tasks"] for model in (whole, gone_on)]
    assert {n: e["identity"] for n, e in entries[0].items()} == {n: e["identity"] for n, e in entries[1].items()}
    opened = LivingModel.open(path, cache=tmp_path)
    for name in ("next", "label_0", "label_1"):
        bits = gone_on.answering(name).net.state_dict()
        assert all(torch.equal(value, opened.answering(name).net.state_dict()[key]) for key, value in bits.items())
        assert {spec["tasks"] for spec in opened.members[name].parts.values()} == {3}
        assert not opened.members[name].view.shareable
    for model in (gone_on, opened):
        with pytest.raises(ConfigError, match="parts in its slots"):
            model.add_task(_label(2, "probe"))


def test_numbers_are_retained_in_deviations(learnt, monkeypatch):
    """A label in cents must not weigh ten thousand times one in units."""
    penalty, weights, batch, _ = _penalty(learnt)
    for module in penalty.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    error = lambda: float(penalty._error(0, {n: v + 0.05 for n, v in weights.items()}, batch.history).detach())  # noqa: E731
    units = error()
    monkeypatch.setattr(contract.Remembered, "spread", 100.0)
    assert error() == pytest.approx(units / 100**2)
    assert units > 1e-4
