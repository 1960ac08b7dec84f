"""Tables of items and users out of files with any column names: all text, null where empty, each id once."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import suggest
from lifelong.core.errors import DataError
from lifelong.data.datasets.base import CodedBatch, EventBatch
from lifelong.data.datasets.downloads.rows import refuse
from lifelong.data.formats.base import Opened
from lifelong.data.ids import as_text


def text_table(opened: Opened, columns: Mapping[str, str], drops: bool) -> pa.Table:
    """Our name -> column of the file, as text that is trimmed, null where it is empty; "id" must be among ours.

    The first row of an id counts, rows without one are left out. Raises DataError for a column that is missing, and for rows
    that cannot be read unless `drops`.
    """
    for name in columns.values():
        if name not in opened.names:
            raise DataError(f"{opened.label}: there is no column {name!r}{suggest(name, opened.names)}")
    tables = []
    for block in opened.blocks(dict(columns)):
        refuse(opened, block.bad, drops)
        cells = {
            n: as_text(c, f"{opened.label}: column {columns[n]!r}", block.rows_N) for n, c in block.columns.items()
        }
        tables.append(pa.table({name: trimmed(column) for name, column in cells.items()}))
    if not tables:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    return first_of_each(pa.concat_tables(tables).combine_chunks())


def prefixed(batches: Iterable[EventBatch], prefix: str) -> Iterator[EventBatch]:
    """The same events of items called `prefix-id`: the same number is another item in another data set."""
    for batch in batches:
        table = batch.coded
        item = table["item"].combine_chunks().dictionary_encode()
        names = pc.binary_join_element_wise(prefix, item.dictionary.cast(pa.string()), "-")
        coded = pa.DictionaryArray.from_arrays(item.indices, names)
        place = table.column_names.index("item")
        yield CodedBatch(table.set_column(place, "item", coded), batch.rows_read, batch.dropped)


def called(items: pa.Table, prefix: str) -> pa.Table:
    """A table of items with the ids of `prefixed`, and the prefix as domain."""
    ids = pc.binary_join_element_wise(prefix, items["id"].combine_chunks(), "-")
    named = items.set_column(items.column_names.index("id"), "id", ids)
    return named.append_column("domain", pa.repeat(prefix, len(named)))


def trimmed(column: pa.Array) -> pa.Array:
    """Text without white space at its ends, null where nothing is left."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), None, text)


def first_of_each(table: pa.Table) -> pa.Table:
    """The first row of each id, in the order of the rows; rows without an id go."""
    table = table.filter(table["id"].is_valid())
    index = table["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.sort(np.unique(index, return_index=True)[1])
    return table if len(first) == len(table) else table.take(pa.array(first))
