"""The accuracy matrices as CSV in long form, safe to open in a spreadsheet."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lifelong.reports.format import is_number
from lifelong.reports.verdict import cell

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
COLUMNS = ("strategy", "after_task", "task", "metric", "value", "low", "high")


def write_csv(document: Mapping[str, Any], path: str | Path) -> None:
    """One row per strategy, moment and task learned by then; values in full precision, empty where there is none."""
    with Path(path).open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([guarded(value) for value in row] for row in rows(document))


def rows(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of the file, as plain values."""
    for name, strategy in (document.get("strategies") or {}).items():
        tasks, metrics = strategy.get("tasks") or [], strategy.get("metric") or []
        for i, after in enumerate(tasks):
            for j, task in enumerate(tasks):
                value, low, high = (cell(strategy, table, i, j) for table in ("matrix", "low", "high"))
                if is_number(value):
                    yield name, after, task, metrics[j] if j < len(metrics) else "", value, low, high


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula: text that begins like one gets an apostrophe in front.

    >>> guarded("=1+1"), guarded("-0.5"), guarded("age")
    ("'=1+1", '-0.5', 'age')
    """
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    return f"'{value}" if value.lstrip().startswith(FORMULA) or value.startswith(("\t", "\r", "\n")) else value
