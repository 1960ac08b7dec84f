"""Two views of the same users: the same events twice, some left out, a piece cut out or shuffled, or half of them each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from lifelong.core.types import History

Views = Literal["dropout", "mask", "crop", "permute", "halves"]
"""dropout: the same events, so that only what the encoder drops differs. The others change the events themselves."""


def pair(history: History, views: Views, rate: float) -> tuple[History, History]:
    """Two views of each user, drawn from torch's global generator; never without an event where the user has one.

    `rate` is the share of a user's events that are left out, cut out or shuffled. Of `halves` each event is in one view
    alone. The longer past loses the same events as the window. The first view of `dropout` is the very history that was given,
    so that an objective beside this one can share the pass.
    """
    if views == "dropout":
        return history, replace(history)
    if views == "permute":
        return _shuffled(history, rate), _shuffled(history, rate)
    valid_BS = _widest(history) != 0
    if views == "halves":
        first_BS = torch.rand(valid_BS.shape, device=valid_BS.device) < 0.5
        return only(history, first_BS), only(history, ~first_BS)
    keep: Callable[[Tensor, float], Tensor] = _all_but_some if views == "mask" else _all_but_a_piece
    return only(history, keep(valid_BS, rate)), only(history, keep(valid_BS, rate))


def only(history: History, kept_BS: Tensor) -> History:
    """The events that are kept; later ones close up, and columns without any event go. kept_BS bool, right-aligned.

    A window that would be empty keeps its latest event.

    >>> only(History(torch.tensor([[0, 4, 5, 6]])), torch.tensor([[True, True, False, True]])).window_BL
    tensor([[4, 6]])
    """
    kept_BL = _tail(kept_BS, history.window_BL) & history.valid_BL
    kept_BL[:, -1] |= ~kept_BL.any(dim=1) & history.valid_BL[:, -1]
    changed = _of_window(history, lambda values_BL: _close_up(values_BL, kept_BL))
    if history.past_BS is None:
        return changed
    kept_BS = _tail(kept_BS, history.past_BS) & (history.past_BS != 0)
    kept_BS[:, -1] |= kept_BL[:, -1]
    times_BS = None if history.times_BS is None else _close_up(history.times_BS, kept_BS)
    return replace(changed, past_BS=_close_up(history.past_BS, kept_BS), times_BS=times_BS)


def _all_but_some(valid_BS: Tensor, rate: float) -> Tensor:
    return torch.rand(valid_BS.shape, device=valid_BS.device) >= rate


def _all_but_a_piece(valid_BS: Tensor, rate: float) -> Tensor:
    place_BS, start_B1, end_B1 = _piece(valid_BS, rate)
    return (place_BS < start_B1) | (place_BS >= end_B1)


def _shuffled(history: History, rate: float) -> History:
    """A piece of the window in another order; each event keeps its kind and its gap. A longer past knows no order."""
    place_BL, start_B1, end_B1 = _piece(history.valid_BL, rate)
    somewhere_BL = start_B1 + torch.rand(place_BL.shape, device=place_BL.device) * (end_B1 - start_B1)
    inside_BL = (place_BL >= start_B1) & (place_BL < end_B1)
    order_BL = torch.where(inside_BL, somewhere_BL, place_BL).argsort(dim=1, stable=True)
    return _of_window(history, lambda values_BL: values_BL.gather(1, order_BL))


def _of_window(history: History, change: Callable[[Tensor], Tensor]) -> History:
    """With everything that is told of the window's events changed alike; the longer past stays."""
    aligned = {"window_BL": history.window_BL, "actions_BL": history.actions_BL, "gaps_BL": history.gaps_BL}
    return replace(history, **{name: change(values) for name, values in aligned.items() if values is not None})


def _piece(valid_BS: Tensor, rate: float) -> tuple[Tensor, Tensor, Tensor]:
    """Each event's place among the user's own, from 0 (negative at pads), and where a random piece begins and ends, (B, 1)."""
    events_B1 = valid_BS.sum(dim=1, keepdim=True)
    place_BS = torch.arange(valid_BS.shape[1], device=valid_BS.device) - (valid_BS.shape[1] - events_B1)
    long_B1 = (events_B1 * rate).round().long()
    free_B1 = events_B1 - long_B1 + 1
    start_B1 = (torch.rand(events_B1.shape, device=valid_BS.device) * free_B1).long()
    return place_BS, start_B1, start_B1 + long_B1


def _widest(history: History) -> Tensor:
    past_BS = history.past_BS
    return history.window_BL if past_BS is None or past_BS.shape[1] < history.window_BL.shape[1] else past_BS


def _tail(kept_BS: Tensor, like_BL: Tensor) -> Tensor:
    """The last columns, as many as the other has; both end at the same event."""
    return kept_BS[:, -like_BL.shape[1] :]


def _close_up(values_BL: Tensor, kept_BL: Tensor) -> Tensor:
    order_BL = kept_BL.int().argsort(dim=1, stable=True)[:, -max(1, int(kept_BL.sum(dim=1).max())) :]
    return torch.where(kept_BL, values_BL, 0).gather(1, order_BL)
