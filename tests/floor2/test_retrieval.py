"""Telling users apart by the halves of their histories: by hand, ties, users too short, blocks."""

import numpy as np
import pytest
import torch

from lifelong.asking import retrieval
from lifelong.asking.retrieval import _half, halves_ranked
from lifelong.data.sequences import Points, Sequences


def bags(history):
    """A user is how often each of his items occurs; the past where there is one."""
    rows = history.window_BL if history.past_BS is None else history.past_BS
    return torch.nn.functional.one_hot(rows, 20)[:, :, 1:].sum(dim=1).float()


def from_rows(histories):
    lengths = [len(history) for history in histories]
    return Sequences(np.concatenate(([0], np.cumsum(lengths))), np.concatenate(histories).astype(np.int32))


def ends(sequences, users):
    users_N = np.array(users)
    return Points(users_N, sequences.offsets_U1[users_N + 1], np.zeros(len(users), np.int64))


def ranked(histories, represent=bags, users=None, length=8, past=0):
    sequences = from_rows(histories)
    points = ends(sequences, range(len(histories)) if users is None else users)
    return halves_ranked(represent, sequences, points, length, past).ranks_N.tolist()


def test_users_of_their_own_items_are_found_at_once():
    assert ranked([[1, 1, 1], [2, 2], [3, 3, 3, 3]]) == [1, 1, 1]


def test_users_who_are_the_same_stand_in_each_others_way():
    assert ranked([[1, 1], [1, 1], [2, 2]]) == [2, 2, 1]


def test_by_hand():
    # halves (last, before): {2}|{1}, {1}|{2}, {3}|{1}
    assert ranked([[1, 2], [2, 1], [1, 3]]) == [3, 3, 3]


@pytest.mark.parametrize("value", [1.0, 0.0, float("nan")])
def test_vectors_that_are_all_the_same_rank_last(value):
    histories = [[1, 1], [2, 2], [3, 3]]
    assert ranked(histories, lambda history: torch.full((len(history), 4), value)) == [3, 3, 3]


def test_users_of_one_event_are_left_out_and_each_user_counts_once():
    assert ranked([[1], [2, 2], []]) == [1]
    assert ranked([[1, 1], [2, 2]], users=[0, 0, 1]) == [1, 1]


def test_a_history_is_read_up_to_the_users_last_point():
    sequences = from_rows([[1, 1, 9, 9], [9, 9, 1, 1]])
    points = Points(np.array([0, 0, 1]), np.array([1, 2, 6]), np.zeros(3, np.int64))
    assert halves_ranked(bags, sequences, points, 8, 0).ranks_N.tolist() == [1, 1]


def test_halves_share_no_event_and_keep_what_is_told_of_each():
    told = np.arange(10, 19)
    whole = Sequences(np.array([0, 5, 9]), np.arange(1, 10, dtype=np.int32), told, told + 1, told + 2)
    last, before = (_half(whole, np.array([0, 5]), np.array([5, 9]), odd) for odd in (False, True))
    assert (last.offsets_U1.tolist(), last.rows_E.tolist()) == ([0, 3, 5], [1, 3, 5, 7, 9])
    assert (before.offsets_U1.tolist(), before.rows_E.tolist()) == ([0, 2, 4], [2, 4, 6, 8])
    for half in (last, before):
        assert (half.actions_E - 9 == half.rows_E).all()
        assert (half.gaps_E - 10 == half.rows_E).all()
        assert (half.times_E - 11 == half.rows_E).all()


def test_window_and_past_are_cut_as_for_serving():
    history = [*([1] * 20), *([2] * 8)]
    other = [*([3] * 20), *([2] * 8)]
    assert ranked([history, other], length=2) == [2, 2]  # windows of the last two of each half look the same
    assert ranked([history, other], length=2, past=14) == [1, 1]


def test_at_most_so_many_are_told_apart_at_a_time(monkeypatch):
    monkeypatch.setattr(retrieval, "AMONG", 2)
    assert ranked([[1, 1], [1, 1], [1, 1], [2, 2], [1, 1]]) == [2, 2, 1, 1, 1]
