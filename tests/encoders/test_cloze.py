"""Encoders that see both sides: what is hidden, what is asked, and where the event to come stands."""

import pytest
import torch

from lifelong.core.errors import DataError
from lifelong.encoders.bert4rec import BERT4Rec
from lifelong.encoders.grec import GRec
from lifelong.encoders.layers.cloze import Cloze
from lifelong.encoders.layers.convolution import CausalConv, CentredConv


class Copy(Cloze):
    """Its states are what it reads."""

    def read(self, vectors_BPD, valid_BP):
        self.seen_BP = valid_BP
        return vectors_BPD


@pytest.fixture
def copy():
    encoder = Copy(Copy.Config(width=2), 3)
    with torch.no_grad():
        encoder.mask.fill_(-1.0)
    return encoder


VECTORS_BLD = torch.tensor([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
ALL_BL = torch.ones(1, 3, dtype=torch.bool)


def test_the_state_at_an_event_is_about_the_next_and_the_last_about_the_one_to_come(copy):
    assert copy(VECTORS_BLD, ALL_BL)[0, :, 0].tolist() == [2.0, 3.0, -1.0]


def test_a_hidden_event_is_the_mask_where_it_is_asked(copy):
    hidden_BL = torch.tensor([[False, True, False]])
    assert copy(VECTORS_BLD, ALL_BL, hidden_BL)[0, :, 0].tolist() == [2.0, -1.0, -1.0]


def test_padding_is_zero_and_who_has_no_event_has_none_to_come(copy):
    valid_BL = torch.tensor([[False, True, True], [False, False, False]])
    states_BLD = copy(VECTORS_BLD.expand(2, 3, 2), valid_BL)
    assert states_BLD[:, :, 0].tolist() == [[0.0, 3.0, -1.0], [0.0, 0.0, 0.0]]
    assert copy.seen_BP.tolist() == [[False, True, True, True], [False] * 4]


@pytest.mark.parametrize("cls", [BERT4Rec, GRec])
def test_the_mask_is_a_tasks_own_vector_and_no_item(cls):
    encoder = cls(cls.Config(width=8), 6)
    assert dict(encoder.named_parameters())["mask"].shape == (8,)
    assert not encoder.causal


@pytest.mark.parametrize("cls", [BERT4Rec, GRec])
def test_a_window_that_is_too_long_is_refused(cls):
    with pytest.raises(DataError, match="7 events"):
        cls(cls.Config(width=8), 6)(torch.zeros(1, 7, 8), torch.ones(1, 7, dtype=torch.bool))


def test_bert4rec_counts_back_from_the_event_to_come():
    encoder = BERT4Rec(BERT4Rec.Config(width=8), 6).eval()
    vectors_BLD = torch.randn(1, 4, 8)
    valid_BL = torch.ones(1, 4, dtype=torch.bool)
    before_BLD = encoder(vectors_BLD, valid_BL)
    with torch.no_grad():
        encoder.positions.weight[5:] += 1.0  # more than four events back: not reached
        assert torch.equal(before_BLD, encoder(vectors_BLD, valid_BL))
        encoder.positions.weight[4] += torch.arange(8.0)
        assert not torch.equal(before_BLD, encoder(vectors_BLD, valid_BL))


@pytest.mark.parametrize(
    ("conv", "kernel", "reached"),
    [(CausalConv, 3, [4, 6, 8]), (CentredConv, 3, [2, 4, 6]), (CentredConv, 2, [3, 5]), (CausalConv, 2, [4, 6])],
)
def test_what_a_convolution_reaches(conv, kernel, reached):
    layer = conv(1, kernel, dilation=2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    impulse_BLD = torch.zeros(1, 10, 1)
    impulse_BLD[0, 4] = 1.0
    assert layer(impulse_BLD).flatten().nonzero().flatten().tolist() == reached


def test_grec_sees_exactly_as_far_back_as_its_dilations_reach():
    encoder = GRec(GRec.Config(width=4, dilations=(1,)), 9).eval()  # dilated by 1 and by 2: three events each way
    vectors_BLD = torch.randn(1, 9, 4)
    valid_BL = torch.ones(1, 9, dtype=torch.bool)
    before_D = encoder(vectors_BLD, valid_BL)[0, -1]
    moved = []
    for place in range(9):
        other_BLD = vectors_BLD.clone()
        other_BLD[0, place] += torch.arange(4.0)
        moved.append(not torch.equal(encoder(other_BLD, valid_BL)[0, -1], before_D))
    assert moved == [False] * 6 + [True] * 3
