"""JSONL: one object a line; numbers as ids become their exact digits."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLANK, BLOCK_BYTES, Bad, Block, Opened, alike, first_line, pieces

UNUSABLE = "unusable line"
SAID = {bool: "true or false", float: "a number with a fraction", dict: "an object", list: "a list"}
"""Types that no id has, in words: the value itself may be a user's."""
IDS = ("user", "item", "channel")


def opened(path: Path) -> Opened:
    """A file whose first object names the columns. Raises DataError where the first line is no object."""
    text = first_line(path, "jsonl")
    try:
        first = _object(text.encode())
    except ValueError as error:
        raise DataError(f"{path}: line 1: {error!s:.100}; write one JSON object a line") from None

    def blocks(wanted: dict[str, str]) -> Iterator[Block]:
        return _blocks(path, wanted, first)

    return Opened(str(path), "jsonl", list(first), blocks)


def _blocks(path: Path, wanted: dict[str, str], first: dict[str, Any]) -> Iterator[Block]:
    schema = pa.schema([(name, _type(first[name])) for name in wanted.values()])
    row = 1
    for text in pieces(path, "jsonl", BLOCK_BYTES):
        lines = text.count(b"\n") + (not text.endswith(b"\n"))
        yield _fast(text, lines, row, wanted, schema) or _slow(text, row, wanted, schema)
        row += lines


def _fast(text: bytes, lines: int, row: int, wanted: dict[str, str], schema: pa.Schema) -> Block | None:
    """All lines at once, if they are one object each, of the types of the first; else None."""
    try:
        table = pyarrow.json.read_json(
            io.BytesIO(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if len(table) != lines or not _one_object_a_line(text, lines):
        return None
    columns = {role: table[name].combine_chunks() for role, name in wanted.items()}
    return Block(columns, np.arange(row, row + lines, dtype=np.int64))


def _one_object_a_line(text: bytes, lines: int) -> bool:
    """Whether every line begins with a brace; the reader takes two objects of one line for those of two."""
    return text.startswith(b"{") + text.count(b"\n{") == lines


def _slow(text: bytes, row: int, wanted: dict[str, str], schema: pa.Schema) -> Block:
    """Line by line, to tell the good from the bad; ids and times as text."""
    rows: list[int] = []
    values: dict[str, list[Any]] = {role: [] for role in wanted}
    bad, blank = [], []  # type: tuple[list[Bad], list[int]]
    for number, line in enumerate(io.BytesIO(text), row):  # one line at a time: there may be 16 million in a piece
        if not line.strip():
            blank.append(number)
            continue
        try:
            found = _object(line)
            cells = {role: _cell(found.get(name), role, schema.field(name).type) for role, name in wanted.items()}
        except ValueError as error:
            bad.append(Bad(number, UNUSABLE, f" ({error!s:.100})"))
            continue
        rows.append(number)
        for role, cell in cells.items():
            values[role].append(cell)
    kinds = {
        r: pa.list_(pa.string()) if pa.types.is_list(schema.field(n).type) else pa.string() for r, n in wanted.items()
    }
    found = {r: pa.array(v, kinds[r]) for r, v in values.items()}
    return Block(found, np.array(rows, np.int64), (*bad, *alike(np.array(blank), BLANK)))


def _object(line: bytes) -> dict[str, Any]:
    """One line as a dict. Raises ValueError, in words, where it is none."""
    try:
        found = json.loads(line, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object in braces")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _cell(value: Any, role: str, kind: pa.DataType) -> Any:
    """The value as text, or as a list of texts where the first line had a list."""
    if pa.types.is_list(kind):
        if value is not None and not isinstance(value, list):
            raise ValueError(f"{role} is no list, as in the first line")
        return value and [_cell(v, role, pa.string()) for v in value]
    if isinstance(value, str):
        if not value.isascii():
            value.encode()  # half a surrogate pair raises a ValueError
        return value
    if isinstance(value, dict | list) or (isinstance(value, bool | float) and role in IDS):
        raise ValueError(f"{role} is {SAID[type(value)]}")
    return None if value is None else json.dumps(value)


def _type(value: Any) -> pa.DataType:
    """What Arrow is to expect of a column, from its value in the first line; what does not fit is read line by line."""
    if isinstance(value, list):
        return pa.list_(_type(value[0] if value else None))
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, bool):
        return pa.bool_()
    return pa.int64() if isinstance(value, int) else pa.string()
