"""Labels that a cut in time makes of the events themselves: churn, the next buy, the propensity for a category.

A history ends at the cut; the label is what lies in the days after it. So no event is read and asked about at once, and the
same events make as many labels as there are questions (the universal behavioural profiles of the RecSys Challenge 2025).
A parent pretrained on later events has seen the days after the cut of users to train on, never those of users to test on, as
long as both tasks have the same split.salt, the same share `test`, and hold_out_users.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import build, suggest
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.columns import MAX_SHOWN
from lifelong.data.prepare import Prepared

DAY = 86_400
YES, NO = "yes", "no"
"""The classes of every derived label."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A question about the days after a cut; only events of `channel` count, of every channel where it is left out."""

    cut: str
    """A day such as 2017-11-01, or a moment in ISO 8601; UTC where it names no zone. Its own events come after it."""
    days: int
    """So many days after the cut are asked about; the data must reach that far."""
    channel: str | list[str] | None = None
    """The kinds of events that count, such as buy."""
    active_days: int | None = None
    """Ask only about users with an event that counts in so many days before the cut; left out: about all."""

    def __post_init__(self) -> None:
        _seconds(self.cut)
        for option in ("days", "active_days"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ValueError(f"{option} is {value}, it must be at least 1")

    @property
    def seconds(self) -> int:
        """The cut in unix seconds."""
        return _seconds(self.cut)

    def answers(self, happens_U: np.ndarray) -> np.ndarray:
        """Bool (U), True for yes, from whether anything that counts lies in the days after the cut."""
        return happens_U


@dataclass(frozen=True, kw_only=True)
class Buys(Derived):
    """yes: the user has an event that counts in these days."""


@dataclass(frozen=True, kw_only=True)
class Churn(Derived):
    """yes: the user has no event that counts in these days."""

    def answers(self, happens_U: np.ndarray) -> np.ndarray:
        """The other way round."""
        return ~happens_U


@dataclass(frozen=True, kw_only=True)
class Propensity(Derived):
    """yes: the user has an event of an item whose `field` is one of `values` in these days."""

    field: str
    """A field of the items, such as category."""
    values: list[str]
    """The values that count."""


KINDS: dict[str, type[Derived]] = {"buys": Buys, "churn": Churn, "propensity": Propensity}


def read_derived(label: Mapping[str, Any], where: str) -> Derived:
    """A derived label from YAML: {churn: {cut: …, days: …}}. Raises ConfigError naming `where` and the way out."""
    if len(label) != 1:
        raise ConfigError(f"{where}: a derived label is one of {', '.join(KINDS)}, here are {len(label)}")
    ((kind, options),) = label.items()
    if kind not in KINDS:
        raise ConfigError(f"{where}: there is no derived label {kind!r}{suggest(str(kind), KINDS)}")
    return build(KINDS[kind], options, f"{where}.{kind}")


def first_at(offsets_U1: np.ndarray, times_E: np.ndarray, moment: int) -> np.ndarray:
    """The place of each user's first event at or after a moment (U, int64, absolute); its end where there is none.

    Events of a user are in order of time. A binary search in all users at once, so of 10^8 memory-mapped events some
    pages are read, not all.
    """
    low_U, high_U = offsets_U1[:-1].astype(np.int64), offsets_U1[1:].astype(np.int64)
    open_u = np.flatnonzero(low_U < high_U)
    while len(open_u):
        middle_u = (low_U[open_u] + high_U[open_u]) // 2
        earlier_u = np.asarray(times_E[middle_u]) < moment
        low_U[open_u[earlier_u]] = middle_u[earlier_u] + 1
        high_U[open_u[~earlier_u]] = middle_u[~earlier_u]
        open_u = open_u[low_U[open_u] < high_U[open_u]]
    return low_U


def derived_labels(label: Derived, prepared: Prepared) -> pa.Array:
    """yes or no of every user (U, string), null for those who are not asked about: not active before the cut.

    Whoever has no event before the cut at all has no history; it is up to the reader of the histories to leave such
    users out. Raises DataError where the data end before the days do, or have no such channel, field or value.
    """
    last = int(prepared.times_E.max())
    end = label.seconds + label.days * DAY
    if last < end - DAY:  # an event on the last of these days shows that they are all there
        raise DataError(
            f"{prepared.name}: the label asks about {label.days} days from {label.cut} on, but the last event is of "
            f"{_day(last)}; take an earlier cut or fewer days"
        )
    counts = _counting(label, prepared)
    yes_U = label.answers(_any_between(prepared, counts, label.seconds, end))
    labels = pa.array(np.where(yes_U, YES, NO), pa.string())
    if label.active_days is None:
        return labels
    active_U = _any_between(prepared, counts, label.seconds - label.active_days * DAY, label.seconds)
    return pc.if_else(pa.array(active_U), labels, pa.scalar(None, pa.string()))


@dataclass(frozen=True)
class _Counting:
    """Which items (V) and which channels (C) count, bool; None: all."""

    items_V: np.ndarray | None
    channels_C: np.ndarray | None


def _counting(label: Derived, prepared: Prepared) -> _Counting:
    channels_C = None
    if label.channel is not None:
        wanted = [label.channel] if isinstance(label.channel, str) else label.channel
        _all_there(wanted, prepared.channels, f"{prepared.name}: events have no channel")
        channels_C = np.isin(prepared.channels, wanted)
    if not isinstance(label, Propensity):
        return _Counting(None, channels_C)
    fields = [name for name in prepared.items.column_names if name != "id"]
    _all_there([label.field], fields, f"{prepared.name}: items have no field")
    column = prepared.items[label.field].combine_chunks().cast(pa.string())
    _all_there(label.values, column.unique().to_pylist(), f"{prepared.name}: no item has the {label.field}")
    items_V = pc.is_in(column, value_set=pa.array(label.values, pa.string())).to_numpy(zero_copy_only=False)
    return _Counting(items_V, channels_C)


def _all_there(wanted: Sequence[str], known: Sequence[str | None], problem: str) -> None:
    for value in wanted:
        if value not in known:
            said = suggest(value, [k for k in known if k is not None])
            raise DataError(f"{problem} {value!r}{said if len(said) <= MAX_SHOWN else said[:MAX_SHOWN] + ' …'}")


def _any_between(prepared: Prepared, counts: _Counting, start: int, end: int) -> np.ndarray:
    """Bool (U): whether a user has an event that counts from `start` on and before `end`."""
    from_U = first_at(prepared.offsets_U1, prepared.times_E, start)
    to_U = first_at(prepared.offsets_U1, prepared.times_E, end)
    if counts.items_V is None and counts.channels_C is None:
        return to_U > from_U
    lengths_U = to_U - from_U
    users_n = np.repeat(np.arange(len(lengths_U)), lengths_U)
    events_n = np.arange(len(users_n)) + np.repeat(from_U - np.cumsum(lengths_U) + lengths_U, lengths_U)
    counts_n = np.ones(len(events_n), bool)
    if counts.items_V is not None:
        counts_n &= counts.items_V[prepared.items_E[events_n]]
    if counts.channels_C is not None and prepared.channel_E is not None:
        counts_n &= counts.channels_C[prepared.channel_E[events_n]]
    happens_U = np.zeros(len(lengths_U), bool)
    happens_U[users_n[counts_n]] = True
    return happens_U


def _seconds(cut: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(cut)
    except ValueError:
        raise ValueError(f"cut is {cut!r}, write a day such as 2017-11-01") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())


def _day(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d")
