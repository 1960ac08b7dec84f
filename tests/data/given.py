"""A source of the events that a test gives, and ways to look at what is prepared of them."""

import numpy as np
import pyarrow as pa

from lifelong.data.datasets.base import EventBatch, Source

EVENTS = {
    "user": ["b", "a", "b", "c", "b", "a"],
    "item": ["x", "y", "z", "x", "x", "x"],
    "time": [3, 1, 2, 9, 3, 4],
}


class Given(Source):
    """Events as they are given, in batches of some size."""

    def __init__(self, events, batch=100, **options):
        super().__init__(Source.Config(**options))
        self.table, self.batch = pa.table(events), batch

    def identity(self):
        return {**super().identity(), "rows": self.table.to_pydict()}

    def events(self):
        for batch in self.table.to_batches(max_chunksize=self.batch):
            table = pa.Table.from_batches([batch])
            yield EventBatch(table, len(table))


def histories(found):
    users, items = found.users["id"].to_pylist(), found.items["id"].to_pylist()
    bounds = found.offsets_U1.tolist()
    return {u: [items[i] for i in found.items_E[a:b]] for u, a, b in zip(users, bounds, bounds[1:], strict=False)}


def same(one, other):
    assert one.users.equals(other.users)
    assert one.items.equals(other.items)
    for name in ("offsets_U1", "items_E", "times_E"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
