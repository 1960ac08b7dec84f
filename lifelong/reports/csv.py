"""The accuracy matrices as CSV in long form, safe to open in a spreadsheet."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lifelong.reports.format import clean, is_number
from lifelong.reports.verdict import cell, runs, runs_of

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
COLUMNS = ("strategy", "after_task", "task", "metric", "value", "low", "high")
RUN = ("order", "seed")
"""Two more where there were several orders or seeds."""


def write_csv(document: Mapping[str, Any], path: str | Path) -> None:
    """One row per strategy, moment and task learned by then; values in full precision, empty where there is none.

    Of several orders and seeds every run has its rows; intervals are those of the first, the others were not kept.
    """
    several = runs_of(document) > 1
    with Path(path).open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS + (RUN if several else ()))
        writer.writerows([guarded(value) for value in row] for row in (all_rows if several else rows)(document))


def rows(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of the first run, as plain values."""
    for name, strategy in (document.get("strategies") or {}).items():
        yield from _rows(name, strategy, dict(_metrics(strategy)))


def all_rows(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of every run, with its order and seed behind."""
    for name, strategy in (document.get("strategies") or {}).items():
        metrics = dict(_metrics(strategy))
        for number, run in enumerate(runs(document, name)):
            bounds = {key: strategy.get(key) for key in ("low", "high")} if number == 0 else {}
            yield from ((*row, run.get("order"), run.get("seed")) for row in _rows(name, {**run, **bounds}, metrics))


def _metrics(strategy: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """(task, its metric)."""
    yield from zip(strategy.get("tasks") or [], strategy.get("metric") or [], strict=False)


def _rows(name: str, strategy: Mapping[str, Any], metrics: Mapping[Any, Any]) -> Iterator[tuple[Any, ...]]:
    tasks = strategy.get("tasks") or []
    for i, after in enumerate(tasks):
        for j, task in enumerate(tasks):
            value, low, high = (cell(strategy, table, i, j) for table in ("matrix", "low", "high"))
            if is_number(value):
                yield name, after, task, metrics.get(task, ""), value, low, high


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula: text that begins like one gets an apostrophe in front. Nor does a terminal
    that shows the file obey it: control characters become �.

    >>> guarded("=1+1"), guarded("-0.5"), guarded("age")
    ("'=1+1", '-0.5', 'age')
    """
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    runs = value.lstrip().startswith(FORMULA) or value.startswith(("\t", "\r", "\n"))
    return f"'{clean(value)}" if runs else clean(value)
