"""Batches: every point once an epoch, read from exactly what lies before it, the same again for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.data.feeds import EventFeed, LabelFeed, case_batches
from lifelong.data.negatives import NegativeSampler
from lifelong.data.sequences import Points, Sequences, event_points, gap_buckets, readable_events


def from_rows(histories):
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories])))
    return Sequences(offsets, np.concatenate(histories).astype(np.int32))


def world(lengths, vocabulary=50, seed=0):
    random = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    items = random.integers(0, vocabulary, offsets[-1]).astype(np.int32)
    return offsets, items


def every_event(lengths):
    offsets, items = world(lengths)
    sequences, before = readable_events(offsets, items + 1)
    points, _ = event_points(offsets, before, items, np.arange(50))
    return sequences, points.where(points.ends_N > sequences.offsets_U1[points.users_N])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(2, 9), st.integers(1, 5), st.integers(0, 9))
def test_every_point_once_and_from_what_lies_before_it(lengths, length, batch_size, epoch):
    sequences, points = every_event(lengths)
    feed = EventFeed(sequences, points, length, batch_size, seed=3)
    found = []
    for batch in feed.epoch(epoch):
        window = batch.history.window_BL.numpy()
        assert window.shape[1] <= length
        assert len(window) <= batch_size
        for row, position, target in zip(batch.rows_N, batch.positions_N, batch.targets_N, strict=True):
            context = window[row, : position + 1]
            found.append((tuple(context[context > 0]), int(target)))
    expected = []
    for user, end, target in zip(points.users_N, points.ends_N, points.targets_N, strict=True):
        expected.append((sequences.rows_E[sequences.offsets_U1[user] : end], int(target)))
    assert len(found) == len(expected)
    for context, target in found:  # each is the tail of a true prefix, never empty
        assert context
        assert any(t == target and tuple(e[-len(context) :]) == context for e, t in expected)
    assert sorted(t for _, t in found) == sorted(t for _, t in expected)


def test_other_users_never_get_into_a_window():
    offsets, _ = world([5, 7, 3])
    items = np.repeat([0, 1, 2], [5, 7, 3]).astype(np.int32)
    sequences, before = readable_events(offsets, items + 1)
    points, _ = event_points(offsets, before, items, np.arange(3))
    for feed in (EventFeed(sequences, points.where(points.ends_N > offsets[points.users_N]), 4, 2, 0),):
        for batch in feed.epoch(0):
            for window in batch.history.window_BL.numpy():
                assert len(set(window[window > 0])) == 1


def test_an_epoch_is_the_same_again_and_epochs_differ():
    sequences, points = every_event([20, 15, 30])
    feed = EventFeed(sequences, points, 6, 4, seed=1)
    first, again, other = ([b.history.window_BL.tolist() for b in feed.epoch(n)] for n in (0, 0, 1))
    assert first == again
    assert first != other


def test_unknown_items_are_as_if_they_were_not_there():
    offsets, items = np.array([0, 4, 6]), np.array([0, 9, 1, 9, 9, 9], np.int32)
    rows = np.where(np.arange(10) == 9, 0, np.arange(1, 11))
    sequences, before = readable_events(offsets, rows[items])
    assert sequences.rows_E.tolist() == [1, 2]
    assert sequences.offsets_U1.tolist() == [0, 2, 2]
    assert before.tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_targets_of_another_domain_read_only_what_came_before():
    offsets, items = np.array([0, 5]), np.array([0, 7, 1, 7, 2], np.int32)  # 7 is the other domain
    readable = np.where(np.arange(8) < 3, np.arange(1, 9), 0)
    sequences, before = readable_events(offsets, readable[items])
    points, events = event_points(offsets, before, items, np.where(np.arange(8) == 7, 0, -1))
    assert points.ends_N.tolist() == [1, 2]
    assert events.tolist() == [1, 3]
    batch = next(EventFeed(sequences, points, 5, 8, 0).epoch(0))
    assert batch.targets_N.tolist() == [0, 0]


def test_labels_read_windows_of_their_own_user_up_to_their_end():
    sequences = from_rows([np.full(n, n) for n in (3, 9, 20)])
    points = Points(np.arange(3), sequences.offsets_U1[1:] - np.array([0, 4, 0]), np.array([0, 1, 0]))
    for batch in LabelFeed(sequences, points, 5, 4, seed=0, windows_per_user=6).epoch(0):
        for window in batch.history.window_BL.numpy():
            assert window[-1] > 0
            assert len(set(window[window > 0])) == 1
            if window[-1] == 3:
                assert (window > 0).sum() <= 3


def test_cases_keep_their_order_and_read_the_latest_events():
    sequences = from_rows([np.array([1, 2, 3]), np.array([], int), np.array([4])])
    points = Points(np.array([0, 1, 2]), np.array([3, 3, 4]), np.array([7, 8, 9]))
    batch = next(case_batches(sequences, points, 2, 10))
    assert batch.history.window_BL.tolist() == [[2, 3], [0, 0], [0, 4]]
    assert batch.targets_N.tolist() == [7, 8, 9]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(2, 9), st.integers(1, 40))
def test_each_point_sees_its_own_past_and_nothing_after_it(lengths, length, past):
    offsets, items = world(lengths)
    times = np.arange(len(items)) * 10
    sequences, before = readable_events(offsets, items + 1, times_E=times)
    points, _ = event_points(offsets, before, items, np.arange(50))
    points = points.where(points.ends_N > sequences.offsets_U1[points.users_N])
    expected = sorted(
        (sequences.rows_E[max(sequences.offsets_U1[u], e - past) : e].tolist()[-3:], int(t))
        for u, e, t in zip(points.users_N, points.ends_N, points.targets_N, strict=True)
    )
    found = []
    for batch in EventFeed(sequences, points, length, 3, seed=3, past=past).epoch(0):
        seen = batch.seen
        assert seen.rows_BS.shape == seen.times_BS.shape == (len(batch.history), past)
        for row, target in zip(seen.rows_NS.numpy(), batch.targets_N, strict=True):
            found.append((row[row > 0].tolist()[-3:], int(target)))
    if past >= length + 2:  # the window is within the past
        assert sorted(found) == expected


def test_gaps_by_hand():
    assert gap_buckets(np.array([0, 3, 4, 4]), np.array([10, 10, 13, 99])).tolist() == [0, 1, 3, 0]
    assert gap_buckets(np.array([0, 2]), np.array([0, 2**40])).tolist() == [0, 30]
    assert gap_buckets(np.array([0, 0]), np.array([], np.int64)).tolist() == []


def test_gaps_and_kinds_stay_with_their_events():
    rows, times = np.array([3, 0, 4, 5]), np.array([0, 50, 100, 101])
    sequences, _ = readable_events(np.array([0, 4]), rows, np.array([1, 2, 2, 0], np.int8), times, gaps=True)
    points = Points(np.zeros(1, int), np.array([3]), np.zeros(1, int))
    history = next(case_batches(sequences, points, 5, 1, past=7)).history
    assert history.window_BL.tolist() == [[0, 0, 3, 4, 5]]
    assert history.actions_BL.tolist() == [[0, 0, 1, 2, 0]]
    assert history.gaps_BL.tolist() == [[0, 0, 0, 7, 2]]  # 100 seconds since the last event that is read
    assert history.past_BS.tolist() == [[0, 0, 0, 0, 3, 4, 5]]
    assert history.times_BS.tolist() == [[0, 0, 0, 0, 0, 100, 101]]


def test_negatives_come_as_often_as_they_say():
    sampler = NegativeSampler(np.array([100, 10, 0, 0]), count=200_000)
    negatives = sampler.draw(np.random.default_rng(0), np.zeros(1, np.int64))
    counted = np.bincount(negatives.index_K.numpy(), minlength=4)
    assert counted == pytest.approx(np.exp(sampler._log_expected_C.numpy()), rel=0.03)
    assert (sampler._log_expected_C[negatives.index_K] == negatives.log_expected_K).all()


def test_negatives_without_any_count_are_uniform():
    sampler = NegativeSampler(np.zeros(5), count=10)
    assert np.exp(sampler._log_expected_C.numpy()) == pytest.approx([2.0] * 5)


def test_no_events_at_all():
    assert len(Sequences(np.zeros(3, np.int64), np.empty(0, np.int32))) == 2


def widest(sequences, points, length, epoch):
    """User -> how many events the windows of an epoch show before each target of hers."""
    found = {}
    for batch in EventFeed(sequences, points, length, 2, seed=0).epoch(epoch):
        for row, position in zip(batch.rows_N.tolist(), batch.positions_N.tolist(), strict=True):
            window = batch.history.window_BL[row, : position + 1]
            found.setdefault(int(window[-1]), []).append(int((window > 0).sum()))
    return found


def test_targets_at_one_moment_are_read_from_the_window_that_they_are_tested_with():
    """Two targets behind a history of 40, one behind 7; a user whose targets are spread is tiled as ever."""
    sequences = from_rows([np.full(n, n) for n in (40, 7, 33)])
    ends = sequences.offsets_U1[np.array([1, 1, 2, 3, 3])] - np.array([0, 0, 0, 0, 20])
    points = Points(np.array([0, 0, 1, 2, 2]), ends, np.arange(5))
    for epoch in range(9):
        found = widest(sequences, points, 10, epoch)
        assert found[40] == [10, 10]
        assert found[7] == [7]
        assert len(found[33]) == 2
