"""A data set some of whose items are marked, so that a task can leave them out and they come later as newcomers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lifelong.data.datasets.base import EventBatch, Source
from lifelong.opened import make_source

SPEC = "benchmarks.studies.withheld:Withheld"


class Withheld(Source):
    """Another data set with one more field of its items: `withheld`, yes or no by a hash of the id."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        of: Any
        """The data set's name, or {name: …, option: …}."""
        share: float = 0.1
        """Of the items."""

    @property
    def inner(self) -> Source:
        """The data set itself."""
        return make_source(self.config.of, "withheld: of")

    def identity(self) -> dict[str, Any]:
        """Both."""
        return {**super().identity(), "of": self.inner.identity()}

    def events(self) -> Iterator[EventBatch]:
        """As they are there."""
        yield from self.inner.events()

    def items(self) -> pa.Table:
        """With the mark."""
        items = self.inner.items()
        assert items is not None
        marks = ["yes" if withheld(item, self.config.share) else "no" for item in items["id"].to_pylist()]
        return items.append_column("withheld", pa.array(marks))

    def users(self) -> pa.Table | None:
        """As they are there."""
        return self.inner.users()


def withheld(item: str, share: float) -> bool:
    """Whether an item is."""
    place = int.from_bytes(hashlib.blake2b(f"withheld:{item}".encode(), digest_size=8).digest(), "little")
    return place / 2**64 < share
