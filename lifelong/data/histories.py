"""Histories of the users of an event file, for asking a model."""

from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.core.types import Event
from lifelong.data.events import Columns, read_events


def read_histories(
    path: str | Path, columns: Columns, *, format: str | None = None, delimiter: str | None = None
) -> tuple[list[str], list[list[Event]]]:
    """User ids, sorted, and the events of each, oldest first; rows of equal time keep their order. Raises DataError."""
    batches = [batch.table for batch in read_events(path, columns, format=format, delimiter=delimiter)]
    if not batches:
        raise DataError(f"{path}: holds no events")
    wanted = [c for c in ("user", "item", "time", "tie", "channel") if c in batches[0].column_names]
    events = pa.concat_tables([table.select(wanted) for table in batches])
    users = events["user"].combine_chunks().dictionary_encode()
    user_E = users.indices.to_numpy(zero_copy_only=False)
    order_E = np.lexsort((events["tie"].to_numpy(), events["time"].to_numpy(), user_E))
    events = events.take(pa.array(order_E))
    kinds = events["channel"].cast(pa.string()).to_pylist() if "channel" in wanted else repeat(None, len(order_E))
    ordered = list(map(Event, events["item"].to_pylist(), kinds, events["time"].to_pylist()))
    bounds = np.searchsorted(user_E[order_E], np.arange(len(users.dictionary) + 1)).tolist()
    names = users.dictionary.to_pylist()
    histories = [ordered[start:end] for start, end in pairwise(bounds)]
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return [names[n] for n in by_name], [histories[n] for n in by_name]
