"""Terminal tables of the same plain dicts, readable at 80 columns, without colour where there is no terminal.

Every text goes in as rich Text, so a task named `[red]` is printed as it is spelt and an escape sequence stays inert.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lifelong.reports.advice import TITLE, advices, reason
from lifelong.reports.better import shade
from lifelong.reports.format import change, count, duration, interval, is_number, line, percent, score, size
from lifelong.reports.sections import STATES
from lifelong.reports.verdict import Verdict, cell, final, headlines, learned, overall, verdicts

COLOURS = {"kept": "blue", "broken": "bold red", "moved": "yellow", "still": "yellow", "open": "yellow"}


@dataclass(frozen=True)
class Bar:
    """A share in [0, 1] as a bar as wide as the terminal allows, in ASCII where it has nothing better."""

    share: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width = options.max_width
        full = min(width, max(round(width * self.share), int(self.share > 0)))
        on, off = ("#", ".") if options.ascii_only else ("█", "░")
        yield Segment(on * full + off * (width - full))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = min(options.max_width, 8 if options.max_width < 100 else 24)
        return Measurement(width, width)


def forgetting_table(document: Mapping[str, Any]) -> Group:
    """A summary, which strategy to take, and an accuracy matrix of each: rows are moments, columns the tasks by number."""
    strategies = document.get("strategies") or {}
    parts: list[RenderableType] = [*_summary(document), *_advice(document)]
    for name, strategy in strategies.items():
        parts.extend((Text(""), Text(line(name), style="bold"), Matrix(strategy)))
    return Group(*parts)


def _advice(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    found = advices(document)
    if found:
        table = open_table("task", "take", "why", "stored", words=3)
        for task, advice in found.items():
            taken = Text(line(advice["use"]), style="bold")
            table.add_row(Text(line(task)), taken, Text(line(reason(advice))), size(advice["bytes"]))
        yield from (Text(""), Text(TITLE, style="bold"), table)


MEASURES = ("forgetting", "backward", "forward")
"""Heads of the columns of `_measures`."""


def _summary(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What became of earlier tasks under each strategy; the measures in a table of their own if there are several metrics."""
    found = {verdict.name: headlines(document, verdict.name) for verdict in verdicts(document)}
    metrics = list(dict.fromkeys(metric for by_metric in found.values() for metric in by_metric))
    several = len(metrics) > 1
    table = open_table("strategy", "earlier tasks", "values changed", *(() if several else MEASURES), words=2)
    for verdict in verdicts(document):
        measures = [] if several else _measures(next(iter(found[verdict.name].values())))
        table.add_row(*_state(document, verdict), *measures)
    yield table
    if several:
        yield from (Text(""), _by_metric(found, metrics))


def _by_metric(found: Mapping[str, Mapping[str, Mapping[str, Any]]], metrics: Sequence[str]) -> Table:
    """Strategy -> metric -> measures, as one block a metric."""
    table = open_table("metric", "strategy", *MEASURES, "average", words=2)
    for metric in metrics:
        label = line(metric)
        for name, by_metric in found.items():
            measures = by_metric.get(metric, {})
            table.add_row(Text(label), Text(line(name)), *_measures(measures), score(measures.get("average")))
            label = ""
        table.add_section()
    return table


def _measures(found: Mapping[str, Any]) -> list[str]:
    lost, moved, gained = (change(found.get(key)) for key in ("forgetting", "backward_transfer", "forward_gain"))
    return [lost.lstrip("+"), moved, gained]


def _state(document: Mapping[str, Any], verdict: Verdict) -> tuple[Text, Text, str]:
    """A strategy, what became of earlier tasks, and how many of their probe values changed."""
    given = overall(document, verdict.name).get("changed_bits")
    changed = verdict.probes.differ if verdict.probes.same is not None else given
    return Text(line(verdict.name)), Text(STATES[verdict.state], style=COLOURS[verdict.state]), count(changed)


@dataclass(frozen=True)
class Matrix:
    """A strategy's accuracy matrix; where the terminal is narrow, in blocks of as many tasks as fit."""

    strategy: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        tasks = len(self.strategy.get("tasks") or [])
        block = max(1, (options.max_width - 20) // 9)
        for start in range(0, tasks, block):
            yield self.block(range(start, min(start + block, tasks)))

    def block(self, columns: range) -> Table:
        """The table of some of the tasks."""
        table = open_table("after learning", *(str(j + 1) for j in columns), words=1)
        for i, task in enumerate(self.strategy["tasks"]):
            values = (cell(self.strategy, "matrix", i, j) for j in columns)
            table.add_row(Text(f"{i + 1} {line(task)}"), *(score(v) if is_number(v) else "" for v in values))
        table.add_section()
        table.add_row(Text("change since learned"), *(self._moved(j) for j in columns))
        return table

    def _moved(self, j: int) -> Text:
        """The change of a task since it was learnt, coloured where it is for the worse."""
        first, last, metrics = learned(self.strategy, j), final(self.strategy, j), self.strategy.get("metric") or []
        moved = last - first if is_number(first) and is_number(last) else None
        worse = shade(metrics[j] if j < len(metrics) else "", moved) == "down"
        return Text(change(moved), style="yellow" if worse else "")


def inspect_table(description: Mapping[str, Any]) -> Group:
    """What a living model is made of: its tasks, who owns how much of the encoder and what is free.

    description: model, version, encoder, parameters, free, and tasks with name, parent, strategy, owned, visible,
    bytes, seconds; owned, visible and free are shares of the prunable weights.
    """
    head = f"{line(description.get('model', ''))}, version {description.get('version')}"
    head += f": {line(description.get('encoder', ''))}, {count(description.get('parameters'))} parameters"
    table = open_table("task", "parent", "strategy", "owns", "", "sees", "size", "trained", words=4)
    for task in description.get("tasks") or []:
        table.add_row(
            Text(line(task.get("name", ""))),
            Text(line(task.get("parent") or "")),
            Text(line(task.get("strategy", ""))),
            _bar(task.get("owned")),
            percent(task.get("owned")),
            percent(task.get("visible")),
            size(task.get("bytes")),
            duration(task.get("seconds")),
        )
    table.add_section()
    free = description.get("free")
    table.add_row(Text("free", style="italic"), "", "", _bar(free), percent(free), "", "", "")
    return Group(Text(head, style="bold"), table)


def _bar(share: Any) -> RenderableType:
    return Bar(share) if is_number(share) else Text("")


def evaluation_table(results: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> Table:
    """Test values with their intervals: results[task][row][metric] is a measure (value, low, high, n).

    A row is "model" or the name of a baseline, as in the `baselines` of a forgetting document.
    """
    table = open_table("task", "method", "metric", "value", "95 % interval", "cases", words=3)
    for task, methods in results.items():
        label = line(task)
        for metric in dict.fromkeys(m for measures in methods.values() for m in measures):
            for method, measures in methods.items():
                if metric in measures:
                    table.add_row(Text(label), *_measured(method, metric, measures[metric]))
                    label = ""
        table.add_section()
    return table


def _measured(method: str, metric: str, m: Mapping[str, Any]) -> Sequence[Text]:
    style = "bold" if method == "model" else ""
    cells = (
        line(method),
        line(metric),
        score(m.get("value")),
        interval(m.get("low"), m.get("high")),
        count(m.get("n")),
    )
    return [Text(text, style=style) for text in cells]


def open_table(*heads: str, words: int) -> Table:
    """An open table; all but the first `words` columns are numbers, set to the right and never broken."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    for i, head in enumerate(heads):
        table.add_column(
            Text(line(head)), justify="left" if i < words else "right", no_wrap=i >= words, overflow="fold"
        )
    return table
