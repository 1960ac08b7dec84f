"""An invented world of any size: users with hidden traits, several domains of items, profile labels; for tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.datasets.base import CodedBatch, EventBatch, Source
from lifelong.data.mixing import mixed, splitmix

CHUNK = 1 << 20
"""Events made at a time, at most; they do not depend on it."""
START, HOUR = 1_600_000_000, 3600
FIRST, SECOND, LENGTH, PLACE, STEP, LABEL, TABLE, OWN = range(8)
"""Streams of random numbers."""


class Synthetic(Source):
    """A user has two hidden traits, and the first counts for more. Every event is in a random domain; there the user
    goes on to the successor of its last item (share `follow`), or picks one of the items that a trait of it likes
    (share `taste`), or any item.

    So a sequence model can learn successors, a profile model the traits, and every domain tells the same traits:
    label_0, label_2, … are fixed functions of the first trait, label_1, label_3, … of the second, random with
    probability `noise`. Every number is a hash of (seed, user, step), so a user is the same in a world of any number of
    users, on any machine.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the world."""

        users: int = 1000
        """Number of users."""
        items: int = 500
        """Number of items, over all domains."""
        events_per_user: int = 60
        """Mean length of a history; lengths lie between half and one and a half times that."""
        domains: int = 3
        """domain_0, domain_1, …: items of one are no items of another."""
        traits: int = 4
        """Number of hidden traits."""
        classes: int = 4
        """Classes of each label."""
        labels: int = 6
        """label_0, label_1, …"""
        follow: float = 0.5
        """Share of events that follow the last item of the domain."""
        taste: float = 0.4
        """Share of events that a trait picks."""
        second: float = 0.3
        """Share of those that the second trait picks."""
        noise: float = 0.1
        """Share of labels that are random."""
        apart: bool = False
        """The last domain tells a third trait alone, which no other domain does; label_2, label_5, … are functions of it, and
        the others take turns. What is learnt elsewhere is then of no use there."""
        seed: int = 0
        """Another seed is another world."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("users", "items", "events_per_user", "domains", "traits", "classes"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1")
            if self.labels < 0:
                raise ValueError(f"labels is {self.labels}, it must not be negative")
            if self.items < self.domains * self.traits:
                raise ValueError(f"{self.items} items are too few for {self.domains} domains of {self.traits} traits")
            for name in ("follow", "taste", "second", "noise"):
                if not 0 <= getattr(self, name) <= 1:
                    raise ValueError(f"{name} is {getattr(self, name)}, a share lies between 0 and 1")
            if self.follow + self.taste > 1:
                raise ValueError("follow and taste are shares of one; together they are at most 1")
            if self.apart and self.domains < 2:
                raise ValueError("apart needs two domains at least, one of them the one that is apart")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Synthetic.Config = config

    def events(self) -> Iterator[EventBatch]:
        """The events of some users after the other."""
        step, names = max(1, CHUNK // self._longest), _ids("i", np.arange(self.options.items))
        for first in range(0, self.options.users, step):
            table = self._chunk(np.arange(first, min(first + step, self.options.users)), names)
            yield CodedBatch(table, len(table))

    def items(self) -> pa.Table:
        """domain, category (the trait that likes it), title."""
        o, index = self.options, np.arange(self.options.items)
        domain, kind = _named("domain", index % o.domains), _named("kind", (index // o.domains) % o.traits)
        title = pc.binary_join_element_wise(kind, domain, _named("item", index), " ")
        return pa.table({"id": _ids("i", index), "domain": domain, "category": kind, "title": title})

    def users(self) -> pa.Table:
        """label_0, label_1, … of every user."""
        users = np.arange(self.options.users)
        labels = {f"label_{k}": _named("class", self._label(k, users)) for k in range(self.options.labels)}
        return pa.table({"id": _ids("u", users), **labels})

    @property
    def _streams(self) -> tuple[int, ...]:
        """Of the hidden traits."""
        return (FIRST, SECOND, OWN) if self.options.apart else (FIRST, SECOND)

    @property
    def _longest(self) -> int:
        return self.options.events_per_user + self.options.events_per_user // 2

    def _draw(self, stream: int, users_U: np.ndarray) -> np.ndarray:
        """A random uint64 of each user."""
        seed_U = np.full(len(users_U), self.options.seed)
        return mixed(seed_U, np.full(len(users_U), stream), users_U)

    def _label(self, number: int, users_U: np.ndarray) -> np.ndarray:
        """The class of each user: a table, turned for each label, looked up at one of its traits."""
        o = self.options
        trait_U = self._draw(self._streams[number % len(self._streams)], users_U) % np.uint64(o.traits)
        shuffled = np.argsort(self._draw(TABLE, np.arange(o.traits) + number * o.traits), kind="stable")
        draw_U = self._draw(LABEL, users_U * max(1, o.labels) + number)
        wrong_U = _share(draw_U) < o.noise
        return np.where(wrong_U, splitmix(draw_U) % np.uint64(o.classes), shuffled[trait_U.astype(int)] % o.classes)

    def _chunk(self, users_U: np.ndarray, item_names: pa.Array) -> pa.Table:
        """All events of some users: a loop over time steps, every step for all users at once."""
        o = self.options
        shortest = max(1, o.events_per_user // 2)
        lengths_U = shortest + (self._draw(LENGTH, users_U) % np.uint64(self._longest - shortest + 1)).astype(np.int64)
        items_UT = np.empty((len(users_U), int(lengths_U.max())), np.int32)
        gaps_UT = np.empty(items_UT.shape, np.int32)
        for t, (items_U, gaps_U) in enumerate(self._steps(users_U, items_UT.shape[1])):
            items_UT[:, t], gaps_UT[:, t] = items_U, gaps_U
        inside_UT = np.arange(items_UT.shape[1]) < lengths_U[:, None]
        times_UT = START + np.cumsum(gaps_UT, axis=1, dtype=np.int64)
        user_E = np.repeat(np.arange(len(users_U), dtype=np.int32), lengths_U)
        user = pa.DictionaryArray.from_arrays(user_E, _ids("u", users_U))
        item = pa.DictionaryArray.from_arrays(items_UT[inside_UT], item_names)
        return pa.table({"user": user, "item": item, "time": pa.array(times_UT[inside_UT])})

    def _steps(self, users_U: np.ndarray, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The next item of every user and the seconds before it, step by step."""
        o, rows_U = self.options, np.arange(len(users_U))
        size, traits = o.items // o.domains, np.uint64(o.traits)
        trait_UK = np.stack([(self._draw(s, users_U) % traits).astype(np.int64) for s in self._streams], axis=1)
        last_UD = np.stack([_below(self._draw(PLACE, users_U + d * 2**40), size) for d in range(o.domains)], axis=1)
        state_U = self._draw(STEP, users_U)
        for _ in range(steps):
            state_U = splitmix(state_U)
            domain_U, any_U, gap_U, kind_U, which_U = (splitmix(state_U ^ np.uint64(n)) for n in range(5))
            domain_U, any_U = _below(domain_U, o.domains), _below(any_U, size)
            told_U = np.where(o.apart & (domain_U == o.domains - 1), 2, _share(which_U) < o.second)
            liked_U = any_U // o.traits * o.traits + trait_UK[rows_U, told_U]
            liked_U -= np.where(liked_U >= size, o.traits, 0)
            follow_U = (last_UD[rows_U, domain_U] * 7 + 3) % size
            share_U = _share(kind_U)
            place_U = np.select([share_U < o.follow, share_U < o.follow + o.taste], [follow_U, liked_U], any_U)
            last_UD[rows_U, domain_U] = place_U
            yield place_U * o.domains + domain_U, HOUR + _below(gap_U, 47 * HOUR)


def _share(draw: np.ndarray) -> np.ndarray:
    """Uniform in [0, 1), float64."""
    return (draw >> np.uint64(11)) * 2.0**-53


def _below(draw: np.ndarray, limit: int) -> np.ndarray:
    """Uniform in 0 … limit - 1, int64."""
    return (draw % np.uint64(limit)).astype(np.int64)


def _ids(prefix: str, index: np.ndarray) -> pa.Array:
    """i0000000, i0000001, …"""
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(pa.array(index).cast(pa.string()), 7, "0"), "")


def _named(name: str, index: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(name, pa.array(index).cast(pa.string()), "_")
