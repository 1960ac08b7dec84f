"""Small tables that more than one command prints."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table


def pairs(rows: Mapping[str, str]) -> Table:
    """Names on the left, what they are on the right."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, escape(value))
    return table


def rows(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """A plain table with a head line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    for line in lines:
        table.add_row(*(escape(cell) for cell in line))
    return table
