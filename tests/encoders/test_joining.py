"""The two halves of a user vector: their distances stay, standardising no longer lifts the state, no bit depends on others."""

import numpy as np
import pytest
import torch

from lifelong.encoders.layers.joining import Joining, turn
from lifelong.encoders.layers.longterm import LongTerm

WIDTHS = (1, 2, 3, 24, 128, 192, 224)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_turn_keeps_distances(width):
    product = turn(width).double() @ turn(width).double().T
    assert torch.allclose(product, torch.eye(width, dtype=torch.float64), atol=1e-6)


@pytest.fixture
def halves():
    random = torch.Generator().manual_seed(0)
    states = torch.nn.functional.normalize(torch.randn(300, 64, generator=random), dim=1)
    return 40 * states, torch.randn(300, 128, generator=random)


def _standardised(vectors):
    return (vectors - vectors.mean(0)) / vectors.std(0)


def _share_of_state(vectors_ND, states, longterm):
    """How much of the squared distances between users the state decides, by a regression on both halves' own."""
    pairs = np.triu_indices(len(vectors_ND), 1)

    def squared(some):
        return (torch.cdist(some.double(), some.double()) ** 2).numpy()[pairs]

    parts = np.stack([squared(_standardised(states)), squared(_standardised(longterm)), np.ones(len(pairs[0]))], 1)
    found = np.linalg.lstsq(parts, squared(_standardised(vectors_ND)), rcond=None)[0]
    return found[0] / (found[0] + found[1])


def test_standardising_does_not_lift_the_state(halves):
    joined = Joining(64, 128, 0.3)(*halves)
    assert _share_of_state(joined, *halves) == pytest.approx(0.09 / 1.09, abs=0.03)
    beside = torch.cat(halves, 1)
    assert _share_of_state(beside, *halves) == pytest.approx(0.5, abs=0.02), "without the turn both count alike"


def test_the_scale_of_the_encoder_does_not_matter(halves):
    joining = Joining(64, 128, 0.3)
    assert torch.allclose(joining(*halves), joining(halves[0] / 1000, halves[1]), atol=1e-5)


def test_nobody_without_events_has_a_direction():
    assert torch.equal(Joining(4, 8, 0.3)(torch.zeros(2, 4), torch.zeros(2, 8)), torch.zeros(2, 12))


def test_nothing_of_it_is_stored():
    joining = Joining(4, 8, 0.3)
    assert not joining.state_dict()
    assert not list(joining.parameters())


@pytest.mark.parametrize("share", [0.0, -1.0, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=f"state is {share}"):
        LongTerm.Config(state=share)
