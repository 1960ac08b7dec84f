"""Ids to whole numbers, batch by batch: the code of an id is the order in which it was first seen."""

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.ids import decimal_numbers, is_text

SPARE = 1 << 16
"""Whole numbers may lie in so wide a window, or else in one of WIDTH times as many places as there were rows."""
WIDTH, WIDEST = 16, 1 << 26

Compact: TypeAlias = np.ndarray | pa.DictionaryArray
"""Ids of some rows in little space: int64 numbers, or a dictionary of text."""


class Vocabulary:
    """Grows as ids come; a code never changes.

    Whole numbers, also those written as decimal text, are looked up in a table as long as they lie close together, and
    are hashed as numbers where they do not. With the first id that is no such number all become text. 7 and "7" are one.
    """

    def __init__(self) -> None:
        self._window: _Window | None = _Window()
        self._known: pa.Array = pa.array([], pa.int64())
        """The ids in the order of their codes, unless the window has them."""

    def __len__(self) -> int:
        return len(self._known) if self._window is None else self._window.count

    def compact(self, column: pa.Array) -> Compact:
        """What `codes` takes, of a column of whole numbers, text or a dictionary of one of them, without nulls."""
        if pa.types.is_dictionary(column.type):
            return _compact_dictionary(column, self._is_text)
        numbers = None if self._is_text and is_text(column.type) else _numbers(column)
        return _text(column).dictionary_encode() if numbers is None else numbers

    def codes(self, parts: list[Compact]) -> np.ndarray:
        """The codes (N, int32) of all rows of the parts; ids that were not seen before get the next ones."""
        numbers = [part for part in parts if isinstance(part, np.ndarray)]
        if not self._is_text and len(numbers) == len(parts):
            return self._of_numbers(np.concatenate(numbers))
        self._leave_window()
        self._known = _text(self._known)
        return self._hashed([_text(pa.array(p)).dictionary_encode() if isinstance(p, np.ndarray) else p for p in parts])

    def ranked(self) -> tuple[pa.Array, np.ndarray]:
        """The ids as sorted text, and the place of each code's id among them (int32)."""
        ids = _text(pa.array(self._window.numbers()) if self._window else self._known)
        by_id = pc.sort_indices(ids)
        place = np.empty(len(ids), np.int32)
        place[by_id.to_numpy()] = np.arange(len(ids), dtype=np.int32)
        return ids.take(by_id), place

    @property
    def _is_text(self) -> bool:
        return not pa.types.is_integer(self._known.type)

    def _of_numbers(self, numbers_N: np.ndarray) -> np.ndarray:
        if self._window is not None and self._window.widen(numbers_N):
            return self._window.codes(numbers_N)
        self._leave_window()
        return self._hashed([pa.array(numbers_N).dictionary_encode()])

    def _leave_window(self) -> None:
        if self._window is not None:
            self._known, self._window = pa.array(self._window.numbers()), None

    def _hashed(self, parts: list[pa.DictionaryArray]) -> np.ndarray:
        """Arrow joins the dictionaries with ours in front, so that what we know keeps its place."""
        none = pa.array([], pa.int32())
        ours = pa.DictionaryArray.from_arrays(none, self._known)
        merged = pa.chunked_array([ours, *_grouped(parts)]).unify_dictionaries()
        self._known = merged.chunk(0).dictionary
        return np.concatenate([part.indices.to_numpy() for part in merged.chunks]).astype(np.int32, copy=False)


class _Window:
    """Codes of whole numbers that lie close together, in a table with a place for each number between."""

    def __init__(self) -> None:
        self.count, self._rows, self._low = 0, 0, 0
        self._code = np.empty(0, np.int32)
        self._found: list[np.ndarray] = []

    def widen(self, numbers_N: np.ndarray) -> bool:
        """Make place for these; False, and nothing happens, where they lie too far from each other."""
        low, high = int(numbers_N.min()), int(numbers_N.max())
        if len(self._code):
            low, high = min(low, self._low), max(high, self._low + len(self._code) - 1)
        width = high - low + 1
        self._rows += len(numbers_N)
        if width > min(max(SPARE, WIDTH * self._rows), WIDEST):
            return False
        if width > len(self._code):
            below = self._low - low if len(self._code) else 0
            above = min(width, WIDEST - width) if self.count else 0  # ids often grow; so the table seldom does
            code = np.full(width + min(above, 2**63 - 1 - high), -1, np.int32)
            code[below : below + len(self._code)] = self._code
            self._code, self._low = code, low
        return True

    def codes(self, numbers_N: np.ndarray) -> np.ndarray:
        place_N = numbers_N - self._low
        code_N = self._code[place_N]
        fresh_N = code_N < 0
        if fresh_N.any():
            fresh = _distinct(place_N[fresh_N], self._code)
            self._code[fresh] = np.arange(self.count, self.count + len(fresh), dtype=np.int32)
            self._found.append(fresh + self._low)
            self.count += len(fresh)
            code_N = self._code[place_N]
        return code_N

    def numbers(self) -> np.ndarray:
        """In the order of their codes (int64)."""
        return np.concatenate([*self._found, np.empty(0, np.int64)])


def _distinct(place_n: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Each place once: of those that write their number to the same mark, one finds it there again."""
    number_n = np.arange(len(place_n), dtype=marks.dtype)
    marks[place_n[::-1]] = number_n[::-1]  # the last one stays, which is the first row
    return place_n[marks[place_n] == number_n]


def _compact_dictionary(column: pa.DictionaryArray, as_text: bool) -> Compact:
    numbers = None if as_text else _numbers(column.dictionary)
    indices = column.indices.cast(pa.int32())
    if numbers is not None:
        return numbers[indices.to_numpy()]
    return pa.DictionaryArray.from_arrays(indices, _text(column.dictionary))


def _numbers(column: pa.Array) -> np.ndarray | None:
    """int64, or None where some are no whole numbers of 64 bits, or are written in another way than plain decimals."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64()).to_numpy()
    return decimal_numbers(column) if is_text(column.type) else None


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _grouped(parts: list[pa.DictionaryArray]) -> list[pa.DictionaryArray]:
    """Parts that follow each other with the same dictionary as one, so that it is hashed once."""
    groups: list[list[pa.DictionaryArray]] = []
    for part in parts:
        if groups and groups[-1][0].dictionary.equals(part.dictionary):
            groups[-1].append(part)
        else:
            groups.append([part])
    return [
        pa.DictionaryArray.from_arrays(pa.concat_arrays([part.indices for part in group]), group[0].dictionary)
        for group in groups
    ]
