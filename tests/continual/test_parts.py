"""Every part in the tree keeps the contract, alone and in the slots of every encoder; AdapterRec's faults are caught."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lifelong.continual.parts.compacter import Compacter, kronecker
from lifelong.continual.parts.houlsby import Houlsby
from lifelong.continual.parts.lora import LoRA
from lifelong.continual.parts.pfeiffer import Pfeiffer
from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.core.slot import Map, Opening, Slot
from lifelong.encoders.layers.convolution import CausalConv, CentredConv
from lifelong.testing import encoders as encoder_contract
from lifelong.testing import parts as contract

PARTS = {
    **{name: (name, {}) for name in registry.names("parts")},
    "parallel houlsby": ("houlsby", {"form": "parallel", "bend": "gelu"}),
    "parallel patch": ("patch", {"form": "parallel", "share": 2}),
    "wide lora": ("lora", {"rank": 12, "alpha": 1.0}),
    "narrow compacter": ("compacter", {"n": 2, "share": 8}),
}
IN_ENCODERS = ("houlsby", "parallel houlsby", "pfeiffer", "lora", "compacter")
CHECKS = (
    encoder_contract.check_causality,
    encoder_contract.check_hidden,
    encoder_contract.check_pads_are_ignored,
    encoder_contract.check_neighbours,
    encoder_contract.check_functional_call,
)
SMALL = {
    "nextitnet": {"dilations": (1, 3)},
    "grec": {"dilations": (1, 3)},
    "sasrec": {"blocks": 1},
    "bert4rec": {"blocks": 1},
}


@pytest.mark.parametrize("check", contract.PART_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("part", PARTS)
def test_contract(part, check):
    name, options = PARTS[part]
    if name == "mask" and check is contract.check_numbers:
        return  # its gates are shut or open in answers; test_teracon.py sees it train
    check(contract.named(name, **options))


@pytest.mark.parametrize("part", IN_ENCODERS)
@pytest.mark.parametrize("encoder", registry.names("encoders"))
def test_in_the_slots_of_every_encoder(encoder, part):
    cls = registry.find("encoders", encoder)
    name, options = PARTS[part]
    bare = lambda width, length: cls(cls.Config(width=width, **SMALL.get(encoder, {})), length)  # noqa: E731
    for check in CHECKS:
        check(contract.furnished(bare, contract.named(name, **options)))


class Twice(Houlsby):
    """Fault D3: the wrapper adds the input of a parallel adapter that has added it already."""

    def forward(self, states_BLD, source_BLS=None):
        return super().forward(states_BLD, source_BLS) + (0.0 if source_BLS is None else source_BLS)


class Bare(Compacter):
    """Fault D4: no skip inside."""

    def forward(self, states_BLD, source_BLS=None):
        return super().forward(states_BLD) - states_BLD


class FreshBase(LoRA):
    """Fault D2: the pretrained map is replaced by a random one, which stays frozen."""

    def __init__(self, config, width, source_width=None):
        super().__init__(config, width, source_width)
        self.base = nn.Linear(source_width or width, width).requires_grad_(False)

    def forward(self, states_BLD, source_BLS=None):
        return super().forward(self.base(source_BLS), source_BLS)


class Attending(Houlsby):
    """Fault D5: looks at all positions without a mask."""

    def forward(self, states_BLD, source_BLS=None):
        return states_BLD + self.up(self.down(states_BLD)).mean(dim=1, keepdim=True)


class Tanh(Houlsby):
    """Bends by a function whose last bits depend on the number of threads."""

    def correction(self, seen_BLD):
        return self.up(F.gelu(self.down(seen_BLD), approximate="tanh"))


class Dead(Houlsby):
    """Has numbers that nothing uses."""

    def __init__(self, config, width):
        super().__init__(config, width)
        self.idle = nn.Parameter(torch.zeros(3))


class Forgetful(Houlsby):
    """Does not say all of its options."""

    def spec(self):
        return {"name": "houlsby", "share": self.config.share}


def making(cls, **options):
    return lambda opening: cls.fitting(cls.Config(**options), opening)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (making(Twice, form="parallel"), contract.check_identity),
        (making(Bare), contract.check_identity),
        (making(FreshBase), contract.check_identity),
        (making(Attending), contract.check_positions),
        (making(Tanh, share=1), contract.check_threads),
        (making(Dead), contract.check_numbers),
        (making(Forgetful, bend="gelu"), contract.check_spec),
    ],
)
def test_a_broken_part_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(broken)


def test_houlsby_by_hand():
    part = Houlsby(Houlsby.Config(share=2, form="parallel"), 2)
    with torch.no_grad():
        part.down.weight.copy_(torch.tensor([[1.0, 1.0]]))
        part.up.weight.copy_(torch.tensor([[2.0], [0.0]]))
        part.up.bias.copy_(torch.tensor([0.0, 0.5]))
    slot = Slot(2)
    slot.part = part
    out = slot(torch.tensor([[[10.0, 10.0], [1.0, 1.0]]]), torch.tensor([[[-20.0, 50.0], [-3.0, 1.0]]]))
    assert out.tolist() == [[[70.0, 10.5], [1.0, 1.5]]]  # 30 through the bend; -2 is cut off


def test_pfeiffer_by_hand():
    part = Pfeiffer(Pfeiffer.Config(share=2), 2)
    with torch.no_grad():
        part.down.weight.copy_(torch.tensor([[1.0, 0.0]]))
        part.up.weight.copy_(torch.tensor([[0.5], [0.25]]))
    out = part(torch.tensor([[[7.0, 3.0]]]))  # normed: 1 and -1
    assert out.flatten().tolist() == pytest.approx([7.5, 3.25], abs=1e-4)


def test_compacter_by_hand():
    rule = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 0.0]]])
    s, t = torch.tensor([[1.0], [10.0]]), torch.tensor([[1.0, -1.0], [1.0, 0.0]])
    by_hand = [[1.0, -1.0, 12.0, -2.0], [3.0, -3.0, 4.0, -4.0]]
    assert kronecker(rule, s, t).tolist() == by_hand
    assert torch.equal(kronecker(rule, s, t), sum(torch.kron(rule[i], s[i, :, None] * t[i]) for i in range(2)))


@pytest.mark.parametrize(
    ("name", "options", "numbers"),
    [
        ("houlsby", {}, 2 * 64 * 16 + 16 + 64),
        ("pfeiffer", {}, 2 * 64 * 16 + 16 + 64 + 2 * 64),
        ("compacter", {}, 4**3 + 2 * (64 + 16) + 16 + 64),
        ("lora", {}, 4 * (64 + 64)),
    ],
)
def test_what_a_part_stores(name, options, numbers):
    make = contract.named(name, **options)
    kind = "map" if name == "lora" else "sublayer"
    assert make(Opening(kind, 64, 64)).numbers == numbers


def used_lora(width, source_width):
    lora = LoRA(LoRA.Config(rank=3, alpha=6.0), width, source_width)
    nn.init.normal_(lora.up.weight)
    return lora


@pytest.mark.parametrize("bias", [True, False])
def test_lora_merged_is_lora_beside(bias):
    torch.manual_seed(0)
    own = Map(6, 10, bias)
    merged = Map(6, 10, bias)
    own.slot.part = used_lora(10, 6)
    merged.load_state_dict({n: v for n, v in own.state_dict().items() if ".part." not in n})
    with torch.no_grad():
        merged.weight.copy_(own.slot.part.merged(own.weight))
        states = torch.randn(3, 4, 6)
        assert not torch.allclose(own(states), F.linear(states, own.weight, own.bias), atol=1e-2)
        assert torch.allclose(own(states), merged(states), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("conv", [CausalConv, CentredConv])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 4), (4, 2), (2, 3)])
def test_lora_merged_into_a_convolution(conv, kernel, dilation):
    torch.manual_seed(0)
    own, merged = (conv(6, kernel, dilation, True) for _ in range(2))
    merged.load_state_dict(own.state_dict())
    own.slot.part = used_lora(6, 6 * kernel)
    with torch.no_grad():
        merged.weight.copy_(own.slot.part.merged(own.weight))
        states = torch.randn(3, 9, 6)
        assert torch.allclose(own(states), merged(states), rtol=1e-5, atol=1e-5)


def test_a_map_around_a_layer_shares_its_weights():
    layer = nn.Linear(3, 5).eval()
    made = Map.around(layer)
    states = torch.randn(2, 4, 3)
    assert made.weight is layer.weight
    assert torch.equal(made(states), layer(states))
    assert list(made.state_dict()) == ["weight", "bias"]
    assert not made.training
    assert made.slot.opening == Opening("map", 5, 3)


@pytest.mark.parametrize(("name", "opening"), [("lora", Opening("sublayer", 8, 8)), ("houlsby", Opening("map", 8, 8))])
def test_a_part_in_the_wrong_sort_of_slot_is_refused(name, opening):
    with pytest.raises(ConfigError, match="stands behind"):
        contract.named(name)(opening)


def test_a_compacter_that_does_not_divide_the_width_is_refused():
    with pytest.raises(ConfigError, match="divisors"):
        contract.named("compacter")(Opening("sublayer", 10, 10))


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (Houlsby, {"share": 0}),
        (Houlsby, {"form": "beside"}),
        (Houlsby, {"bend": "tanh"}),
        (LoRA, {"rank": 0}),
        (LoRA, {"alpha": 0.0}),
        (Compacter, {"n": 0}),
        (Compacter, {"share": 0}),
    ],
)
def test_wrong_options_are_refused(cls, wrong):
    with pytest.raises(ConfigError):
        build(cls.Config, wrong, "part")
