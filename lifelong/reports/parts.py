"""Tables and cells that several sections of a page are made of."""

from collections.abc import Sequence

from lifelong.reports.element import Html, el


def scrolling_table(heads: Sequence[str], bodies: Sequence[Html], words: int) -> Html:
    """A table in a scrolling container of its own; all but the first `words` columns are numbers."""
    row = (el("th", head, scope="col", class_="number" if i >= words else None) for i, head in enumerate(heads))
    return scrolling(el("table", el("thead", el("tr", *row)), *bodies))


def scrolling(content: Html) -> Html:
    """Content that may be wider than the page."""
    return el("div", content, class_="scroll", tabindex=0)  # tabindex: the keyboard can scroll it


def number(text: str, class_: str = "") -> Html:
    """A table's cell for a figure."""
    return el("td", minus(text), class_=f"number {class_}".strip())


def minus(text: str) -> str:
    """With a real minus sign."""
    return text.replace("-", "−")
