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
from lifelong.reports.format import change, count, duration, interval, is_number, line, percent, score, size
from lifelong.reports.sections import STATES
from lifelong.reports.verdict import Verdict, cell, final, learned, overall, verdicts

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
    parts: list[RenderableType] = [_summary(document), *_advice(document)]
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


def _summary(document: Mapping[str, Any]) -> Table:
    table = open_table("strategy", "earlier tasks", "values changed", "forgetting", "backward", "forward", words=2)
    for verdict in verdicts(document):
        strategy = overall(document, verdict.name)
        table.add_row(
            Text(line(verdict.name)),
            _state(verdict),
            count(verdict.probes.differ if verdict.probes.same is not None else strategy.get("changed_bits")),
            change(strategy.get("forgetting")).lstrip("+"),
            change(strategy.get("backward_transfer")),
            change(strategy.get("forward_gain")),
        )
    return table


def _state(verdict: Verdict) -> Text:
    return Text(STATES[verdict.state], style=COLOURS[verdict.state])


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
        ends = [(learned(self.strategy, j), final(self.strategy, j)) for j in columns]
        moved = [last - first if is_number(first) and is_number(last) else None for first, last in ends]
        table.add_row(Text("change since learned"), *(_signed(m) for m in moved))
        return table


def _signed(moved: float | None) -> Text:
    return Text(change(moved), style="yellow" if moved and moved < 0 else "")


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
