"""An invented world of any size: users with hidden traits, several domains of items, profile labels; for tests and scale runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.datasets.base import EventBatch, Source

CHUNK = 8192
"""Users made at a time; each chunk has a random stream of its own, so a user is the same in a world of any size."""
START = 1_600_000_000
HOUR = 3600


class Synthetic(Source):
    """A user has one hidden trait. Every event is in a random domain; there the user goes on to the successor of its last item
    (share `follow`), or picks one of the items that its trait likes (share `taste`), or any item.

    So a sequence model can learn successors, a profile model the trait, and each domain tells the same trait: label_k is a
    fixed function of the trait, wrong with probability `noise`.
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
        """Share of events that the trait picks."""
        noise: float = 0.1
        """Share of labels that are random."""
        seed: int = 0
        """Another seed is another world."""

        def __post_init__(self) -> None:
            for name in ("users", "items", "events_per_user", "domains", "traits", "classes"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1")
            if self.items < self.domains * self.traits:
                raise ValueError(f"{self.items} items are too few for {self.domains} domains of {self.traits} traits")
            if not 0 <= self.follow + self.taste <= 1:
                raise ValueError("follow and taste are shares of one; together they are at most 1")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Synthetic.Config = config

    def events(self) -> Iterator[EventBatch]:
        """The events of one chunk of users after the other."""
        for first in range(0, self.options.users, CHUNK):
            table = self._chunk(first, min(CHUNK, self.options.users - first))
            yield EventBatch(table, len(table))

    def items(self) -> pa.Table:
        """domain, category (the trait that likes it), title."""
        o = self.options
        index = np.arange(o.items)
        domain, trait = (pa.array(_named(n, v)) for n, v in (("domain", index % o.domains), ("kind", self._trait_of(index))))
        title = pc.binary_join_element_wise(trait, domain, pa.array(_named("item", index)), " ")
        return pa.table({"id": _ids("i", index), "domain": domain, "category": trait, "title": title})

    def users(self) -> pa.Table:
        """label_0, label_1, … of every user."""
        o = self.options
        index, trait = np.arange(o.users), self._traits(0, o.users)
        random = np.random.default_rng([o.seed, 1])
        columns = {}
        for k in range(o.labels):
            of_trait = (random.permutation(o.traits) + k) % o.classes
            wrong = random.random(o.users) < o.noise
            columns[f"label_{k}"] = _named("class", np.where(wrong, random.integers(0, o.classes, o.users), of_trait[trait]))
        return pa.table({"id": _ids("u", index), **columns})

    def _traits(self, first: int, count: int) -> np.ndarray:
        parts = [
            np.random.default_rng([self.options.seed, 2, chunk]).integers(0, self.options.traits, CHUNK)
            for chunk in range(first // CHUNK, (first + count - 1) // CHUNK + 1)
        ]
        return np.concatenate(parts)[:count]

    def _trait_of(self, items: np.ndarray) -> np.ndarray:
        return (items // self.options.domains) % self.options.traits

    def _chunk(self, first: int, count: int) -> pa.Table:
        """All events of users first … first + count: a loop over time steps, every step for all users at once."""
        o = self.options
        random = np.random.default_rng([o.seed, 3, first // CHUNK])
        trait_U = self._traits(first, count)
        lengths_U = random.integers(o.events_per_user // 2, o.events_per_user + o.events_per_user // 2 + 1, CHUNK)[:count]
        last_UD = random.integers(0, o.items // o.domains, (CHUNK, o.domains))[:count]
        items_UT = np.empty((count, int(lengths_U.max())), np.int64)
        for step in range(items_UT.shape[1]):
            items_UT[:, step] = self._step(random, trait_U, last_UD)
        inside_UT = np.arange(items_UT.shape[1]) < lengths_U[:, None]
        gaps_UT = random.integers(HOUR, 48 * HOUR, (CHUNK, items_UT.shape[1]))[:count]
        times_UT = START + np.cumsum(gaps_UT, axis=1)
        users = np.repeat(np.arange(first, first + count), lengths_U)
        return pa.table(
            {"user": _ids("u", users), "item": _ids("i", items_UT[inside_UT]), "time": pa.array(times_UT[inside_UT])}
        )

    def _step(self, random: np.random.Generator, trait_U: np.ndarray, last_UD: np.ndarray) -> np.ndarray:
        """The next item of every user; last_UD (place within the domain) is brought up to date."""
        o = self.options
        size, users = o.items // o.domains, np.arange(len(trait_U))
        domain_U = random.integers(0, o.domains, CHUNK)[users]
        kind_U, any_U = random.random(CHUNK)[users], random.integers(0, size, CHUNK)[users]
        liked_U = (any_U // o.traits) * o.traits + trait_U
        successor_U = (last_UD[users, domain_U] * 7 + 3) % size
        place_U = np.where(kind_U < o.follow, successor_U, np.where(kind_U < o.follow + o.taste, liked_U % size, any_U))
        last_UD[users, domain_U] = place_U
        return place_U * o.domains + domain_U


def _ids(prefix: str, index: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(pa.array(index).cast(pa.string()), 7, "0"), "")


def _named(name: str, index: np.ndarray) -> list[str]:
    return [f"{name}_{i}" for i in index.tolist()]
