"""Pictures as inline SVG, coloured by the page's style sheet alone, so that they follow light, dark and print.

Colour never stands alone: what it says is also written in the cell, the legend or the title.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.core.direction import sign
from lifelong.reports.element import Html, el, join
from lifelong.reports.format import interval, is_number, percent, relative, score, shorten, signed_percent

CELL_W, CELL_H, GAP, LABEL_W, HEAD_H = 58, 42, 3, 116, 78
FULL = 0.5
"""The relative change at which a cell's colour is at its strongest."""
HUES = 8
"""Colours of tasks in the style sheet; the ninth task starts again with the first."""


def heat_map(
    tasks: Sequence[str], matrix: Sequence[Sequence[Any]], label: str, metrics: Sequence[Any] | None = None
) -> Html:
    """The accuracy matrix: one row per moment, one column per task, each cell coloured by its change since learned.

    metrics: of each task; left out, more is better in all columns.
    """
    signs = dict(enumerate(map(sign, metrics or [])))
    width = LABEL_W + len(tasks) * (CELL_W + GAP) + 70  # the last name leans out over the last column
    height = HEAD_H + len(matrix) * (CELL_H + GAP)
    corner = el("text", "after learning ↓", x=LABEL_W - 10, y=HEAD_H - 10, class_="note", text_anchor="end")
    parts = [corner, *(_column_name(j, task) for j, task in enumerate(tasks))]
    for i, row in enumerate(matrix):
        name = shorten(tasks[i], 17) if i < len(tasks) else ""
        y = HEAD_H + i * (CELL_H + GAP)
        parts.append(el("text", name, x=LABEL_W - 10, y=y + CELL_H / 2 + 4, class_="name", text_anchor="end"))
        parts.extend(
            _cell(j, y, value, matrix[j][j] if j < len(matrix) else None, i == j, signs.get(j, 1.0))
            for j, value in enumerate(row)
        )
    return picture(width, height, label, *parts)


def _column_name(j: int, task: str) -> Html:
    x, y = LABEL_W + j * (CELL_W + GAP) + CELL_W / 2 - 6, HEAD_H - 10
    turn = f"rotate(-32 {x:.6g} {y})"
    return el("text", el("title", task), shorten(task, 16), x=x, y=y, class_="name", transform=turn)


def _cell(j: int, y: float, value: Any, first: Any, just_learned: bool, better: float) -> Html:
    """A value; `better`: the sign of a change for the better."""
    place: dict[str, Any] = {"x": LABEL_W + j * (CELL_W + GAP), "y": y, "width": CELL_W, "height": CELL_H, "rx": 5}
    if not is_number(value):
        return el("rect", class_="empty", **place)
    middle = place["x"] + CELL_W / 2
    moved = relative(value, first)
    parts = [el("rect", class_="cell", **place)]
    if moved:
        strength = 0.12 + 0.88 * min(1.0, abs(moved) / FULL)
        word = "better" if better * moved > 0 else "worse"
        parts.append(el("rect", class_=word, fill_opacity=round(strength, 3), **place))
    if just_learned:
        parts.append(el("rect", class_="ring", **place))
    note = "learned" if just_learned else "=" if moved == 0 else "" if moved is None else signed_percent(moved)
    parts.append(el("text", score(value), x=middle, y=y + 19, class_="value", text_anchor="middle"))
    parts.append(el("text", note.replace("-", "−"), x=middle, y=y + 34, class_="note", text_anchor="middle"))
    return el("g", *parts)


def capacity_bar(shares: Sequence[Mapping[str, Any]], label: str, width: int = 640, height: int = 30) -> Html:
    """Who owns how much of the encoder as one stacked bar, what is free last and hatched by its lighter tone."""
    parts, x = [], 0.0
    for entry, hue in coloured(shares):
        w = width * max(0.0, min(1.0, entry["share"]))
        title = el("title", f"{entry.get('task')}: {percent(entry['share'])}")
        parts.append(el("rect", title, x=x, y=0, width=max(0.0, w - 2), height=height, rx=3, class_=hue))
        x += w
    return picture(width, height, label, *parts, stretch=True)


def coloured(shares: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """The entries that have a share, each with the class of its colour."""
    known = [entry for entry in shares if is_number(entry.get("share"))]
    return [(e, "free" if e.get("task") == "free" else f"hue{i % HUES}") for i, e in enumerate(known)]


def curve(points: Sequence[Mapping[str, Any]], label: str, width: int = 236, height: int = 84) -> Html:
    """Training loss (dashed) and validation (solid) by epoch, each on its own scale; a dot at the best validation."""
    loss, valid = ([p.get(key) for p in points] for key in ("loss", "valid"))
    parts = [el("line", x1=0, x2=width, y1=height - 1, y2=height - 1, class_="axis")]
    parts.append(_line(loss, "loss", width, height))
    parts.append(_line(valid, "valid", width, height))
    known = [v for v in valid if is_number(v)]
    if known:
        best = valid.index(max(known))
        x, y = _points(valid, width, height)[best]
        parts.append(el("circle", el("title", f"best: {score(valid[best])}"), cx=x, cy=y, r=3.5, class_="best"))
    return picture(width, height, label, *parts, stretch=True)


def _line(values: Sequence[Any], class_: str, width: int, height: int) -> Html:
    points = _points(values, width, height)
    if len(points) < 2:
        return join()
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points.values())
    return el("polyline", points=text, class_=class_, fill="none")


def _points(values: Sequence[Any], width: int, height: int) -> dict[int, tuple[float, float]]:
    """Where each value that is there lies: index -> (x, y), with 6 units of air around."""
    known = {i: v for i, v in enumerate(values) if is_number(v)}
    low, high = min(known.values(), default=0.0), max(known.values(), default=1.0)
    across, up = (width - 12) / max(1, len(values) - 1), (height - 14) / ((high - low) or 1.0)
    return {i: (6 + i * across, height - 8 - (v - low) * up) for i, v in known.items()}


def interval_bar(value: Any, low: Any, high: Any, top: float, width: int = 150, height: int = 14) -> Html:
    """A value as a dot on a line from 0 to `top`, with its interval as a thick stroke."""
    if not is_number(value) or top <= 0:
        return join()
    x, middle = [5 + (width - 10) * v / top if is_number(v) else None for v in (low, value, high)], height / 2
    parts = [el("line", x1=5, x2=width - 5, y1=middle, y2=middle, class_="axis")]
    if x[0] is not None and x[2] is not None:
        parts.append(el("line", x1=x[0], x2=x[2], y1=middle, y2=middle, class_="span"))
    parts.append(el("circle", cx=x[1], cy=middle, r=4, class_="dot"))
    return picture(width, height, f"{score(value)}, {interval(low, high)}", *parts)


def picture(width: float, height: float, label: str, *parts: Html, stretch: bool = False) -> Html:
    """The picture with its description for those who cannot see it. `stretch`: as wide as its place."""
    return el(
        "svg",
        *parts,
        viewBox=f"0 0 {width:.6g} {height:.6g}",
        width=None if stretch else width,
        height=None if stretch else height,
        class_="wide" if stretch else None,
        role="img",
        aria_label=label,
    )
