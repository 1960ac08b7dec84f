"""Two views of a user: what is left out, cut out, shuffled or halved, in the window and in the longer past alike."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.types import History
from lifelong.objectives.siamese.views import only, pair

KINDS = ["dropout", "mask", "crop", "permute", "halves"]


def history(lengths, past=12, window=8):
    """Users whose n-th last event is item 100 * user + n; kind and gap say which event it was."""
    back = torch.arange(past, 0, -1)
    rows = torch.arange(1, len(lengths) + 1)[:, None] * 100 + back
    rows = torch.where(back <= torch.tensor(lengths)[:, None], rows, 0)
    seen = rows[:, -window:]
    return History(window_BL=seen, past_BS=rows, times_BS=rows * 60, actions_BL=seen % 7, gaps_BL=seen % 5)


def items(rows_BL):
    return [[int(i) for i in row if i] for row in rows_BL]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.sampled_from(KINDS), st.integers(0, 2**20))
def test_a_view_holds_events_of_the_user_in_the_same_columns_throughout(lengths, kind, seed):
    torch.manual_seed(seed)
    whole = history(lengths)
    for view in pair(whole, kind, 0.4):
        for user, (seen, past, had) in enumerate(
            zip(items(view.window_BL), items(view.past_BS), items(whole.past_BS), strict=True)
        ):
            assert seen, f"{kind} left user {user} without an event"
            assert not Counter(past) - Counter(had)
            assert set(seen) <= set(past)
        real = view.window_BL != 0
        assert (real.int().diff(dim=1) >= 0).all(), "padding stands behind an event"
        assert torch.equal(view.actions_BL, view.window_BL % 7), "kinds no longer belong to their events"
        assert torch.equal(view.gaps_BL, view.window_BL % 5), "gaps no longer belong to their events"
        assert torch.equal(view.times_BS, view.past_BS * 60), "times no longer belong to their events"


@pytest.mark.parametrize("kind", ["mask", "crop", "halves"])
def test_order_is_kept_where_events_are_left_out(kind):
    torch.manual_seed(0)
    for view in pair(history([12] * 50), kind, 0.3):
        assert all(seen == sorted(seen, reverse=True) for seen in items(view.window_BL))


def test_halves_share_nothing_and_lose_nothing():
    torch.manual_seed(0)
    whole = history([12] * 50)
    first, second = pair(whole, "halves", 0.3)
    for one, other, had in zip(items(first.past_BS), items(second.past_BS), items(whole.past_BS), strict=True):
        again = len(one + other) - len(had)  # an empty window keeps its latest event
        assert again in (0, 1)
        assert set(one + other) == set(had)


def test_mask_leaves_out_its_share():
    torch.manual_seed(0)
    view, _ = pair(History(torch.arange(1, 101).expand(200, 100)), "mask", 0.3)
    kept = (view.window_BL != 0).sum(dim=1).float()
    assert kept.mean() == pytest.approx(70, abs=1.5)
    assert kept.std() > 1


def test_crop_cuts_one_piece_out_and_keeps_the_rest():
    torch.manual_seed(0)
    begins = set()
    for seen in items(pair(History(torch.arange(1, 11).expand(200, 10)), "crop", 0.3)[0].window_BL):
        missing = sorted(set(range(1, 11)) - set(seen))
        assert missing == list(range(missing[0], missing[0] + 3))
        begins.add(missing[0])
    assert begins == set(range(1, 9))


def test_permute_moves_the_events_of_one_piece_alone():
    torch.manual_seed(0)
    moved_at = Counter()
    for seen in items(pair(History(torch.arange(1, 11).expand(300, 10)), "permute", 0.4)[0].window_BL):
        assert sorted(seen) == list(range(1, 11))
        moved = [place for place, item in enumerate(seen, 1) if item != place]
        assert not moved or moved[-1] - moved[0] < 4
        moved_at.update(moved)
    assert set(moved_at) == set(range(1, 11))


def test_dropout_gives_the_very_same_history_first_and_an_equal_one_second():
    whole = history([3, 12])
    first, second = pair(whole, "dropout", 0.3)
    assert first is whole
    assert second is not whole
    assert torch.equal(second.window_BL, whole.window_BL)


def test_two_draws_differ_and_the_same_seed_gives_the_same():
    for kind in ("mask", "crop", "permute", "halves"):
        torch.manual_seed(1)
        first, second = pair(history([12] * 20), kind, 0.4)
        torch.manual_seed(1)
        again, _ = pair(history([12] * 20), kind, 0.4)
        assert items(first.window_BL) != items(second.window_BL)
        assert torch.equal(first.window_BL, again.window_BL)


def test_an_empty_window_keeps_its_latest_event_and_a_cold_user_stays_cold():
    kept = only(history([3, 0]), torch.zeros(2, 12, dtype=torch.bool))
    assert items(kept.window_BL) == items(kept.past_BS) == [[101], []]
