"""What the slots of every encoder must keep: open, harmless while empty, as wide as they say, and fed with what went in."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.testing.windows import Make, Ramp, Stretch, example, fill, same_bits, seasoned, slots_of, states_of

TOLERANCE = 1e-6


def check_slots(make: Make) -> None:
    """There is a slot behind a sublayer; one with an identity changes no bit; whatever else a slot holds reaches the states."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    before_BLD = states_of(encoder, vectors_BLD, valid_BL)
    slots = slots_of(encoder)
    sublayers = [name for name, slot in slots.items() if slot.opening.kind == "sublayer"]
    assert sublayers, "the encoder has no Slot behind a sublayer, so no task can insert anything"
    filled = fill(copy.deepcopy(encoder), nn.Identity)
    same_bits(before_BLD, states_of(filled, vectors_BLD, valid_BL), "an identity in the slots changes a state")
    for name in slots:
        filled = copy.deepcopy(encoder)
        fill(filled.get_submodule(name), Ramp if name in sublayers else Stretch)
        moved = (before_BLD - states_of(filled, vectors_BLD, valid_BL)).abs().max()
        assert moved > 100 * TOLERANCE, f"what is put into slot {name} does not reach the states"


def check_openings(make: Make) -> None:
    """Slots are as wide as they say, and hand over what went in, if anything; one behind a linear map that map's very input."""
    encoder = seasoned(make)
    fill(encoder, nn.Identity)
    given: dict[str, list[Tensor]] = {}
    for name, slot in slots_of(encoder).items():
        slot.register_forward_pre_hook(lambda _, args, n=name: given.update({n: [tensor.clone() for tensor in args]}))
    states_of(encoder, *example(encoder))
    for name, slot in slots_of(encoder).items():
        said, widths = slot.opening, [tensor.shape[2] for tensor in given[name]]
        assert widths == [said.width, said.source_width][: len(widths)], f"slot {name} is {widths} wide and says {said}"
        if said.kind == "map":
            assert len(widths) == 2, f"slot {name} is not given what its map is given"
            states, source = given[name]
            made = F.linear(source, *_map_behind(encoder.get_submodule(name.rpartition(".")[0])))
            same = torch.allclose(made, states, rtol=1e-4, atol=10 * TOLERANCE)
            assert same, f"slot {name} is given something else than its map"


def _map_behind(module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight (out, in) and bias of the module that holds a map's slot; a convolution's taps side by side."""
    weight = module.get_parameter("weight").detach()
    bias = getattr(module, "bias", None)
    return (weight.transpose(1, 2).flatten(1) if weight.dim() == 3 else weight), bias
