"""What a task has before its first step: fresh weights, a long-term table in closed form, a head solved on user vectors."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.continual.site import Initial
from lifelong.continual.view import ITEM_TABLE
from lifelong.core.types import Seen
from lifelong.data.feeds import case_batches
from lifelong.data.sequences import Points, last_ends
from lifelong.growing.training import Feed
from lifelong.heads.base import Known
from lifelong.heads.next_item import NextItem
from lifelong.model.cases import Cases
from lifelong.model.contents import ItemSource
from lifelong.model.network import Design, TaskNet, initial_values

MOST_USERS = 20_000
"""Training users that are looked at: more move a linear head hardly, and solving takes seconds up to here."""
BATCH = 256
MOST_EVENTS = 200_000
"""Training events that a head of items is shown, some of each window's; on 2 cores 100,000 take about five seconds."""
LONGTERM_TABLE = "longterm.items.weight"


class FirstValues:
    """Fresh values of the trunk for a table of so many rows: a lifelong.continual.site.Initial.

    The long-term table's rows of the items that the task brings come from what its training users have in common, events up to
    the last that they are trained on; all rows where it stands on nothing (`alone`).
    """

    def __init__(self, design: Design, cases: Cases, seed: int, *, alone: bool) -> None:
        self.design, self.cases, self.seed, self.alone = design, cases, seed, alone
        self._table = lru_cache(maxsize=1)(self._make_table)

    def __call__(self, rows: int) -> dict[str, Tensor]:
        """Values by parameter name; the same for the same seed."""
        values = initial_values(self.design, rows, self.seed)
        if self.design.longterm and self.design.longterm["start"] == "svd":
            values[LONGTERM_TABLE] = self._table(rows)
        return values

    def _make_table(self, rows: int) -> Tensor:
        assert self.design.longterm is not None
        width = self.design.longterm["width"]
        first = 1 if self.alone else rows - len(self.cases.new_items)
        if first == rows:
            return torch.zeros(rows, width)
        from lifelong.encoders.layers.bag_table import started_table  # scikit-learn takes a second to import

        sequences, users_U = self.cases.sequences, np.unique(self.cases.train.users_N)
        begins_U, ends_U = sequences.offsets_U1[users_U], last_ends(self.cases.train, users_U)
        return started_table(sequences.rows_E, begins_U, ends_U, rows, width, self.seed, first)


class WithEncoded:
    """First values in which items that the task brings have the vectors that their contents give them at once, by what the
    parents have learnt: a lifelong.continual.site.Initial. known_VD: the parent's table."""

    def __init__(self, values: Initial, source: ItemSource, known_VD: Tensor) -> None:
        self.values, self.source, self.known_VD = values, source, known_VD
        self.stored: dict[str, Tensor] = {}
        """What the encoder that gave the vectors would have to keep."""
        self._table = lru_cache(maxsize=1)(self._encoded)

    def __call__(self, rows: int) -> dict[str, Tensor]:
        """Values by parameter name."""
        values = self.values(rows)
        return {**values, ITEM_TABLE: self._table(rows)}

    def _encoded(self, rows: int) -> Tensor:
        first, width = self.known_VD.shape
        if rows == first:
            return self.known_VD
        encoder = self.source.encoder(width, rows, self.known_VD)
        settled_VD, self.stored = encoder.settle(), encoder.stored()
        return torch.cat([self.known_VD, settled_VD[first:].cpu()])


def start_head(net: TaskNet, cases: Cases, feed: Feed, past: int, seed: int) -> bool:
    """Let the head find the parameters that fit best on top of what the network gives as it stands; whether it could.

    Only heads that can be solved in closed form, or by a convex fit, do anything (Head.solve). Validation users choose the
    strength of the penalty, as they choose the epoch afterwards; test users play no part. A head of items is shown the training
    events that `feed` gives, up to MOST_EVENTS.
    """
    if net.head is None or not net.head.solvable:
        return False
    net.eval()
    if net.answers == "items":
        users_NW, targets_N = _before_events(net, feed)
        net.head.solve(Known(users_NW, targets_N), Known(users_NW[:0], targets_N[:0]))
        return True
    net.head.solve(*(_known(net, cases, points, past) for points in (_some(cases.train, seed), cases.valid)))
    return True


@torch.no_grad()
def start_bias(net: TaskNet, targets_N: np.ndarray) -> None:
    """Let the biases of items that are known by their content begin at the log of how often each was right in training, their
    mean at 0. A table learns within an epoch what is popular; vectors of contents have no place for it, and biases move by no
    more than the learning rate a step. Nothing, where the head has a table of its own or scores by direction.
    """
    head = net.head
    if not isinstance(head, NextItem) or head.output is not None or head.options.unit or head.options.loss != "softmax":
        return
    log_C = torch.from_numpy(np.bincount(targets_N, minlength=len(head.bias)) + 1.0).log()
    head.bias.copy_(log_C - log_C.mean())


def _some(points: Points, seed: int) -> Points:
    if len(points) <= MOST_USERS:
        return points
    return points.where(np.sort(np.random.default_rng(seed).choice(len(points), MOST_USERS, replace=False)))


@torch.no_grad()
def _before_events(net: TaskNet, feed: Feed) -> tuple[Tensor, Tensor]:
    """What the head is given before each training event, (N, W) float32, and the event's place in the catalogue."""
    users, targets, count = [], [], 0
    device = next(net.encoder.parameters()).device
    for batch in feed.epoch(0):
        if count >= MOST_EVENTS:
            break
        batch = batch.to(device)
        users.append(net.given_at(net.states(batch.history), batch).cpu())
        targets.append(batch.targets_N.cpu())
        count += len(batch)
    return torch.cat(users), torch.cat(targets)


@torch.no_grad()
def _known(net: TaskNet, cases: Cases, points: Points, past: int) -> Known:
    """What the head reads of each point's user, what is right, and what was before, where the head asks for it; on the CPU."""
    device = next(net.encoder.parameters()).device
    users, rows = [], []
    for batch in case_batches(cases.sequences, points, net.encoder.length, BATCH, past):
        history = batch.to(device).history
        users.append(net.users(history).cpu())
        seen = net.seen(history)
        rows += [] if seen is None else [seen.rows_BS.cpu()]
    return Known(torch.cat(users), torch.from_numpy(points.targets_N), _together(rows))


def _together(rows: Sequence[Tensor]) -> Seen | None:
    """All that every one of these users has seen, (B, S) each, of whatever S."""
    if not rows:
        return None
    longest = max(rows_BS.shape[1] for rows_BS in rows)
    rows_BS = torch.cat([F.pad(part, (longest - part.shape[1], 0)) for part in rows])
    users_B = torch.arange(len(rows_BS))
    return Seen(rows_BS, None, users_B, torch.full_like(users_B, longest))
