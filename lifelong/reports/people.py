"""Pictures of a classifier as inline SVG: a confusion matrix, and how sure it is beside how often it is right."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.reports.element import Html, el
from lifelong.reports.format import count, is_number, percent, score, shorten
from lifelong.reports.svg import picture

CELL, GAP, LABEL_W, HEAD_H = 44, 2, 112, 84
SIDE, LEFT = 200, 46
SMALL_FROM = 14
"""From so many classes on the cells are small and carry no text but their title."""


def confusion_map(classes: Sequence[str], matrix: Sequence[Sequence[Any]], label: str) -> Html:
    """Rows are right classes, columns what was answered; shades and figures are shares of the row."""
    cell = CELL if len(classes) < SMALL_FROM else CELL // 2
    width, height = LABEL_W + len(classes) * (cell + GAP) + 64, HEAD_H + len(matrix) * (cell + GAP)
    parts = [el("text", "right ↓  answered →", x=LABEL_W - 8, y=HEAD_H - 10, class_="note", text_anchor="end")]
    for j, name in enumerate(classes):
        x, y = LABEL_W + j * (cell + GAP) + cell / 2 - 4, HEAD_H - 8
        turn = f"rotate(-40 {x:.6g} {y})"
        parts.append(el("text", el("title", name), shorten(name, 14), x=x, y=y, class_="name", transform=turn))
    for i, row in enumerate(matrix):
        y = HEAD_H + i * (cell + GAP)
        name = shorten(classes[i], 15) if i < len(classes) else ""
        parts.append(el("text", name, x=LABEL_W - 8, y=y + cell / 2 + 4, class_="name", text_anchor="end"))
        parts.extend(_confused(row, i, j, y, cell) for j in range(len(row)))
    return picture(width, height, label, *parts)


def _confused(row: Sequence[Any], i: int, j: int, y: float, cell: int) -> Html:
    total = sum(v for v in row if is_number(v))
    share = row[j] / total if total and is_number(row[j]) else 0.0
    place: dict[str, Any] = {"x": LABEL_W + j * (cell + GAP), "y": y, "width": cell, "height": cell, "rx": 4}
    title = el("title", f"{count(row[j])} of {count(total)}: {percent(share)}")
    parts = [el("rect", class_="cell", **place)]
    shade = round(min(1.0, share), 3)
    parts.append(el("rect", title, class_="better" if i == j else "worse", fill_opacity=shade, **place))
    if i == j:
        parts.append(el("rect", class_="ring", **place))
    if cell == CELL and share >= 0.005:
        text = f"{100 * share:.0f}"
        parts.append(
            el("text", text, x=place["x"] + cell / 2, y=y + cell / 2 + 4.5, class_="value", text_anchor="middle")
        )
    return el("g", *parts)


def reliability(bins: Sequence[Mapping[str, Any]], label: str) -> Html:
    """A dot a bin: how sure (across) against how often right (up), as large as the bin has cases; on the line is honest."""
    known = [b for b in bins if b.get("n") and is_number(b.get("confidence")) and is_number(b.get("accuracy"))]
    most = max((b["n"] for b in known), default=1)
    frame = {"x": LEFT, "y": 8, "width": SIDE, "height": SIDE, "rx": 4}
    parts = [
        el("rect", class_="empty", **frame),
        el("line", x1=LEFT, y1=8 + SIDE, x2=LEFT + SIDE, y2=8, class_="zero"),
        *_axis(),
    ]
    for b in known:
        x, y = LEFT + SIDE * b["confidence"], 8 + SIDE * (1 - b["accuracy"])
        radius = 2.5 + 6 * (b["n"] / most) ** 0.5
        title = el("title", f"{count(b['n'])} answers, {score(b['confidence'])} sure, {score(b['accuracy'])} right")
        parts.append(el("line", x1=x, x2=x, y1=y, y2=8 + SIDE * (1 - b["confidence"]), class_="run"))
        parts.append(el("circle", title, cx=round(x, 2), cy=round(y, 2), r=round(radius, 2), class_="best"))
    return picture(LEFT + SIDE + 24, SIDE + 46, label, *parts)


def _axis() -> list[Html]:
    found = []
    for share in (0.0, 0.5, 1.0):
        x, y = LEFT + SIDE * share, 8 + SIDE * (1 - share)
        found.append(el("text", percent(share), x=x, y=SIDE + 24, class_="note", text_anchor="middle"))
        found.append(el("text", percent(share), x=LEFT - 4, y=y + 4, class_="note", text_anchor="end"))
    found.append(
        el(
            "text",
            "how sure →   how often right ↑",
            x=LEFT + SIDE / 2,
            y=SIDE + 40,
            class_="note",
            text_anchor="middle",
        )
    )
    return found
