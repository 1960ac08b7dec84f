"""Every strategy in the tree keeps the contract; strategies that break it are caught by the check meant for it."""

import pytest
import torch

from lifelong.continual.bank import FREE
from lifelong.continual.overlay import Overlay
from lifelong.continual.phase import Phase
from lifelong.continual.strategies.base import Strategy
from lifelong.continual.strategies.conure import Conure
from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.testing import strategies as contract


@pytest.mark.parametrize("check", contract.STRATEGY_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", registry.names("strategies"))
def test_contract(name, check):
    options = {"min_share": 0.0} if name == "conure" else {}
    check(contract.make(name, **options))


@pytest.mark.parametrize("encoder", registry.names("encoders"))
def test_isolation_on_every_encoder(encoder):
    contract.check_isolation(contract.make("conure", min_share=0.0), encoder)


class Thief(Strategy):
    """Claims weights that another task owns."""

    isolates = True

    def grow(self, site, task):
        view = site.claim_free()
        for name in site.bank.prunable:
            site.claims[name] = torch.ones_like(site.claims.get(name, site.bank.owners[name]), dtype=torch.bool)
        yield Phase(view=view, label="train")
        return view


class InPlace(Conure):
    """Writes into the parent's private norms."""

    def grow(self, site, task):
        view = yield from super().grow(site, task)
        for value in site.parent.private.values():
            value += 1
        return view


class Mislabelled(Strategy):
    """Says that it changes earlier tasks, and does not."""

    isolates = False

    def grow(self, site, task):
        view = site.read_only()
        yield Phase(view=view, label="train")
        return view


class Careless(Conure):
    """Gives weights back without zeroing them."""

    def grow(self, site, task):
        view = yield from super().grow(site, task)
        name = site.bank.prunable[0]
        site.bank.values[name] = torch.where(site.bank.owners[name] == FREE, torch.ones(()), site.bank.values[name])
        return view


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Thief, contract.check_isolation),
        (InPlace, contract.check_isolation),
        (Mislabelled, contract.check_isolation),
        (Careless, contract.check_owners),
    ],
)
def test_a_broken_strategy_is_caught(broken, check):
    config = Conure.Config(min_share=0.0) if issubclass(broken, Conure) else broken.Config()
    with pytest.raises(AssertionError):
        check(broken(config))


def test_the_bank_is_never_a_parameter():
    world = contract.World()
    site = world.site(None, 4)
    view = site.claim_free()
    overlay = Overlay(site.bank, view, site.claims, world.names)
    trained = {p.data_ptr() for p in overlay.theta.values()}
    assert not trained & {v.data_ptr() for v in site.bank.values.values()}
    assert not any(v.requires_grad for v in site.bank.values.values())


def test_equal_tensors_are_one_tensor():
    world = contract.grown(contract.make("probe"), 2)
    first, second = (contract.render(world.bank, v, world.names) for v in world.views[1:3])
    assert all(first[name] is second[name] for name in world.names)


def test_a_row_block_belongs_to_the_task_that_brought_it():
    world = contract.grown(contract.make("conure", min_share=0.0), 0)
    view = world.grow(contract.make("probe"), world.views[0], new_rows=3)
    owners = world.bank.owners["items.weight"]
    assert owners.tolist() == [1] * contract.ROWS + [2] * 3
    assert view.rows == contract.ROWS + 3
    assert len(contract.render(world.bank, world.views[0], ["items.weight"])["items.weight"]) == contract.ROWS


@pytest.mark.parametrize(("name", "new_rows"), [("conure", 0), ("sequential", 0), ("probe", 2)])
def test_nothing_shared_grows_on_a_private_copy(name, new_rows):
    world = contract.grown(contract.make("finetune"), 1)
    with pytest.raises(ConfigError, match="private copy"):
        world.grow(contract.make(name), world.views[-1], new_rows)


@pytest.mark.parametrize("name", ["finetune", "probe"])
def test_a_private_copy_can_be_a_parent(name):
    world = contract.grown(contract.make("finetune"), 1)
    child = world.grow(contract.make(name), world.views[-1], train=False)
    assert torch.equal(world.states(child), world.states(world.views[-2]))


def test_what_sits_in_the_slots_is_no_childs():
    world = contract.grown(contract.make("examples.patch_strategy:PatchStrategy"), 1)
    for name in ("conure", "probe", "finetune", "sequential"):
        with pytest.raises(ConfigError, match="parts in its slots"):
            world.grow(contract.make(name), world.views[-1])
