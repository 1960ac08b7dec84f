"""Conure: the exact share, the largest kept, capacity planned or compounding, and what its options promise."""

import copy

import pytest
import torch

from lifelong.continual.bank import FREE
from lifelong.continual.overlay import Overlay
from lifelong.continual.site import LEFT, Site
from lifelong.continual.strategies.conure import Conure, Plan
from lifelong.continual.view import ITEM_TABLE
from lifelong.core.config import build
from lifelong.core.errors import CapacityError, ConfigError
from lifelong.living import LivingModel
from lifelong.testing import strategies as contract


def _phases(world, parent, **options):
    """Labels of the phases that a task goes through, untrained, and the site where it grew."""
    site = world.site(parent, 0 if parent else contract.ROWS - 1)
    return [phase.label for phase in contract.make("conure", min_share=0.0, **options).grow(site, "task")], site


def test_conure_keeps_the_exact_share_and_capacity_compounds():
    world = contract.grown(contract.make("conure", keep=0.5, min_share=0.0), 3)
    shares = world.bank.shares()
    assert shares[1] == pytest.approx(0.4, abs=5e-3)
    for owner, share in ((2, 0.3), (3, 0.15), (4, 0.075), (FREE, 0.075)):
        assert shares[owner] == pytest.approx(share, abs=5e-3)


def test_the_largest_are_kept():
    world = contract.World()
    site = world.site(None, 4)
    view = site.claim_free()
    name = site.bank.prunable[0]
    before = site.bank.values[name].abs().flatten()
    site.release_smallest(view, lambda name: 0.25)
    kept = (site.bank.owners[name] == 1).flatten()
    assert kept.sum() == round(0.25 * len(before))
    assert before[kept].min() >= before[~kept].max()


def test_ties_are_kept_by_index():
    world = contract.World()
    site = world.site(None, 4)
    view = site.claim_free()
    name = site.bank.prunable[0]
    site.bank.values[name] = torch.full_like(site.bank.values[name], 0.5)
    site.release_smallest(view, lambda name: 0.5)
    kept = (site.bank.owners[name] == 1).flatten()
    assert kept[: len(kept) // 2].all()
    assert not kept[len(kept) // 2 :].any()


def test_too_little_left_is_refused_before_training_and_says_what_else_to_do():
    world = contract.grown(contract.make("conure", keep=0.9, min_share=0.0), 2)
    with pytest.raises(CapacityError, match=r"would own .* use a strategy that claims nothing"):
        next(contract.make("conure", min_share=0.05).grow(world.site(world.views[0]), "another"))


def test_a_layer_can_have_a_share_of_its_own():
    world = contract.World()
    _, site = _phases(world, None, keep=0.25, layers={"*.attention.*": 0.5, "*": 0.125})
    for name in site.bank.prunable:
        owned = float((site.bank.owners[name] == 1).float().mean())
        assert owned == (0.5 if ".attention." in name else 0.125)


def test_a_pattern_that_fits_nothing_is_refused_before_training():
    world = contract.grown(contract.make("probe"), 0)
    strategy = contract.make("conure", layers={"encoder.block.*": 0.5})
    with pytest.raises(ConfigError, match=r"'encoder.block.\*' fits no weight; they are called encoder.blocks"):
        next(strategy.grow(world.site(world.views[0]), "task"))


@pytest.mark.parametrize(
    ("options", "labels"),
    [({}, ["train", "retrain"]), ({"retrain": 0.0}, ["train"]), ({"keep": 1.0}, ["train"])],
)
def test_there_is_a_retraining_where_something_was_released_and_it_is_wanted(options, labels):
    assert _phases(contract.World(), None, **options)[0] == labels


@pytest.mark.parametrize("retrain", [0.0, 0.5])
def test_what_is_released_is_free_and_zero_retrained_or_not(retrain):
    contract.check_owners(contract.make("conure", min_share=0.0, retrain=retrain))


def test_a_plan_gives_equal_parts_and_then_the_reserve_compounds():
    plan = {"expected_tasks": 4, "reserve": 0.2}
    world = contract.World()
    for number in range(6):
        parent = world.views[-1] if number else None
        strategy = contract.make("conure", min_share=0.0, keep=0.5, plan=plan)
        world.grow(strategy, parent, 0 if parent else contract.ROWS - 1, train=False)
    shares = world.bank.shares()
    for owner, share in ((1, 0.2), (2, 0.2), (3, 0.2), (4, 0.2), (5, 0.1), (6, 0.05), (FREE, 0.05)):
        assert shares[owner] == pytest.approx(share, abs=0.01)


def test_a_plan_counts_tasks_that_own_weights_alone():
    world = contract.grown(contract.make("probe"), 3)  # the root owns 0.4
    _, site = _phases(world, world.views[0], plan={"expected_tasks": 3, "reserve": 0.2})
    assert site.bank.shares()[5] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("free", "owners"), [(0.05, 2), (0.5, 4), (0.5, 9)])
def test_a_plan_that_is_used_up_says_so(free, owners):
    assert Plan(expected_tasks=4, reserve=0.1).keep(free, owners) is None


def test_a_random_start_isolates_but_is_not_its_parent():
    strategy = contract.make("conure", min_share=0.0, start="random")
    contract.check_isolation(strategy)
    contract.check_owners(strategy)
    world = contract.grown(strategy, 0)
    before = world.states(world.views[0])
    child = world.grow(strategy, world.views[0], train=False)
    assert not torch.equal(world.states(child), before)
    assert torch.equal(world.states(world.views[0]), before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": 0.0},
        {"layers": {"*": 1.5}},
        {"start": "dense"},
        {"release": "half"},
        {"rows": 0.0},
        {"retrain": -1.0},
        {"min_share": 1.0},
        {"plan": {"expected_tasks": 0}},
        {"plan": {"reserve": 0.1}},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(Conure.Config, wrong, "strategy conure")


def _line(**options):
    """A root that leaves its values behind and releases a third of its rows, in a world of its own."""
    world = contract.World()
    root = world.grow(contract.make("conure", min_share=0.0, **options), None, contract.ROWS - 1)
    return world, root


def test_what_is_kept_of_released_weights_is_what_they_were(monkeypatch):
    before = {}
    release = Site.release_smallest

    def noted(site, view, keep, left=None):
        before.update({name: value.clone() for name, value in site.bank.values.items()})
        return release(site, view, keep, left)

    monkeypatch.setattr(Site, "release_smallest", noted)
    world, root = _line(release="keep", keep=0.25)
    for name in world.bank.prunable:
        owned = world.bank.owners[name] == 1
        assert not world.bank.values[name][~owned].any()
        assert torch.equal(root.private[LEFT + name], torch.where(owned, 0.0, before[name]))


def test_a_child_can_start_from_what_was_left():
    world, root = _line(release="keep")
    site = world.site(root)
    next(contract.make("conure", min_share=0.0, start="left").grow(site, "task"))
    for name in world.bank.prunable:
        mine = site.claims[name]
        assert torch.equal(site.bank.values[name][mine], root.private[LEFT + name][mine])
        assert bool(site.bank.values[name][mine].any())


def test_the_nearest_that_left_something_counts():
    world, root = _line(release="keep")
    child = world.grow(contract.make("conure", min_share=0.0, release="keep"), root)
    grandchild = world.site(child)
    next(contract.make("conure", min_share=0.0, start="left").grow(grandchild, "task"))
    sibling = world.site(root)
    next(contract.make("conure", min_share=0.0, start="left").grow(sibling, "task"))
    for name in world.bank.prunable:
        free = grandchild.claims[name]
        assert torch.equal(grandchild.bank.values[name][free], child.private[LEFT + name][free])
        assert torch.equal(sibling.bank.values[name][free], root.private[LEFT + name][free])


@pytest.mark.parametrize("options", [{"release": "keep", "start": "left"}, {"rows": 0.5}])
def test_leaving_and_releasing_rows_isolate(options):
    strategy = contract.make("conure", min_share=0.0, **options)
    contract.check_isolation(contract.make("conure", min_share=0.0, **{**options, "start": "zero"}))
    contract.check_owners(contract.make("conure", min_share=0.0, **{**options, "start": "zero"}))
    world, root = _line(**{**options, "start": "zero"})
    before = world.states(root), world.fingerprint(root)
    world.grow(strategy, root)
    assert torch.equal(world.states(root), before[0])
    assert world.fingerprint(root) == before[1]


def test_nothing_left_is_said():
    world, root = _line()
    with pytest.raises(ConfigError, match="release: keep"):
        next(contract.make("conure", start="left", min_share=0.0).grow(world.site(root), "task"))


def test_the_longest_rows_are_kept_and_the_others_are_the_next_tasks():
    world, root = _line(rows=0.5)
    owners = world.bank.owners[ITEM_TABLE]
    kept = round(0.5 * (contract.ROWS - 1))
    assert int((owners[1:] == 1).sum()) == kept
    assert int(owners[0]) == 1, "the padding row is the root's"
    assert not world.bank.values[ITEM_TABLE][owners == FREE].any()
    before = world.states(root)
    untrained = world.grow(contract.make("conure", min_share=0.0, rows=0.5), root, new_rows=2, train=False)
    assert torch.equal(world.states(root), before)
    mine = (world.bank.owners[ITEM_TABLE] == untrained.owner).nonzero().flatten()
    assert len(mine) == round(0.5 * (contract.ROWS - 1 - kept + 2))
    assert {contract.ROWS, contract.ROWS + 1} <= set(mine.tolist())  # fresh rows are longer than zero


def test_claimed_rows_start_at_zero_and_learn():
    world, root = _line(rows=0.5)
    before = world.states(root)
    copied = copy.deepcopy(world)
    child = copied.grow(contract.make("conure", min_share=0.0), root, train=False)
    assert torch.equal(copied.states(child), before)
    child = world.grow(contract.make("conure", min_share=0.0), root)
    owners, values = world.bank.owners[ITEM_TABLE], world.bank.values[ITEM_TABLE]
    assert not (owners == FREE).any()
    assert bool(values[owners == child.owner].any(dim=1).all())
    assert torch.equal(world.states(root), before)


def test_sparse_gradients_stay_with_the_claimed_rows():
    world, root = _line(rows=0.5)
    site = world.site(root)
    view = next(contract.make("conure", min_share=0.0).grow(site, "task")).view
    overlay = Overlay(site.bank, view, site.claims, world.names, sparse=frozenset({ITEM_TABLE}))
    theta = overlay.theta[ITEM_TABLE]
    rows = torch.arange(contract.ROWS)
    ones = torch.ones(contract.ROWS, contract.WIDTH)
    theta.grad = torch.sparse_coo_tensor(rows[None], ones, theta.shape, check_invariants=True)
    overlay.keep_to_claims()
    assert theta.grad.coalesce().indices()[0].tolist() == site.claims[ITEM_TABLE].nonzero().flatten().tolist()


class Grasping(Conure):
    """Trains all rows where it claimed a few."""

    def grow(self, site, task):
        phases = super().grow(site, task)
        phase = next(phases)
        site.claims[ITEM_TABLE] = torch.ones_like(site.claims[ITEM_TABLE])
        yield phase
        return (yield from phases)


def test_a_grasping_one_is_caught():
    world, root = _line(rows=0.5)
    before = world.fingerprint(root)
    world.grow(Grasping(Conure.Config(min_share=0.0)), root)
    assert world.fingerprint(root) != before


@pytest.mark.parametrize("options", [{"release": "keep"}, {"rows": 0.6}])
def test_what_is_left_and_whose_rows_are_whose_is_read_again(tmp_path, monkeypatch, options):
    monkeypatch.setattr("lifelong.keeping.committing.check_candidate", lambda store, body, before: {})
    data = {"name": "synthetic", "users": 60, "items": 24, "events_per_user": 10}
    first = {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 8, "blocks": 1},
        "length": 6,
        "head": "next_item",
        "data": {"dataset": data, "inputs": {"domain": "domain_0"}},
        "strategy": {"name": "conure", **options},
        "fit": {"epochs": 1},
    }
    wider = {"inputs": {"domain": ["domain_0", "domain_1"]}, "targets": {"domain": "domain_1"}, "dataset": data}
    model = LivingModel.pretrain(tmp_path / "m", first, cache=tmp_path)
    child = {"name": "conure", "start": "left", **options} if "release" in options else "conure"
    model.add_task({"name": "more", "head": "next_item", "data": wider, "strategy": child, "fit": {"epochs": 1}})
    opened = LivingModel.open(tmp_path / "m", cache=tmp_path)
    for name, owners in model.bank.owners.items():
        assert torch.equal(owners, opened.bank.owners[name]), name
        assert torch.equal(model.bank.values[name], opened.bank.values[name]), name
    for name in model.members:
        private = model.members[name].view.private
        assert private.keys() == opened.members[name].view.private.keys()
        assert all(torch.equal(value, opened.members[name].view.private[key]) for key, value in private.items())
    if "rows" in options:
        table = model.bank.owners[ITEM_TABLE]
        assert set(table.tolist()) == {1, 2}
        assert bool((table[: model.members["more"].first_row] == 2).any()), "released rows were claimed"


class Greedy(Conure):
    """Takes what earlier tasks own as well."""

    def grow(self, site, task):
        for name in site.bank.prunable:
            site.bank.owners[name].fill_(FREE)
        return (yield from super().grow(site, task))


@pytest.mark.parametrize("check", [contract.check_isolation, contract.check_owners])
def test_a_greedy_one_is_caught(check):
    with pytest.raises(AssertionError):
        check(Greedy(Conure.Config(min_share=0.0)))
