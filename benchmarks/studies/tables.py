"""Tables of docs/RESULTS.md as plain values, and the few statistics that they share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lifelong.forgetting.statistics import over_seeds

Entries = Mapping[str, Mapping[str, Any]]
"""What the jobs of a study kept: key -> record."""


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> dict[str, Any]:
    """A table; every cell becomes text."""
    return {"title": title, "header": list(header), "rows": [[str(cell) for cell in row] for row in rows], "note": note}


def ranged(values: Iterable[float | None]) -> str:
    """Mean and 95 % interval over seeds (Student's t): .1131 ± .0042 (3)."""
    found = over_seeds(enumerate(values))
    if found is None:
        return "–"
    if found["low"] is None:
        return f"{short(found['mean'])} (1)"
    return f"{short(found['mean'])} ± {short(found['mean'] - found['low'])} ({found['seeds']})"


def difference(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any] | None:
    """Differences of several seeds, each with its interval over users, as one: the half-widths over seeds (Student's t) and
    over users (their mean) are added in squares."""
    if not seeds:
        return None
    found = over_seeds((n, s["value"]) for n, s in enumerate(seeds))
    if found is None:
        return None
    below, above = (float(np.mean([abs(s["value"] - s[end]) for s in seeds])) for end in ("low", "high"))
    half = 0.0 if found["low"] is None else found["mean"] - found["low"]
    mean = found["mean"]
    return {
        "mean": mean,
        "low": mean - float(np.hypot(below, half)),
        "high": mean + float(np.hypot(above, half)),
        "seeds": len(seeds),
    }


def between_worlds(worlds: Sequence[Mapping[str, float]]) -> dict[str, Any] | None:
    """Differences of worlds that share neither users nor items: Student's interval over them, which holds the users' noise; of
    a single one, its own."""
    return difference(worlds) if len(worlds) < 2 else over_seeds((n, w["value"]) for n, w in enumerate(worlds))


def signed(found: Mapping[str, Any] | None) -> str:
    """A difference with its interval, bold where that is clear of zero."""
    if not found:
        return "–"
    text = f"{_plus(found['mean'])} ({_plus(found['low'])} to {_plus(found['high'])})"
    return f"**{text}**" if found["low"] > 0 or found["high"] < 0 else text


def short(value: float | None) -> str:
    """Four decimals without the leading zero.

    >>> short(0.1131), short(-0.5), short(1.0)
    ('.1131', '−.5000', '1.0000')
    """
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{abs(value):.4f}"
    return ("−" if value < 0 else "") + (text[1:] if text.startswith("0") else text)


def _plus(value: float) -> str:
    return short(value) if value < 0 or value == 0 else f"+{short(value)}"


def by(entries: Entries, *wanted: str) -> list[Mapping[str, Any]]:
    """The records whose key begins with these parts, in order of their keys."""
    prefix = "/".join(wanted) + "/"
    return [record for key, record in sorted(entries.items()) if key.startswith(prefix)]


def parts(entries: Entries, place: int) -> list[str]:
    """What stands at a place of the keys, in order of appearance."""
    return list(dict.fromkeys(key.split("/")[place] for key in entries))
