"""Times as unix seconds: numbers in seconds to nanoseconds told by their size, ISO text, Arrow timestamps."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.ids import Flags, decimal_numbers, is_text, valid_text

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
KINDS = (*PER_SECOND, "text without a time zone (read as UTC)", "text with a time zone")
LIMITS = (4_102_444_800, 1e11, 4_102_444_800e3, 1e14, 4_102_444_800e6, 1e17)
"""Below the first a number is seconds, until the year 2100; from the second to the third milliseconds, 1973 to 2100; and so on.
What lies between could be the end of one unit or the beginning of the next, and is not guessed."""
NAIVE, ZONED, UNREADABLE, TWO_UNITS = 4, 5, -1, -2
KIND_OF_SIZE = np.array([0, TWO_UNITS, 1, TWO_UNITS, 2, TWO_UNITS, 3])
FAR = 253_402_300_800
"""The year 10000, in unix seconds: nothing happened then."""
ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"
ZONE = r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
WHOLE, NUMBER = r"^-?\d{1,18}$", r"^-?\d+(\.\d*)?([eE][+-]?\d{1,3})?$"
MISSING, UNREADABLE_TIME = "no time", "unreadable time"
AMBIGUOUS = "a time after 2100 in one unit and before 1973 in the next (set time_unit)"
FAR_TIME = "a time beyond the year 9999"


class Clock:
    """Reads one column of times, block by block; the first readable row says what kind they are, all must be of it."""

    def __init__(self, unit: str = "auto") -> None:
        self.unit = unit
        self._kind = UNREADABLE if unit == "auto" else KINDS.index(unit)
        self._typed: str | None = None

    @property
    def kind(self) -> str:
        """What the times are, in words; empty as long as none was read."""
        return self._typed or (KINDS[self._kind] if self._kind >= 0 else "")

    def read(self, column: pa.Array, where: str) -> tuple[np.ndarray, np.ndarray, Flags]:
        """Seconds (N, int64), nanoseconds above them (N, int64), and what cannot be used.

        Raises DataError for a type that holds no times.
        """
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return _within_years(*self._timestamps(column))
        if is_text(column.type):
            found = self._text(column)
            return found if self.unit == "auto" else _within_years(*found)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type):
            found = self._numbers(column, np.zeros(len(column), bool))
            return found if self.unit == "auto" else _within_years(*found)
        raise DataError(f"{where}: times are numbers, ISO text or timestamps, these are {column.type}")

    def _timestamps(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray, Flags]:
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        self._typed = f"timestamps ({column.type})"
        missing = column.is_null().to_numpy(zero_copy_only=False)
        value = column.cast(pa.int64()).fill_null(0).to_numpy()
        return value // per, value % per * (10**9 // per), [(MISSING, missing)]

    def _numbers(self, column: pa.Array, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray, Flags]:
        missing = missing | column.is_null().to_numpy(zero_copy_only=False) if column.null_count else missing
        value = _filled(column)
        kind = _common_kind(value) if self.unit == "auto" and not missing.any() else None
        if kind is not None and self._kind in (UNREADABLE, kind):  # the usual case
            self._kind = kind
            return *_divided(value, PER_SECOND[KINDS[kind]]), []
        kinds = np.where(np.isfinite(value), _kinds(np.abs(value.astype(float))), UNREADABLE)
        kinds[np.abs(value.astype(float)) >= 2.0**63] = UNREADABLE
        if self.unit != "auto":
            kinds[kinds != UNREADABLE] = KINDS.index(self.unit)
        flags = self._flags(kinds, missing)
        seconds, nanos = _divided(value, PER_SECOND[KINDS[min(max(self._kind, 0), 3)]])
        return seconds, nanos, flags

    def _text(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray, Flags]:
        text, not_utf8 = valid_text(column)
        numbers = None if not_utf8.any() else decimal_numbers(text)
        if numbers is not None:  # the usual case, all exact
            return self._numbers(pa.array(numbers), not_utf8)
        text = pc.utf8_trim_whitespace(text)
        missing = pc.binary_length(text).fill_null(0).to_numpy(zero_copy_only=False) == 0
        missing &= ~not_utf8
        if _matches(text, WHOLE)[~missing].all():
            return self._numbers(pc.if_else(pa.array(missing), None, text).cast(pa.int64()), missing)
        kinds = np.full(len(text), UNREADABLE)
        seconds, nanos = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64)
        self._some_numbers(text, kinds, seconds, nanos)
        self._some_dates(text, kinds, seconds, nanos)
        return seconds, nanos, self._flags(kinds, missing)

    def _some_numbers(self, text: pa.Array, kinds: np.ndarray, seconds: np.ndarray, nanos: np.ndarray) -> None:
        for pattern, kind in ((WHOLE, pa.int64()), (NUMBER, pa.float64())):
            rows = np.flatnonzero(_matches(text, pattern) & (kinds == UNREADABLE))
            if not len(rows):
                continue
            value = text.take(pa.array(rows)).cast(kind).to_numpy()
            size = np.abs(value.astype(float))
            found = np.where(size < 2.0**63, _kinds(size), UNREADABLE)
            if self.unit != "auto":
                found[found != UNREADABLE] = KINDS.index(self.unit)
            kinds[rows] = found
            for k, per in enumerate(PER_SECOND.values()):
                seconds[rows[found == k]], nanos[rows[found == k]] = _divided(value[found == k], per)

    def _some_dates(self, text: pa.Array, kinds: np.ndarray, seconds: np.ndarray, nanos: np.ndarray) -> None:
        dates, zoned = _matches(text, ISO), _matches(text, ZONE)
        for kind, rows in ((NAIVE, np.flatnonzero(dates & ~zoned)), (ZONED, np.flatnonzero(dates & zoned))):
            if not len(rows):
                continue
            good, value = _dates(text.take(pa.array(rows)), "UTC" if kind == ZONED else None)
            kinds[rows[good]] = kind
            seconds[rows[good]], nanos[rows[good]] = value // 10**9, value % 10**9

    def _flags(self, kinds: np.ndarray, missing: np.ndarray) -> Flags:
        kinds = np.where(missing, UNREADABLE, kinds)
        readable = kinds[kinds >= 0]
        if self._kind == UNREADABLE and len(readable):
            self._kind = int(readable[0])
        other = (kinds >= 0) & (kinds != self._kind)
        flags = [(MISSING, missing), (UNREADABLE_TIME, (kinds == UNREADABLE) & ~missing)]
        flags.append((AMBIGUOUS, kinds == TWO_UNITS))
        return [*flags, (f"another kind of time than the first ({self.kind})", other)]


def _filled(column: pa.Array) -> np.ndarray:
    """The numbers, 0 where there is none: int64 where they fit, else float64."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64)
    value = column.fill_null(0).to_numpy(zero_copy_only=False)
    return value.astype(np.float64 if value.dtype.kind == "f" or value.dtype == np.uint64 else np.int64)


def _common_kind(value: np.ndarray) -> int | None:
    """The kind of all numbers by their size, None where they differ or one is negative."""
    if value.dtype.kind != "i" or not len(value) or (low := int(value.min())) < 0:
        return None
    first, last = np.digitize([float(low), float(value.max())], LIMITS).tolist()
    return int(KIND_OF_SIZE[first]) if first == last and first % 2 == 0 else None


def _kinds(size: np.ndarray) -> np.ndarray:
    """The kind of each number by its size."""
    found: np.ndarray = KIND_OF_SIZE[np.digitize(size, LIMITS)]
    return found


def _within_years(seconds: np.ndarray, nanos: np.ndarray, flags: Flags) -> tuple[np.ndarray, np.ndarray, Flags]:
    """The same with what no calendar has flagged."""
    if len(seconds) and (int(seconds.min()) <= -FAR or int(seconds.max()) >= FAR):
        flags = [*flags, (FAR_TIME, (seconds <= -FAR) | (seconds >= FAR))]
    return seconds, nanos, flags


def _divided(value: np.ndarray, per: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole seconds and the nanoseconds above them (int64); what does not fit is 0 and flagged elsewhere."""
    if value.dtype.kind == "i":
        if per == 1:
            return value, np.zeros(len(value), np.int64)
        return value // per, value % per * (10**9 // per)
    value = np.where(np.abs(value) < 2.0**63, value, 0.0)
    seconds = np.floor(value / per)
    return seconds.astype(np.int64), ((value - seconds * per) * (10**9 // per)).astype(np.int64)


def _dates(text: pa.Array, zone: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are dates that exist, and the nanoseconds of those (int64)."""
    good = np.ones(len(text), bool)
    try:
        stamps = text.cast(pa.timestamp("ns", zone))
    except pa.ArrowInvalid:  # one of them is a 30 February
        good = np.fromiter((_exists(value) for value in text.to_pylist()), bool, len(text))
        stamps = text.filter(pa.array(good)).cast(pa.timestamp("ns", zone))
    return good, stamps.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _exists(text: str) -> bool:
    try:
        return 1678 <= datetime.datetime.fromisoformat(text).year < 2262  # what 64 bits of nanoseconds hold
    except ValueError:
        return False


def _matches(text: pa.Array, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(text, pattern).fill_null(False).to_numpy(zero_copy_only=False)
