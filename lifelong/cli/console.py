"""What a person or a program sees of a command: tables or one JSON document on stdout, progress on stderr."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lifelong.core.progress import Progress, Silent
from lifelong.core.written import as_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH_OF_A_FILE = 120
"""Columns of a table that goes into a file or a pipe, where COLUMNS does not say."""

LONGEST = 2_000
"""Characters of a cell."""


class Console:
    """Where a command puts its result, and whom it tells what it is doing."""

    def __init__(self, *, json: bool, quiet: bool, bars: bool) -> None:
        self.json, self.quiet, self.bars = json, quiet, bars

    @cached_property
    def progress(self) -> Progress:
        """Nobody with --quiet; a bar on a terminal; lines elsewhere; only what is said with --no-progress."""
        if self.quiet:
            return Silent()
        from lifelong.cli.progress import Bars, Lines, Spoken

        if not self.bars:
            return Spoken()
        return Bars() if sys.stderr.isatty() else Lines()

    def show(self, document: Any, *parts: "RenderableType") -> int:
        """The document with --json, else the parts one under the other; returns 0."""
        self.close()
        if self.json:
            print(as_json(document))
            return 0
        from rich.console import Console as Rich
        from rich.text import Text

        from lifelong.reports.format import line

        in_a_file = not sys.stdout.isatty() and "COLUMNS" not in os.environ
        rich = Rich(width=WIDTH_OF_A_FILE if in_a_file else None, highlight=False, markup=False, emoji=False)
        with rich.capture() as drawn:
            for part in parts:
                rich.print(Text(line(part)) if isinstance(part, str) else part)
        print("\n".join(drawn_line.rstrip() for drawn_line in drawn.get().split("\n")).rstrip("\n"))
        return 0

    def close(self) -> None:
        """Take a bar that is still there away, so that what follows does not stand beside it."""
        if "progress" in vars(self):
            self.progress.end()


def pairs(rows: Mapping[str, str]) -> "Table":
    """Names on the left, what they are on the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(_cell(name)), Text(_cell(value)))
    return table


def columns(heads: Sequence[str], lines: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> "Table":
    """A plain table; the columns called in `numbers` are set to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(Text(_cell(head)), justify="right" if head in numbers else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(_cell(cell)) for cell in line))
    return table


def _cell(text: str) -> str:
    """On one line; what would fill the screen is cut: --json has it all."""
    from lifelong.reports.format import line, shorten

    return shorten(line(text), LONGEST) if len(text) > LONGEST else line(text)
