"""PeterRec: what is trained and stored, that it starts as its parent, on every encoder and in both forms."""

import pytest
import torch
from torch import nn

from lifelong.continual.parts.patch import Patch
from lifelong.continual.strategies.peterrec import PeterRec
from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.core.fingerprint import tensors_hash
from lifelong.core.slot import Slot
from lifelong.testing import strategies as contract

FORMS = ("serial", "parallel")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoder", registry.names("encoders"))
def test_every_encoder_takes_both_forms(encoder, form):
    world = contract.World(encoder)
    root = world.grow(contract.make("conure", keep=0.4, min_share=0.0), None, contract.ROWS - 1)
    before = world.states(root)
    child = world.grow(contract.make("peterrec", form=form), root, train=False)
    assert torch.equal(world.states(child), before)
    trained = world.grow(contract.make("peterrec", form=form), root)
    assert not torch.equal(world.states(trained), before)
    assert torch.equal(world.states(root), before)


def _grown(**options):
    world = contract.grown(contract.make("peterrec", **options), 1, "nextitnet")
    return world, world.views[1]


def test_it_owns_nothing_of_the_bank_and_leaves_its_bytes():
    world = contract.grown(contract.make("peterrec"), 0)
    values, free = tensors_hash(world.bank.values), world.bank.shares()
    world.grow(contract.make("peterrec"), world.views[0])
    assert tensors_hash(world.bank.values) == values
    assert world.bank.shares() == free


@pytest.mark.parametrize(("patches", "slots"), [(2, {"slot1", "slot2"}), (1, {"slot2"})])
def test_one_or_two_patches_a_block(patches, slots):
    _, view = _grown(patches=patches)
    assert {slot.rpartition(".")[2] for slot in view.parts} == slots
    assert len(view.parts) == 8 * patches


@pytest.mark.parametrize(("norms", "blocks"), [("second", {"6", "7"}), ("all", {"6", "7", "norm"})])
def test_the_top_blocks_alone(norms, blocks):
    world, view = _grown(top=2, norms=norms)
    assert {slot.split(".")[2] for slot in view.parts} == {"6", "7"}
    assert {name.split(".")[2 if ".blocks." in name else 1] for name in view.private} == blocks
    assert not torch.equal(world.states(view), world.states(world.views[0]))


def test_more_blocks_than_there_are_say_so():
    with pytest.raises(ConfigError, match="peterrec: top is 9, and the encoder's number of blocks is 8"):
        _grown(top=9)
    assert len(_grown(top=8)[1].parts) == 16


@pytest.mark.parametrize(
    ("norms", "homes"), [("none", set()), ("second", {"norm2"}), ("all", {"norm", "norm1", "norm2"})]
)
def test_private_norms(norms, homes):
    world, view = _grown(norms=norms)
    assert {name.split(".")[-2] for name in view.private} == homes
    for name, value in view.private.items():
        assert name.rpartition(".")[2] in ("weight", "bias")
        assert not torch.equal(value, world.views[0].private_value(name))


def test_what_a_task_stores_is_a_few_hundred_numbers_a_patch():
    width, bottleneck = 64, 16
    assert (
        sum(p.numel() for p in Patch(Patch.Config(), width).parameters()) == 2 * width * bottleneck + width + bottleneck
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_patch_by_hand(form):
    patch = Patch(Patch.Config(share=2, form=form), 2)
    with torch.no_grad():
        patch.down.weight.copy_(torch.tensor([[1.0, 1.0]]))
        patch.up.weight.copy_(torch.tensor([[2.0], [0.0]]))
        patch.up.bias.copy_(torch.tensor([0.0, 0.5]))
    slot = Slot(2)
    slot.part = patch
    out = slot(torch.tensor([[[10.0, 10.0]]]), torch.tensor([[[-20.0, 50.0]]]))
    seen = {"serial": 20.0, "parallel": 30.0}[form]  # gelu leaves a large number as it is
    assert torch.equal(out, torch.tensor([[[10.0 + 2 * seen, 10.5]]]))


def test_a_part_that_reads_one_thing_is_given_one():
    slot = Slot(2)
    slot.part = nn.Identity()
    states = torch.ones(1, 1, 2)
    assert slot(states, torch.zeros(1, 1, 2)) is states


def test_an_encoder_without_sources_refuses_a_parallel_patch():
    slot = Slot(4)
    slot.part = Patch(Patch.Config(form="parallel"), 4)
    with pytest.raises(ConfigError, match="use serial"):
        slot(torch.ones(1, 1, 4))


@pytest.mark.parametrize("wrong", [{"share": 0}, {"top": 0}, {"form": "beside"}, {"patches": 3}, {"norms": "first"}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(PeterRec.Config, wrong, "strategy peterrec")


class Rough(PeterRec):
    """Starts both maps of its patches at random values, as the papers' code does."""

    def grow(self, site, task):
        phases = super().grow(site, task)
        phase = next(phases)
        for part in phase.view.parts.values():
            nn.init.normal_(part.up.weight)
        yield phase
        return phase.view


class Borrowed(PeterRec):
    """Takes its parent's norms and not copies of them, and trains them in place."""

    def grow(self, site, task):
        phases = super().grow(site, task)
        phase = next(phases)
        yield phase
        for name, value in phase.view.private.items():
            site.parent.private[name].copy_(value)
        return phase.view


@pytest.mark.parametrize(("broken", "check"), [(Rough, contract.check_start), (Borrowed, contract.check_isolation)])
def test_a_broken_one_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(broken(PeterRec.Config()))
