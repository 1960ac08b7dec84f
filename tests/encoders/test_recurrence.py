"""The GRU written out for the CPU: torch's own answers and gradients, and weights that can be exchanged."""

import pytest
import torch
from torch.func import functional_call

from lifelong.encoders.gru4rec import GRU4Rec
from lifelong.encoders.layers.recurrence import Recurrence


@pytest.fixture
def recurrence():
    torch.manual_seed(0)
    return Recurrence(5, 7)


def of_torch(recurrence, inputs_BLD):
    start_1BH = inputs_BLD.new_zeros(1, len(inputs_BLD), 7)
    weights = [recurrence.input_weight, recurrence.hidden_weight]
    return torch.gru(inputs_BLD, start_1BH, weights, False, 1, 0.0, False, False, True)[0]


def test_answers_and_gradients_are_torchs(recurrence):
    inputs_BLD = torch.randn(4, 6, 5, requires_grad=True)
    leaves = [inputs_BLD, *recurrence.parameters()]
    upstream_BLH = torch.randn(4, 6, 7)
    ours_BLH, theirs_BLH = recurrence(inputs_BLD), of_torch(recurrence, inputs_BLD)
    torch.testing.assert_close(ours_BLH, theirs_BLH, atol=1e-6, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(states, leaves, upstream_BLH) for states in (ours_BLH, theirs_BLH))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-4)


def test_one_step_by_hand():
    recurrence = Recurrence(1, 1)
    with torch.no_grad():
        recurrence.input_weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        recurrence.hidden_weight.zero_()
    states_BLH = recurrence(torch.tensor([[[1.0], [0.0]]]))
    first = 0.5 * torch.tanh(torch.tensor(1.0))  # z = 1/2: half of n
    torch.testing.assert_close(states_BLH.flatten(), torch.stack([first, first / 2]))


def test_padding_before_the_events_stays_exactly_zero_and_moves_nothing(recurrence):
    inputs_BLD = torch.randn(4, 9, 5)
    inputs_BLD[:, :4] = 0.0
    states_BLH = recurrence(inputs_BLD)
    assert not states_BLH[:, :4].any()
    torch.testing.assert_close(states_BLH[:, 4:], recurrence(inputs_BLD[:, 4:]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("users", [2, 7, 16, 33])
def test_the_row_of_a_user_changes_no_bit(users, recurrence):
    inputs_BLD = torch.randn(users, 9, 5)
    rolled_BLH = recurrence(inputs_BLD.roll(1, dims=0))
    assert torch.equal(recurrence(inputs_BLD).roll(1, dims=0), rolled_BLH)


def test_weights_of_another_task_are_used_zeros_included():
    torch.manual_seed(0)
    encoder = GRU4Rec(GRU4Rec.Config(width=8, layers=2), 6).eval()
    other = {n: torch.where(torch.rand_like(p) < 0.5, p, 0.0).detach() for n, p in encoder.named_parameters()}
    window = torch.randn(3, 6, 8), torch.ones(3, 6, dtype=torch.bool)
    with torch.no_grad():
        called_BLD = functional_call(encoder, other, window)
        assert not torch.equal(called_BLD, encoder(*window))
        encoder.load_state_dict(other)
        assert torch.equal(called_BLD, encoder(*window))


def test_weights_are_matrices_and_only_norms_and_biases_are_a_tasks_own():
    encoder = GRU4Rec(GRU4Rec.Config(width=8), 6)
    shapes = {name: tuple(p.shape) for name, p in encoder.named_parameters()}
    assert shapes["layers.0.recurrence.input_weight"] == (48, 8)
    assert shapes["layers.0.recurrence.hidden_weight"] == (48, 16)
    assert sorted(n for n, shape in shapes.items() if len(shape) == 1) == [
        "layers.0.output.bias",
        "norm.bias",
        "norm.weight",
    ]


@pytest.mark.parametrize(("option", "value"), [("layers", 0), ("hidden", 0), ("dropout", 1.0), ("width", 0)])
def test_options_that_make_no_sense_are_named(option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        GRU4Rec.Config(**{option: value})
