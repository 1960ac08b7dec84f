"""Each rank's share of a batch: the same windows as one process would take, dealt out one by one."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from lifelong.core.types import Batch
from lifelong.parallel.group import Group


def shares(batches: Iterator[Batch], group: Group) -> Iterator[Batch]:
    """This rank's share of every batch, on the CPU."""
    return batches if group.world == 1 else (share(batch, group.rank, group.world) for batch in batches)


def share(batch: Batch, rank: int, world: int) -> Batch:
    """Every world-th window and its points; the negatives are everybody's.

    `weight` is world × the share of the points, so that the mean over ranks of weight × (mean over own points) is the mean over
    all points. A rank that is left without points, or windows, takes the batch's first with weight 0: it must take part in the
    step.
    """
    mine_N = batch.rows_N % world == rank
    history = batch.history.users(slice(rank, None, world))
    rows_N = batch.rows_N[mine_N] // world
    weight = world * len(rows_N) / len(mine_N)
    if not weight:
        mine_N = torch.arange(1)
        rows_N = torch.zeros_like(batch.rows_N[:1])
    return replace(
        batch,
        history=history if len(history) else batch.history.users(slice(0, 1)),
        rows_N=rows_N,
        positions_N=batch.positions_N[mine_N],
        targets_N=batch.targets_N[mine_N],
        weight=weight,
    )
