"""Counting peers by hand: what came after what, and how often one had it."""

import numpy as np
import pytest

from benchmarks.peers import counting
from benchmarks.protocol import Interactions

HISTORIES = ([1, 2, 3, 9, 9], [1, 2, 1, 9, 9], [4, 1, 9, 9])
"""The last two of each are validation and test, and nothing may count them."""


@pytest.fixture(scope="module")
def data():
    offsets = np.concatenate(([0], np.cumsum([len(items) for items in HISTORIES])))
    items = np.concatenate(HISTORIES)
    return Interactions("cj", offsets, items, np.arange(len(items)), 9)


def test_a_window_of_one_is_a_chain(data):
    score = counting.markov(data, window=1, decay=1.0, last=1, fade=1.0, power=0.0)
    found = score(np.array([1]), [np.array([4, 1])])[0]
    assert found[2] == pytest.approx(1.0, abs=1e-5)  # 1 is followed by 2 alone: twice
    assert found[9] == 0  # neither validation nor test events were counted


def test_farther_steps_count_less(data):
    score = counting.markov(data, window=2, decay=0.5, last=1, fade=1.0, power=0.0)
    found = score(np.array([1]), [np.array([1])])[0]
    # from 1: to 2 at distance one, twice; to 3 and to 1 at distance two, once each
    assert found[[1, 2, 3]] == pytest.approx(np.array([0.5, 2, 0.5]) / 3, abs=1e-5)


def test_own_frequency_fades(data):
    found = counting.frequency(data, half_life=1.0)(np.array([1]), [np.array([5, 6, 5])])[0]
    assert found[[5, 6]] == pytest.approx([1.25 / 1.75, 0.5 / 1.75], abs=1e-5)


def test_validation_chooses(data):
    grid = [{"half_life": h} for h in (1.0, 1e9)]
    best = counting.tuned(data, lambda half_life: counting.frequency(data, half_life), grid)
    assert best.options in grid
    shared = counting.blend(best.score, best.score, 0.3)
    asked = np.array([1]), [np.array([5])]
    assert shared(*asked) == pytest.approx(best.score(*asked))
