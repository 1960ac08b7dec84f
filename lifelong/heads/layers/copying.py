"""What was there may come again: a score for each of a user's own events, by what it is and how long ago it was."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.types import Seen

KEY = 32
"""Width in which a user's state and an item are compared."""
TASTE = 8
"""So many shapes of recency that a state can mix."""
BUCKETS = 40
"""Distances in trips: 0 the trip of the latest event, then three buckets to a doubling, up to 8,192."""
COUNTS = 16
"""How often an item was there before, and how many trips before: two buckets to a doubling."""
SCALE = 4.0
"""Tables are read at this multiple, so that at the one rate of learning they move as far as other scores do."""
NOTHING = 1e-30
"""The least mass, against the largest event's, that is told from none."""
OUT = -1e9
"""A score that counts for nothing, finite so that no gradient is NaN."""


class Copying(nn.Module):
    """psi of each past event: how likely it is copied (CopyNet, Gu et al., ACL 2016, section 3.3).

    psi = state · item, in a space of its own, + how much the state repeats + how much the item is repeated + tables of: how
    many trips ago, as such and mixed by the state; how many trips lay between the item's last two occurrences, jointly with
    how many trips ago; how often it was there before. A trip is a run of events of one time, as a basket is; without times each
    event is one. Where we leave the paper: there is no selective read, and recency is told, since a state of the latest events
    cannot know how old an event before them is.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, KEY), nn.Linear(width, KEY, bias=False)
        self.user, self.item = nn.Linear(width, 1), nn.Linear(width, 1, bias=False)
        self.taste = nn.Linear(width, TASTE)
        self.by_trips = nn.Parameter(torch.zeros(1 + TASTE, BUCKETS))
        self.by_gap = nn.Parameter(torch.zeros(COUNTS, BUCKETS))
        self.by_count = nn.Parameter(torch.zeros(COUNTS))
        for start in (self.user.weight, self.user.bias, self.item.weight):
            nn.init.zeros_(start)
        nn.init.normal_(self.query.weight, std=0.02)

    def forward(self, users_ND: Tensor, vectors_BSD: Tensor, seen: Seen, countable_BS: Tensor) -> Tensor:
        """psi (N, S) float32 of N points; OUT where a point does not see an event, or it is not countable (bool)."""
        places = places_of(seen)
        states_BPD = _in_grid(users_ND, places, len(seen.rows_BS))
        ends_BP = _in_grid(seen.ends_N, places, len(seen.rows_BS))
        psi_BPS = (self.user(states_BPD) + self.item(vectors_BSD).transpose(1, 2)).float()
        products_BPS = self.query(states_BPD) @ self.key(vectors_BSD).transpose(1, 2)
        psi_BPS = psi_BPS + products_BPS.float() / math.sqrt(KEY) + self._by_time(states_BPD, seen, ends_BP)
        visible_BPS = (torch.arange(psi_BPS.shape[2], device=psi_BPS.device) < ends_BP[:, :, None]) & countable_BS[
            :, None
        ]
        return torch.where(visible_BPS, psi_BPS, OUT)[places]

    def _by_time(self, states_BPD: Tensor, seen: Seen, ends_BP: Tensor) -> Tensor:
        """The terms (B, P, S) of when an event was and how often the item had been there."""
        trips_BS = trips(seen)
        earlier_BS, gaps_BS = occurrences(seen.rows_BS, trips_BS)
        latest_BP = trips_BS.gather(1, (ends_BP - 1).clamp(min=0))
        ago_BPS = trip_buckets(latest_BP[:, :, None] - trips_BS[:, None])
        mixed_BPT = F.linear(self.taste(states_BPD).float(), self.by_trips[1:].T, SCALE * self.by_trips[0])
        gap_BST = F.embedding(gaps_BS, SCALE * self.by_gap)
        ago_term_BPS = mixed_BPT.gather(2, ago_BPS)
        gap_term_BSP = gap_BST.gather(2, ago_BPS.transpose(1, 2))
        count_term_BS = F.embedding(earlier_BS, SCALE * self.by_count[:, None])[:, None, :, 0]
        return ago_term_BPS + gap_term_BSP.transpose(1, 2) + count_term_BS


def latest(seen: Seen, count: int) -> Seen:
    """The last `count` columns of what is seen.

    >>> latest(Seen(torch.tensor([[5, 6, 7]]), None, torch.tensor([0]), torch.tensor([2])), 2)
    Seen(rows_BS=tensor([[6, 7]]), times_BS=None, users_N=tensor([0]), ends_N=tensor([1]))
    """
    less = max(0, seen.rows_BS.shape[1] - count)
    times_BS = None if seen.times_BS is None else seen.times_BS[:, less:]
    return Seen(seen.rows_BS[:, less:], times_BS, seen.users_N, (seen.ends_N - less).clamp(min=0))


def places_of(seen: Seen) -> tuple[Tensor, Tensor]:
    """Where each point stands in a grid (B, P) of users and their points: users_N and its place among the user's own."""
    order_N = seen.users_N.argsort(stable=True)
    counts_B = torch.bincount(seen.users_N, minlength=len(seen.rows_BS))
    place_N = torch.empty_like(order_N)
    first_N = (counts_B.cumsum(0) - counts_B)[seen.users_N[order_N]]
    place_N[order_N] = torch.arange(len(order_N), device=order_N.device) - first_N
    return seen.users_N, place_N


def _in_grid(values_N: Tensor, places: tuple[Tensor, Tensor], users: int) -> Tensor:
    """(B, P, …), P the most points that a user has; zeros where he has fewer: so users' keys are multiplied, not copied."""
    most = int(places[1].max()) + 1 if len(values_N) else 1
    grid_BP = values_N.new_zeros(users, most, *values_N.shape[1:])
    grid_BP[places] = values_N
    return grid_BP


def trips(seen: Seen) -> Tensor:
    """The trip (B, S) int64 of each event, counted from the left; without times each event is one.

    >>> rows, none = torch.tensor([[5, 6, 7]]), torch.tensor([0])
    >>> trips(Seen(rows, torch.tensor([[10, 10, 99]]), none, none)), trips(Seen(rows, None, none, none))
    (tensor([[0, 0, 1]]), tensor([[0, 1, 2]]))
    """
    if seen.times_BS is None:
        return torch.arange(seen.rows_BS.shape[1], device=seen.rows_BS.device).expand(seen.rows_BS.shape)
    starts_BS = torch.zeros_like(seen.rows_BS)
    starts_BS[:, 1:] = (seen.times_BS[:, 1:] != seen.times_BS[:, :-1]).long()
    return starts_BS.cumsum(1)


def occurrences(rows_BS: Tensor, trips_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Of each event (B, S) the buckets of how often its item was there before, and how many trips ago the last time (0: never).

    >>> occurrences(torch.tensor([[4, 9, 4, 4]]), torch.tensor([[0, 0, 1, 3]]))
    (tensor([[0, 0, 2, 3]]), tensor([[0, 0, 1, 3]]))
    """
    sorted_BS, order_BS = rows_BS.sort(dim=1, stable=True)
    place_S = torch.arange(rows_BS.shape[1], device=rows_BS.device)
    again_BS = torch.zeros_like(sorted_BS, dtype=torch.bool)
    again_BS[:, 1:] = sorted_BS[:, 1:] == sorted_BS[:, :-1]
    earlier_BS = place_S - torch.where(again_BS, 0, place_S).cummax(1).values
    trips_BS = trips_BS.gather(1, order_BS)
    since_BS = torch.zeros_like(trips_BS)
    since_BS[:, 1:] = trips_BS[:, 1:] - trips_BS[:, :-1]
    gaps_BS = torch.where(again_BS, 1 + _half_octaves(since_BS.clamp(min=1)), 0).clamp(max=COUNTS - 1)
    found = _half_octaves(1 + earlier_BS).clamp(max=COUNTS - 1), gaps_BS
    counts_BS, since_BS = (torch.empty_like(rows_BS).scatter_(1, order_BS, value_BS) for value_BS in found)
    return counts_BS, since_BS


def trip_buckets(distance: Tensor) -> Tensor:
    """0 for the same trip, else 1 + 3 log2(distance), rounded down and at most BUCKETS - 1.

    >>> trip_buckets(torch.tensor([0, 1, 2, 4, 10**6]))
    tensor([ 0,  1,  4,  7, 39])
    """
    limit = 1 << (BUCKETS // 3)
    whole = torch.arange(limit + 1, device=distance.device)
    bucket = (1 + 3 * whole.clamp(min=1).double().log2() + 1e-9).long().clamp(max=BUCKETS - 1) * (whole > 0)
    return bucket[distance.clamp(0, limit)]


def _half_octaves(values: Tensor) -> Tensor:
    return (2 * values.double().log2() + 1e-9).long()


def split_mass(psi_NS: Tensor, right_NS: Tensor) -> tuple[Tensor, Tensor]:
    """log of the summed exp(psi) over the events of the right answer, and over all others; (N,) each, finite."""
    largest_N1 = psi_NS.detach().amax(dim=1, keepdim=True)
    mass_NS = (psi_NS - largest_N1).exp()
    parts = (torch.where(which_NS, mass_NS, 0.0).sum(1) for which_NS in (right_NS, ~right_NS))
    right_N, others_N = (part_N.clamp(min=NOTHING).log() + largest_N1[:, 0] for part_N in parts)
    return right_N, others_N


def mass_of_items(index_BS: Tensor, psi_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Each item once, -1 in the places that are left, and the log of its events' summed exp(psi); (B, S) both.

    The log of nothing is -inf, and its gradient 0: strategies that hold earlier answers train through the scores.

    >>> index, mass = mass_of_items(torch.tensor([[7, -1, 7, 3]]), torch.tensor([[1.0, OUT, 1.0, 0.0]]))
    >>> index.tolist(), [round(m, 3) for m in mass[0, 1:3].tolist()]
    ([[-1, 3, 7, -1]], [0.0, 1.693])
    """
    index_BS, order_BS = index_BS.sort(dim=1, stable=True)
    begins_BS = torch.ones_like(index_BS)
    begins_BS[:, 1:] = (index_BS[:, 1:] != index_BS[:, :-1]).long()
    run_BS = begins_BS.cumsum(1) - 1
    largest_B1 = psi_BS.detach().amax(dim=1, keepdim=True)
    mass_BS = (psi_BS - largest_B1).exp().gather(1, order_BS)
    summed_BS = torch.zeros_like(mass_BS).scatter_add_(1, run_BS, mass_BS)
    once_BS = torch.full_like(index_BS, -1).scatter_(1, run_BS, index_BS)
    some_BS = summed_BS > 0
    log_BS = torch.where(some_BS, summed_BS, 1.0).log() + largest_B1
    return once_BS, torch.where(some_BS, log_BS, -torch.inf)


def add_mass_(scores_Bc: Tensor, index_BS: Tensor, mass_BS: Tensor, first: int = 0) -> Tensor:
    """scores = log(exp(scores) + exp(mass)) where the index, less `first`, falls among the c columns; in place.

    Made of exp and log alone: on the CPU torch's log-add-exp has other last bits with other numbers of threads.
    """
    row_M, column_M = ((index_BS >= first) & (index_BS < first + scores_Bc.shape[1])).nonzero(as_tuple=True)
    place_M, mass_M = index_BS[row_M, column_M] - first, mass_BS[row_M, column_M]
    scores_M = scores_Bc[row_M, place_M]
    largest_M = torch.maximum(scores_M, mass_M)
    scores_Bc[row_M, place_M] = largest_M + ((scores_M - largest_M).exp() + (mass_M - largest_M).exp()).log()
    return scores_Bc
