"""The frame of every page: one self-contained file with its own style, no script, no remote asset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelong.reports.element import Html, el, join

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
STYLE = Path(__file__).with_name("style.css")


def whole_page(title: str, *sections: Html | None) -> str:
    """The page as text."""
    head = el(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        el("title", title),
        el("style", Html(STYLE.read_text(encoding="utf-8"))),
    )
    return f'<!doctype html>\n<html lang="en">{head}{el("body", el("main", join(*sections)))}</html>\n'


def facts(rows: Mapping[str, Any]) -> Html:
    """Names on the left, what they are on the right; what is empty is left out."""
    entries = (el("div", el("dt", k), el("dd", _plain(v))) for k, v in rows.items() if v not in (None, ""))
    return el("dl", *entries, class_="facts")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    return value
