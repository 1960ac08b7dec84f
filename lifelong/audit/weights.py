"""Who and what weighs most in a data set, and what is in it twice. Users are told by rank and number of events, never by id."""

from dataclasses import dataclass, field

import numpy as np

from lifelong.data.formats.padded import users_of
from lifelong.data.ordering import repeated_within
from lifelong.data.prepare import Prepared

OUTLYING = 5.0
"""Robust deviations of the log of the number of events: people spread over 3 to 4 of them in every data set we know."""
LEAST_HEAVY = 100
"""Events below which nobody is heavy."""
LEAST_TWIN = 5
"""Events that a history needs for its like to be no accident."""
SHOWN = 10
"""Heaviest users and items that are told one by one."""


@dataclass(frozen=True)
class Finding:
    """Something to look at: how many it concerns, in words, and whether results on the data cannot be trusted.

    places: which users or items, int64 places in the prepared data set, for a program; it is not printed.
    """

    name: str
    count: int
    text: str
    serious: bool = False
    places: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)


def audit_data(prepared: Prepared) -> list[Finding]:
    """Heavy users and items, repeated events, and users who are the copy of another."""
    return [*heavy_users(prepared), *heavy_items(prepared), *repeated_events(prepared), *twins(prepared)]


def heavy_users(prepared: Prepared) -> list[Finding]:
    """Users with far more events than others have: the log of the number lies OUTLYING robust deviations above the median.

    The deviation is 1.4826 times the median one (Rousseeuw & Croux 1993), which half of the users would have to move.
    """
    lengths_U = np.diff(prepared.offsets_U1)
    logs_U = np.log1p(lengths_U)
    deviation = 1.4826 * np.median(np.abs(logs_U - np.median(logs_U)))
    limit = np.median(logs_U) + OUTLYING * max(float(deviation), 0.05)  # all alike: a doubling is not yet an outlier
    heavy_u = np.flatnonzero((logs_U > limit) & (lengths_U >= LEAST_HEAVY))
    if not len(heavy_u):
        return []
    heavy_u = heavy_u[np.argsort(-lengths_U[heavy_u], kind="stable")]
    share = lengths_U[heavy_u].sum() / lengths_U.sum()
    told = "; ".join(_user(prepared, rank, int(user)) for rank, user in enumerate(heavy_u[:SHOWN], 1))
    text = (
        f"{len(heavy_u):,} users have {share:.1%} of all events, the median user has {np.median(lengths_U):.0f}: {told}"
    )
    return [Finding("heavy users", len(heavy_u), text, share > 0.1, heavy_u)]


def _user(prepared: Prepared, rank: int, user: int) -> str:
    items_e = np.asarray(prepared.items_E[prepared.offsets_U1[user] : prepared.offsets_U1[user + 1]])
    return f"rank {rank}: {len(items_e):,} events of {len(np.unique(items_e)):,} items"


def heavy_items(prepared: Prepared) -> list[Finding]:
    """Items of which heavy users make more than half of at least LEAST_HEAVY events: whom such users push."""
    heavy = heavy_users(prepared)
    if not heavy:
        return []
    heavy_U = np.zeros(len(prepared.users), bool)
    heavy_U[heavy[0].places] = True
    items_E, by_heavy_E = np.asarray(prepared.items_E), np.repeat(heavy_U, np.diff(prepared.offsets_U1))
    all_V = np.bincount(items_E, minlength=len(prepared.items))
    theirs_V = np.bincount(items_E[by_heavy_E], minlength=len(prepared.items))
    pushed_v = np.flatnonzero((theirs_V * 2 > all_V) & (all_V >= LEAST_HEAVY))
    if not len(pushed_v):
        return []
    pushed_v = pushed_v[np.argsort(-theirs_V[pushed_v], kind="stable")]
    names = [f"{prepared.items['id'][int(v)].as_py()!r:.60} ({theirs_V[v] / all_V[v]:.0%})" for v in pushed_v[:SHOWN]]
    text = f"more than half of the events of {len(pushed_v):,} items are of heavy users: {', '.join(names)}"
    return [Finding("items of heavy users", len(pushed_v), text, places=pushed_v)]


def repeated_events(prepared: Prepared) -> list[Finding]:
    """Events that repeat an earlier one in user, item and second."""
    lengths_U = np.diff(prepared.offsets_U1)
    user_E, items_E = np.repeat(np.arange(len(lengths_U)), lengths_U), np.asarray(prepared.items_E)
    again_E = repeated_within(user_E, items_E, np.asarray(prepared.times_E), np.arange(len(user_E)))
    if not (count := int(again_E.sum())):
        return []
    text = f"{count:,} of {len(again_E):,} events are user, item and second of an earlier one; duplicates: drop leaves them out"
    return [Finding("repeated events", count, text)]


def twins(prepared: Prepared) -> list[Finding]:
    """Users with the same items in the same order as another user, beyond the first of each such group."""
    copies_u = copies(np.asarray(prepared.items_E), prepared.offsets_U1[:-1], np.diff(prepared.offsets_U1))
    if not len(copies_u):
        return []
    text = f"{len(copies_u):,} of {len(prepared.users):,} users have the whole history of another one; are they one person?"
    return [Finding("copied users", len(copies_u), text, len(copies_u) > 0.01 * len(prepared.users), copies_u)]


def copies(values_E: np.ndarray, starts_U: np.ndarray, lengths_U: np.ndarray) -> np.ndarray:
    """Histories (their places, int64) of at least LEAST_TWIN values that an earlier one has in the same order."""
    hash_U, long_u = history_hashes(values_E, starts_U, lengths_U), np.flatnonzero(lengths_U >= LEAST_TWIN)
    _, first_n = np.unique(hash_U[long_u], return_index=True)
    found: np.ndarray = np.delete(long_u, first_n)
    return found


def history_hashes(values_E: np.ndarray, starts_U: np.ndarray, lengths_U: np.ndarray) -> np.ndarray:
    """63 bits of each history, from its values and their places (int64); 0 of an empty one."""
    index_M = np.arange(int(lengths_U.sum())) + np.repeat(starts_U - np.cumsum(lengths_U) + lengths_U, lengths_U)
    hash_U, some_u = np.zeros(len(lengths_U), np.int64), lengths_U > 0
    hash_U[some_u] = users_of(values_E[index_M], lengths_U[some_u])
    return hash_U
