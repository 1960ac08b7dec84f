"""External ids as exact strings: "007" and "7" are two, 7 is "7", and 7.0 is nobody's id."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError

MAX_ID_BYTES = 1000
MARK = b"\x1a"
"""ASCII's SUB, which the reader of CSV puts in the place of a byte that is not UTF-8."""
MISSING, NOT_UTF8, TOO_LONG = "no id", "not UTF-8", f"longer than {MAX_ID_BYTES} bytes"
LINE_BREAK = "a line break or NUL in an id (is a quote not closed?)"

Flags = list[tuple[str, np.ndarray]]
"""Reason -> bool (N): the rows that cannot be used."""


def read_ids(column: pa.Array, where: str) -> tuple[pa.Array, Flags]:
    """A string array (N) of the ids, and what is wrong with some. Raises DataError for a type that holds no ids."""
    column = without_views(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) or _is_whole_decimal(column.type):
        return _flagged(column.cast(pa.string()), np.zeros(len(column), bool))
    if pa.types.is_null(column.type):
        return _flagged(column.cast(pa.string()), np.zeros(len(column), bool))
    if not is_text(column.type):
        hint = "; write 7 instead of 7.0, or turn the column into text" if pa.types.is_floating(column.type) else ""
        raise DataError(f"{where}: ids are text or whole numbers, these are {column.type}{hint}")
    return _flagged(*valid_text(column))


def coded_ids(column: pa.Array, where: str) -> tuple[pa.Array, Flags]:
    """As read_ids, but whole numbers stay numbers and dictionaries of text without a fault stay dictionaries."""
    kind = column.type
    if pa.types.is_integer(kind) and kind != pa.uint64():
        missing = [(MISSING, column.is_null().to_numpy(zero_copy_only=False))] if column.null_count else []
        return column.cast(pa.int64()), missing
    if pa.types.is_dictionary(kind) and not column.null_count and is_text(kind.value_type):
        text, flags = read_ids(column.dictionary, where)
        if not any(wrong.any() for _, wrong in flags):
            return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), text), []
    return read_ids(column, where)


def decimal_numbers(text: pa.Array) -> np.ndarray | None:
    """The numbers (int64) that the text says, None unless every one is a plain decimal: no sign, no leading zero."""
    if not len(text) or text.null_count or not all(text[place].as_py().isdecimal() for place in (0, -1)):
        return None  # seen at two rows, since Arrow writes an error for each row that it cannot read
    if _holds(text, b"x", b"X"):  # Arrow reads 0x1f, too
        return None
    lengths = pc.binary_length(text).to_numpy()
    if int(lengths.max()) > 18:
        return None
    try:
        numbers = text.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    if int(numbers.min()) < 0:
        return None
    digits = np.ones(len(numbers), lengths.dtype)
    for power in range(1, len(str(int(numbers.max())))):
        digits += numbers >= 10**power
    return numbers if (digits == lengths).all() else None


def as_text(column: pa.Array, where: str, rows_N: np.ndarray) -> pa.Array:
    """Any column as text (N), null where it is empty; `rows_N` are the numbers for an error. Raises DataError."""
    column = without_views(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths_N = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        parts = as_text(column.flatten(), where, np.repeat(rows_N, lengths_N)).fill_null("")
        offsets = pa.array(np.concatenate(([0], np.cumsum(lengths_N))).astype(np.int32))
        return as_text(pc.binary_join(pa.ListArray.from_arrays(offsets, parts), " "), where, rows_N)
    if not is_text(column.type):
        try:
            return column.cast(pa.string())
        except pa.ArrowException:
            raise DataError(f"{where}: {column.type} cannot be shown as text") from None
    text, wrong = valid_text(column)
    if wrong.any():
        raise DataError(f"{where}: row {rows_N[np.flatnonzero(wrong)[0]]}: {NOT_UTF8}; save the file as UTF-8")
    return pc.if_else(pc.equal(text, ""), None, text)


def without_views(column: pa.Array) -> pa.Array:
    """Ordinary text in the place of views of it, which polars gives and few of Arrow's functions take."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, without_views(column.dictionary))
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_string_view(kind.value_type):
        return column.cast(pa.large_list(pa.large_string()))
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    return column.cast(pa.large_binary()) if pa.types.is_binary_view(kind) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text (or bytes that may be text)."""
    tests = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_binary_view")
    return any(getattr(pa.types, test, lambda _: False)(kind) for test in tests)


def valid_text(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Bytes or text as a string array, and where it was not UTF-8 (null there)."""
    raw = column.cast(pa.binary())
    try:
        text = raw.cast(pa.string())
        if not _holds(text, MARK):
            return text, np.zeros(len(raw), bool)
        wrong = pc.match_substring(raw, MARK).fill_null(False).to_numpy(zero_copy_only=False)
        return pc.if_else(pa.array(wrong), None, text), wrong
    except pa.ArrowInvalid:
        wrong = np.fromiter((not _is_utf8(value) for value in raw.to_pylist()), bool, len(raw))
        return pc.if_else(pa.array(wrong), None, raw).cast(pa.string()), wrong


def _flagged(ids: pa.Array, not_utf8: np.ndarray) -> tuple[pa.Array, Flags]:
    lengths = pc.binary_length(ids).fill_null(0).to_numpy(zero_copy_only=False)
    flags = [(NOT_UTF8, not_utf8), (MISSING, lengths == 0), (TOO_LONG, lengths > MAX_ID_BYTES)]
    if _holds(ids, b"\0", b"\n", b"\r"):
        broken = pc.match_substring_regex(ids, r"[\x00\n\r]").fill_null(False)
        flags.append((LINE_BREAK, broken.to_numpy(zero_copy_only=False)))
    return ids, flags


def _holds(text: pa.Array, *parts: bytes) -> bool:
    """Whether one of them is anywhere in the text; cheaper than a pattern for each value."""
    buffer = text.buffers()[2]
    joined = buffer.to_pybytes() if buffer is not None else b""
    return any(part in joined for part in parts)


def _is_whole_decimal(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind) and kind.scale == 0


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
