"""Every encoder in the tree keeps the contract; encoders that break it are caught by the check meant for it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lifelong.core import registry
from lifelong.core.slot import Map, Slot
from lifelong.encoders.base import Encoder, zero_pads
from lifelong.encoders.layers.cloze import Cloze
from lifelong.testing import encoders as contract

VARIANTS = {
    "post-norm nextitnet": ("nextitnet", {"block": "post", "final_norm": False, "dilations": (1, 3)}),
    "post-norm grec": ("grec", {"block": "post", "kernel": 4, "dilations": (1, 3)}),
    "bottleneck nextitnet": ("nextitnet", {"block": "bottleneck", "dilations": (1, 2, 4)}),
    "bottleneck grec": ("grec", {"block": "bottleneck", "dilations": (1, 2, 4)}),
    "two grus": ("gru4rec", {"layers": 2, "hidden": 1}),
    "four heads": ("hstu", {"layers": 1, "heads": 4}),
}


def maker(name, **options):
    cls = registry.find("encoders", name)
    return lambda width, length: cls(cls.Config(width=width, **options), length)


@pytest.mark.parametrize("check", contract.ENCODER_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", registry.names("encoders"))
def test_contract(name, check):
    check(maker(name))


@pytest.mark.parametrize("check", contract.ENCODER_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("variant", VARIANTS)
def test_contract_of_a_variant(variant, check):
    name, options = VARIANTS[variant]
    check(maker(name, **options))


class Mean(Encoder):
    """The mean of all events so far, through one linear layer: right, and small enough to break."""

    causal = True

    def __init__(self, config, length):
        super().__init__(config, length)
        self.linear = nn.Linear(self.width, self.width)
        self.slot = Slot(self.width)

    def mixed(self, vectors_BLD, valid_BL):
        real_BLD = zero_pads(vectors_BLD, valid_BL)
        return real_BLD.cumsum(1) / valid_BL.cumsum(1).clamp(min=1)[:, :, None] + real_BLD

    def forward(self, vectors_BLD, valid_BL):
        return zero_pads(self.slot(self.linear(self.mixed(vectors_BLD, valid_BL))), valid_BL)


class Whole(Cloze):
    """The mean of all events on both sides, and the event itself: right, and small enough to break."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.linear = nn.Linear(self.width, self.width)
        self.slot = Slot(self.width)

    def read(self, vectors_BPD, valid_BP):
        real_BPD = zero_pads(vectors_BPD, valid_BP)
        mean_B1D = real_BPD.sum(1, keepdim=True) / valid_BP.sum(1).clamp(min=1)[:, None, None]
        return self.slot(self.linear(mean_B1D + real_BPD))


@pytest.mark.parametrize("sound", [Mean, Whole])
def test_the_small_ones_are_sound(sound):
    contract.check_encoder(lambda width, length: sound(sound.Config(width=width), length))


class Future(Mean):
    """Sees one event ahead."""

    def mixed(self, vectors_BLD, valid_BL):
        return super().mixed(vectors_BLD, valid_BL) + vectors_BLD.roll(-1, dims=1).masked_fill(~valid_BL[..., None], 0)


class Positioned(Mean):
    """Knows how much padding stands before an event."""

    def mixed(self, vectors_BLD, valid_BL):
        return super().mixed(vectors_BLD, valid_BL) + torch.arange(valid_BL.shape[1])[:, None] / 10


class Unclean(Mean):
    """Leaves the bias at padded positions."""

    def forward(self, vectors_BLD, valid_BL):
        return self.slot(self.linear(self.mixed(vectors_BLD, valid_BL)))


class Product(Mean):
    """Multiplies pads away: NaN times 0 is NaN."""

    def mixed(self, vectors_BLD, valid_BL):
        return (vectors_BLD * valid_BL[:, :, None]).cumsum(1)


class Crowd(Mean):
    """Relative to the other users of the batch."""

    def mixed(self, vectors_BLD, valid_BL):
        own_BLD = super().mixed(vectors_BLD, valid_BL)
        return own_BLD - own_BLD.mean(dim=0)


class Row(Mean):
    """Knows the user's row in the batch."""

    def mixed(self, vectors_BLD, valid_BL):
        return super().mixed(vectors_BLD, valid_BL) + torch.arange(len(valid_BL))[:, None, None] / 10


class Closed(Mean):
    """Has a slot whose content reaches nothing."""

    def forward(self, vectors_BLD, valid_BL):
        self.slot(vectors_BLD)
        return zero_pads(self.linear(self.mixed(vectors_BLD, valid_BL)), valid_BL)


class Boastful(Mean):
    """Has a slot that is narrower than it says."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.slot = Slot(self.width + 1)


class Misfed(Mean):
    """Hands a map's slot something else than what the map is given."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.linear = Map(self.width, self.width)

    def forward(self, vectors_BLD, valid_BL):
        mixed_BLD = self.mixed(vectors_BLD, valid_BL)
        moved_BLD = self.linear.slot(F.linear(mixed_BLD, self.linear.weight, self.linear.bias), vectors_BLD)
        return zero_pads(self.slot(moved_BLD), valid_BL)


class Idle(Mean):
    """Has a parameter that nothing uses."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.idle = nn.Parameter(torch.zeros(3))


class Large(Mean):
    """Takes a small difference of large products, of which bfloat16 keeps nothing."""

    def forward(self, vectors_BLD, valid_BL):
        far_BLD = F.linear(self.mixed(vectors_BLD, valid_BL), self.linear.weight + 1000, self.linear.bias)
        near_BLD = F.linear(self.mixed(vectors_BLD, valid_BL), torch.full_like(self.linear.weight, 1000))
        return zero_pads(self.slot(far_BLD - near_BLD), valid_BL)


class Double(Mean):
    """Computes in float64."""

    def forward(self, vectors_BLD, valid_BL):
        return super().forward(vectors_BLD, valid_BL).double()


class Flattened(Mean):
    """Holds weights in a list of its own, as nn.GRU does, which functional_call does not replace."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.kept = [self.linear.weight]

    def forward(self, vectors_BLD, valid_BL):
        moved_BLD = F.linear(self.mixed(vectors_BLD, valid_BL), self.kept[0] + 0 * self.linear.weight, self.linear.bias)
        return zero_pads(self.slot(moved_BLD), valid_BL)


class Deaf(Mean):
    """Says the same whatever happened."""

    def mixed(self, vectors_BLD, valid_BL):
        return torch.zeros_like(vectors_BLD)


class Drawn(Mean):
    """Draws from a generator of its own."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.generator = torch.Generator().manual_seed(0)

    def mixed(self, vectors_BLD, valid_BL):
        noise_BLD = torch.rand(vectors_BLD.shape, generator=self.generator)
        return super().mixed(vectors_BLD, valid_BL) + noise_BLD * self.training


class Threaded(Mean):
    """Uses torch's gelu in its tanh form, whose last bits depend on where one thread's share ends."""

    def forward(self, vectors_BLD, valid_BL):
        return zero_pads(F.gelu(super().forward(vectors_BLD, valid_BL), approximate="tanh"), valid_BL)


class Normed(Mean):
    """Has a BatchNorm."""

    def __init__(self, config, length):
        super().__init__(config, length)
        self.norm = nn.BatchNorm1d(self.width)


class Peeking(Whole):
    """Marks hidden events but leaves them readable."""

    def _with_question(self, vectors_BLD, valid_BL, hidden_BL):
        covered_BPD, valid_BP = super()._with_question(vectors_BLD, valid_BL, hidden_BL)
        return covered_BPD + 0.01 * F.pad(vectors_BLD, (0, 0, 0, 1)), valid_BP


class Told(Whole):
    """Hides the event to come only where it is told to."""

    def _with_question(self, vectors_BLD, valid_BL, hidden_BL):
        vectors_BPD, valid_BP = super()._with_question(vectors_BLD, valid_BL, hidden_BL)
        told_B = torch.ones_like(valid_BL[:, -1]) if hidden_BL is None else hidden_BL[:, -1]
        return vectors_BPD * (1 + told_B[:, None, None]), valid_BP


class OneSided(Whole):
    """Says that it sees both sides, and looks back only."""

    def read(self, vectors_BPD, valid_BP):
        return self.slot(self.linear(zero_pads(vectors_BPD, valid_BP).cumsum(1)))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Future, contract.check_causality),
        (Peeking, contract.check_hidden),
        (Told, contract.check_hidden),
        (OneSided, contract.check_hidden),
        (Positioned, contract.check_left_padding),
        (Unclean, contract.check_pads_are_zero),
        (Product, contract.check_pads_are_ignored),
        (Crowd, contract.check_neighbours),
        (Row, contract.check_place_in_batch),
        (Closed, contract.check_slots),
        (Boastful, contract.check_openings),
        (Misfed, contract.check_openings),
        (Idle, contract.check_gradients),
        (Large, contract.check_in_bfloat16),
        (Double, contract.check_shapes),
        (Flattened, contract.check_functional_call),
        (Deaf, contract.check_learning),
        (Drawn, contract.check_repeatable),
        (Threaded, contract.check_threads),
        (Normed, contract.check_no_batch_norm),
    ],
)
def test_a_broken_encoder_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(lambda width, length: broken(broken.Config(width=width), length))
