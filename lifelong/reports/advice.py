"""Which strategy to take for each task, and why, in words: on the page and in the terminal."""

from collections.abc import Mapping
from typing import Any

from lifelong.reports.element import Html, el
from lifelong.reports.format import change, names, size
from lifelong.reports.parts import minus, number, scrolling_table
from lifelong.reports.verdict import Document

TITLE = "Which to take"
ABOUT = (
    "Of the strategies that leave earlier tasks alone, the one that stores least and is not clearly worse than the best, by "
    "the task's first metric on validation cases; test figures play no part."
)


def advices(document: Document) -> Mapping[str, Mapping[str, Any]]:
    """Task -> advice; empty where fewer than two strategies could be compared."""
    return (document.get("statistics") or {}).get("advice") or {}


def reason(advice: Mapping[str, Any]) -> str:
    """Why this one: how much better the best is, and what stores less and is clearly worse.

    >>> reason({"use": "probe", "best": "probe", "cheaper": []})
    'the best, and nothing stores less'
    >>> reason({"use": "conure", "best": "finetune", "behind": {"mean": 0.0123}, "cheaper": ["probe", "peterrec"]})
    'finetune is 0.0123 better, which may be chance; probe and peterrec store less, clearly worse'
    """
    gap, cheaper = (advice.get("behind") or {}).get("mean"), list(advice.get("cheaper") or [])
    less = f"{names(cheaper)} {'store' if len(cheaper) > 1 else 'stores'} less, clearly worse" if cheaper else ""
    if gap:
        said = f"{advice.get('best')} is {change(gap).lstrip('+')} better, which may be chance"
        return f"{said}; {less}" if less else said
    return f"the best; {less}" if less else "the best, and nothing stores less"


def advice(document: Document) -> Html | None:
    """The section of the page."""
    rows = [
        el(
            "tr",
            el("th", task, scope="row"),
            el("td", el("strong", found.get("use"))),
            el("td", minus(reason(found))),
            number(size(found.get("bytes"))),
        )
        for task, found in advices(document).items()
    ]
    if not rows:
        return None
    table = scrolling_table(["Task", "Take", "Why", "Stored"], [el("tbody", *rows)], words=3)
    return el("section", el("h2", TITLE), el("p", ABOUT), table)
