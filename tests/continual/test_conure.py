"""Conure: the exact share, the largest kept, capacity planned or compounding, and what its options promise."""

import pytest
import torch

from lifelong.continual.bank import FREE
from lifelong.continual.strategies.conure import Conure, Plan
from lifelong.core.config import build
from lifelong.core.errors import CapacityError, ConfigError
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
        {"retrain": -1.0},
        {"min_share": 1.0},
        {"plan": {"expected_tasks": 0}},
        {"plan": {"reserve": 0.1}},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(Conure.Config, wrong, "strategy conure")


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
