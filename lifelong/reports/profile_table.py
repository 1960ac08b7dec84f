"""Profile prediction in the terminal: one table a task and split, methods down, metrics across, differences below."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lifelong.core.direction import sign
from lifelong.reports.format import change, count, is_number, line, score
from lifelong.reports.tables import open_table


def profile_table(document: Mapping[str, Any]) -> Group:
    """The tables of what `lifelong.profiling.profile` returns; plus and minus are half the interval."""
    parts: list[RenderableType] = []
    for name, task in (document.get("tasks") or {}).items():
        parts.append(Text(f"{line(name)}: {_who(document, task)}", style="bold"))
        for title, table in (("over folds", task.get("folds")), ("its own sealed split", task.get("sealed"))):
            if table:
                parts += [Text(""), _methods(title, table, task.get("metrics") or []), *_differences(table)]
        parts.append(Text(""))
    return Group(*parts)


def _who(document: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    unseen, drawn = task.get("unseen"), task.get("drawn")
    asked = "seen users are asked, too" if document.get("seen") else "those alone are asked"
    return f"{count(unseen)} of {count(drawn)} labelled users are unseen; {asked}"


def _methods(title: str, table: Mapping[str, Any], metrics: list[str]) -> Table:
    made = open_table(f"{title}, {count(table.get('users'))} users", *metrics, "ECE", words=1)
    for name, method in (table.get("methods") or {}).items():
        values = ((method.get("metrics") or {}).get(metric) or {} for metric in metrics)
        cells = [Text(_value(m)) for m in values]
        made.add_row(Text(line(name)), *cells, score(method.get("ece")), style="bold" if method.get("ours") else None)
    return made


def _value(m: Mapping[str, Any]) -> str:
    value, low, high = (m.get(key) for key in ("value", "low", "high"))
    if not (is_number(low) and is_number(high)):
        return score(value)
    return f"{score(value)} ±{(high - low) / 2:.3f}"


def _differences(table: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Ours minus each baseline, where the interval is clear of zero; what is not said is not known."""
    for ours, rivals in (table.get("differences") or {}).items():
        said = [
            f"{metric} {change(m.get('value'))}, {'better' if sign(metric) * m['low'] > 0 else 'worse'} than {rival}"
            for rival, by_metric in rivals.items()
            for metric, m in by_metric.items()
            if is_number(m.get("low")) and is_number(m.get("high")) and (m["low"] > 0 or m["high"] < 0)
        ]
        yield Text(f"{line(ours)}: {line('; '.join(said)) or 'no difference is clear of zero'}", style="dim")
