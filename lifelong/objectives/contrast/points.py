"""The points of a batch window by window: which follow each other, one of each, and what their users cannot be asked for."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lifelong.core.types import Batch

TRIES = 4
"""Uniform draws in the place of one; the first that nobody has had counts."""


def in_order(batch: Batch) -> Batch:
    """The same points sorted by window and place, equal places as they were; whatever is drawn for the batch goes."""
    length = batch.history.window_BL.shape[1]
    order_N = (batch.rows_N * length + batch.positions_N).argsort(stable=True)
    return some(replace(batch, negatives=None), order_N)


def some(batch: Batch, which_n: Tensor) -> Batch:
    """Those of its points that an index or a bool mask picks."""
    picked = {name: getattr(batch, name)[which_n] for name in ("rows_N", "positions_N", "targets_N")}
    return replace(batch, **picked)


def one_each(batch: Batch) -> Tensor:
    """The index (int64) of one random point of each window that has some; the points are in order.

    One number is drawn for each window, so that more points of one window change nothing for another.
    """
    counts_B = torch.bincount(batch.rows_N, minlength=len(batch.history))
    drawn_B = torch.rand(len(counts_B), device=counts_B.device)
    first_B = counts_B.cumsum(0) - counts_B
    place_B = torch.minimum((drawn_B * counts_B).long(), counts_B - 1)
    return (first_B + place_B)[counts_B > 0]


@dataclass(frozen=True)
class Ahead:
    """For each point (N) the next A target events of its window, its own the first: where these are among the points, int64,
    and whether there are so many, bool."""

    index_NA: Tensor
    there_NA: Tensor


def ahead(batch: Batch, count: int) -> Ahead:
    """The next `count` target events of every point; the points are in order."""
    points = len(batch)
    index_NA = torch.arange(points, device=batch.rows_N.device)[:, None] + torch.arange(
        count, device=batch.rows_N.device
    )
    index_NA, inside_NA = index_NA.clamp(max=max(0, points - 1)), index_NA < points
    return Ahead(index_NA, inside_NA & (batch.rows_N[index_NA] == batch.rows_N[:, None]))


def targets_of_windows(batch: Batch) -> Tensor:
    """The targets (B, T) int64 of each window, -1 where it has fewer; the points are in order."""
    counts_B = torch.bincount(batch.rows_N, minlength=len(batch.history))
    place_N = torch.arange(len(batch), device=counts_B.device) - (counts_B.cumsum(0) - counts_B)[batch.rows_N]
    targets_BT = batch.targets_N.new_full((len(counts_B), int(counts_B.max()) if len(counts_B) else 0), -1)
    return targets_BT.index_put((batch.rows_N, place_N), batch.targets_N)


def uniform(taken_BS: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """`count` entries of a catalogue for each window, uniformly from what is not taken (-1 = nothing).

    Returns index_BK int64 and found_BK bool, False where each of TRIES draws was taken.
    """
    drawn_BKT = torch.randint(size, (len(taken_BS), count, TRIES), device=taken_BS.device)
    free_BKT = ~(drawn_BKT[..., None] == taken_BS[:, None, None]).any(dim=3)
    first_BK1 = free_BKT.int().argmax(dim=2, keepdim=True)
    return drawn_BKT.gather(2, first_BK1)[..., 0], free_BKT.any(dim=2)
