"""A forest of intervals as inline SVG: one row a thing, its mean as a dot, its interval as a stroke, single runs as ticks."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.reports.element import Html, el
from lifelong.reports.format import change, is_number, score, shorten
from lifelong.reports.svg import picture

LABEL_W, PLOT_W, VALUE_W, ROW_H, FOOT_H = 132, 250, 72, 26, 22


def forest(rows: Mapping[str, Mapping[str, Any] | None], label: str, *, signed: bool = True) -> Html:
    """Rows of {mean, low, high, values} on one scale; `signed`: zero is drawn and values carry a sign."""
    known = {name: row for name, row in rows.items() if row and is_number(row.get("mean"))}
    low, high = _scale(known, signed)
    height = len(known) * ROW_H + FOOT_H
    parts = [_tick(0.0, low, high, height, "zero")] if signed else []
    for number, (name, row) in enumerate(known.items()):
        parts.append(_row(name, row, number * ROW_H + ROW_H / 2, low, high, signed))
    ends = [(LABEL_W, low, "start"), (LABEL_W + PLOT_W, high, "end")]
    parts += [
        el("text", _written(value, signed), x=x, y=height - 4, class_="note", text_anchor=anchor)
        for x, value, anchor in ends
    ]
    return picture(LABEL_W + PLOT_W + VALUE_W, height, label, *parts)


def _row(name: str, row: Mapping[str, Any], y: float, low: float, high: float, signed: bool) -> Html:
    mean, ends = row["mean"], _numbers({name: row}, ("low", "high"))
    parts = [
        el("text", el("title", name), shorten(name, 16), x=LABEL_W - 10, y=y + 4, class_="name", text_anchor="end")
    ]
    if len(ends) == 2:
        a, b = (_place(end, low, high) for end in ends)
        parts.append(el("line", x1=a, x2=b, y1=y, y2=y, class_="span"))
    for value in row.get("values") or []:
        x = _place(value, low, high)
        parts.append(el("line", x1=x, x2=x, y1=y - 6, y2=y + 6, class_="run"))
    parts.append(el("circle", cx=_place(mean, low, high), cy=y, r=4, class_="dot"))
    parts.append(el("text", _written(mean, signed), x=LABEL_W + PLOT_W + 10, y=y + 4, class_="value"))
    return el("g", *parts)


def _written(value: Any, signed: bool) -> str:
    return (change(value) if signed else score(value)).replace("-", "−")


def _tick(value: float, low: float, high: float, height: float, class_: str) -> Html:
    x = _place(value, low, high)
    return el("line", x1=x, x2=x, y1=2, y2=height - FOOT_H, class_=class_)


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies on the plot; what lies outside the scale stands at its end."""
    share = (value - low) / ((high - low) or 1.0)
    return round(LABEL_W + 6 + (PLOT_W - 12) * max(0.0, min(1.0, share)), 2)


def _scale(rows: Mapping[str, Mapping[str, Any]], signed: bool) -> tuple[float, float]:
    """From the lowest to the highest of all that is drawn, and zero where signs matter.

    An interval of two or three seeds can be far wider than all means together; it is cut at three times their range.
    """
    means = _numbers(rows, ("mean",)) + [v for row in rows.values() for v in row.get("values") or [] if is_number(v)]
    means += [0.0] if signed else []
    if not means:
        return 0.0, 1.0
    low, high = min(means), max(means)
    room = 3 * (high - low) or abs(high) or 1.0
    ends = _numbers(rows, ("low", "high"))
    return max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)


def _numbers(rows: Mapping[str, Mapping[str, Any]], keys: Sequence[str]) -> list[float]:
    return [row[key] for row in rows.values() for key in keys if is_number(row.get(key))]
