"""HSTU's layer against its equations, and the activations whose bits do not depend on threads."""

import pytest
import torch
from torch.nn import functional as F

from lifelong.encoders.hstu import HSTU
from lifelong.encoders.layers.activation import GRAIN, sigmoid_, silu
from lifelong.encoders.layers.aggregation import Aggregation


def test_a_layer_is_its_equations():
    torch.manual_seed(0)
    layer = Aggregation(4, 1, 5, 0.0).eval()
    states_LD, expected = torch.randn(5, 4), []
    normed_LD = layer.norm(states_LD)
    gate_LD, value_LD, query_LD, key_LD = F.silu(layer.inputs(normed_LD)).split(4, dim=1)
    for place in range(5):
        weights = [F.silu(query_LD[place] @ key_LD[k] + layer.distance[place - k]) for k in range(place + 1)]
        total_D = sum(w * value_LD[k] for k, w in enumerate(weights))
        expected.append(states_LD[place] + layer.output(layer.sum_norm(total_D) * gate_LD[place]))
    place_L = torch.arange(5)
    back_LL = place_L[:, None] - place_L
    valid_BL = torch.ones(1, 5, dtype=torch.bool)
    made_BLD = layer(states_LD[None], valid_BL, (back_LL >= 0)[None, None], back_LL.clamp(min=0))
    torch.testing.assert_close(made_BLD[0], torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_a_layer_has_five_square_weights():
    encoder = HSTU(HSTU.Config(width=8, layers=1), 6)
    assert sum(p.numel() for p in encoder.parameters() if p.dim() > 1) == 5 * 8 * 8


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"width": 6, "heads": 4}, "make it a multiple"),
        ({"dropout": -0.1}, "dropout is"),
    ],
)
def test_options_that_make_no_sense_are_named(options, problem):
    with pytest.raises(ValueError, match=problem):
        HSTU.Config(**options)


def test_silu_and_its_gradient_are_torchs():
    values = torch.tensor([-200.0, -90.0, -3.0, -0.0, 0.5, 20.0, 200.0], requires_grad=True)
    ours, theirs = silu(values), F.silu(values)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.linspace(1.0, 2.0, 7)
    torch.testing.assert_close(*(torch.autograd.grad(made, values, upstream)[0] for made in (ours, theirs)))


@pytest.mark.parametrize("count", [100, GRAIN + 5])
def test_sigmoid_in_place(count):
    values = torch.linspace(-120.0, 120.0, count)
    torch.testing.assert_close(sigmoid_(values.clone()), torch.sigmoid(values), atol=1e-6, rtol=1e-5)


def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(0)
    values, threads, made = torch.randn(3 * GRAIN + 7), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            made.append((silu(values), sigmoid_(values.clone())))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in made[1:] for a, b in zip(made[0], other, strict=True))
