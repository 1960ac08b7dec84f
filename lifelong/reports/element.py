"""HTML and SVG elements whose every text and attribute is escaped: nothing unescaped can get onto a page."""

import html
from typing import Any

from lifelong.reports.format import clean


class Html(str):
    """Markup that is safe as it stands; made by `el` and `join` alone."""

    __slots__ = ()


def el(name: str, *children: Any, **attributes: Any) -> Html:
    """An element. Text is escaped, Html goes in as it is, None is left out; `class_` is class, `a_b` is a-b.

    >>> el("td", "<script>", class_="number")
    '<td class="number">&lt;script&gt;</td>'
    """
    parts = (f' {_attribute(key)}="{escape(value)}"' for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{''.join(parts)}>{join(*children)}</{name}>")


def join(*children: Any) -> Html:
    """Children one after the other."""
    return Html("".join(c if isinstance(c, Html) else escape(c) for c in children if c is not None))


def escape(value: Any) -> str:
    """A value as text of an element or an attribute."""
    return html.escape(f"{value:.6g}" if isinstance(value, float) else clean(value), quote=True)


def _attribute(key: str) -> str:
    return key if key == "viewBox" else key.rstrip("_").replace("_", "-")
