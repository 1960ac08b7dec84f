"""Numbers as people read them, the same on the page and in the terminal."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

MISSING = "–"
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of what steers and is not read: control, format (bidi), halves of surrogates, separators of lines."""


def clean(text: Any) -> str:
    """Text that can neither steer a terminal nor turn the reading direction: such characters become �.

    >>> clean("age\\x1b[31m")
    'age�[31m'
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in STEERING and c not in "\n\t" else c for c in text)


def line(text: Any) -> str:
    """The same on one line, as a cell of a table wants it: what would begin another, or move to another column, is spelt out.

    >>> line("kids\\nage 5")
    'kids\\\\nage 5'
    """
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether there is a finite number: JSON's null, NaN and infinity, text and true are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def score(value: Any) -> str:
    """A metric's value with four decimals.

    >>> score(0.08124), score(None)
    ('0.0812', '–')
    """
    return f"{value:.4f}" if is_number(value) else MISSING


def names(found: Sequence[str]) -> str:
    """Names as a sentence has them, at least one.

    >>> names(["a"]), names(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def change(value: Any) -> str:
    """A signed difference. Only an exact zero is written 0: what would round to zero keeps its size.

    >>> change(0.0), change(-0.0123), change(2e-9)
    ('0', '-0.0123', '+2e-09')
    """
    if not is_number(value):
        return MISSING
    if value == 0:
        return "0"
    return f"{value:+.4f}" if abs(value) >= 5e-5 else f"{value:+.0e}"


def chance(p: Any) -> str:
    """A p-value.

    >>> chance(0.0312), chance(0.00002), chance(None)
    ('0.031', '< 0.001', '–')
    """
    if not is_number(p):
        return MISSING
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def relative(value: Any, reference: Any) -> float | None:
    """(value - reference) / |reference|; None where one is missing; the difference itself where the reference is 0."""
    if not (is_number(value) and is_number(reference)):
        return None
    return (value - reference) / (abs(reference) or 1.0)


def percent(value: Any) -> str:
    """A share as a percentage.

    >>> percent(0.3), percent(0.0004), percent(0)
    ('30 %', '0.04 %', '0 %')
    """
    if not is_number(value):
        return MISSING
    points = 100 * value
    return f"{points:.0f} %" if points == 0 or abs(points) >= 9.95 else f"{points:.{1 if abs(points) >= 0.1 else 2}f} %"


def signed_percent(value: float) -> str:
    """A relative change. Only an exact zero is written without a sign.

    >>> signed_percent(-0.34), signed_percent(0.004), signed_percent(-1e-7)
    ('-34 %', '+0.4 %', '-1e-05 %')
    """
    points = 100 * value
    if points == 0:
        return "0 %"
    if abs(points) < 0.05:
        return f"{points:+.0e} %"
    return f"{points:+.{0 if abs(points) >= 9.95 else 1}f} %"


def count(value: Any) -> str:
    """A whole number with thin groups.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,.0f}" if is_number(value) else MISSING


def checked(changed: Mapping[str, int]) -> str:
    """What a commit found of the other tasks: name -> how many of its probe values changed.

    >>> checked({"age": 0, "next": 0})
    '2 checked in a fresh process, 0 probe values changed'
    """
    return f"{len(changed)} checked in a fresh process, {count(sum(changed.values()))} probe values changed"


def size(value: Any) -> str:
    """Bytes, in decimal units.

    >>> size(532), size(1_240_000)
    ('532 B', '1.2 MB')
    """
    return _scaled(value, 1000.0, ("B", "kB", "MB", "GB", "TB")) if is_number(value) else MISSING


def duration(value: Any) -> str:
    """Seconds as s, min or h.

    >>> duration(8.25), duration(754), duration(7200)
    ('8.2 s', '12.6 min', '2.0 h')
    """
    if not is_number(value):
        return MISSING
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def interval(low: Any, high: Any) -> str:
    """An interval of metric values."""
    return f"{low:.4f} to {high:.4f}" if is_number(low) and is_number(high) else MISSING


def shorten(text: Any, length: int) -> str:
    """At most `length` characters on one line, the cut marked."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _scaled(value: float, step: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if value < step:
            return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= step
    return f"{value:.1f} {units[-1]}"
