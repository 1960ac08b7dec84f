"""Histories of the users of an event file, for asking a model."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.events import Columns, read_events


def read_histories(
    path: str | Path, columns: Columns, *, format: str | None = None, delimiter: str | None = None
) -> tuple[list[str], list[list[str]]]:
    """User ids, sorted, and the item ids of each, oldest first; rows of equal time keep their order. Raises DataError."""
    batches = [batch.table for batch in read_events(path, columns, format=format, delimiter=delimiter)]
    if not batches:
        raise DataError(f"{path}: holds no events")
    events = pa.concat_tables([table.select(["user", "item", "time", "tie"]) for table in batches])
    users = events["user"].combine_chunks().dictionary_encode()
    user_E = users.indices.to_numpy(zero_copy_only=False)
    order_E = np.lexsort((events["tie"].to_numpy(), events["time"].to_numpy(), user_E))
    items = events["item"].combine_chunks().take(pa.array(order_E)).to_pylist()
    bounds = np.searchsorted(user_E[order_E], np.arange(len(users.dictionary) + 1)).tolist()
    names = users.dictionary.to_pylist()
    histories = [items[start:end] for start, end in pairwise(bounds)]
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return [names[n] for n in by_name], [histories[n] for n in by_name]
