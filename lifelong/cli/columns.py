"""The options that say which columns of an event file are what."""

import argparse
from typing import TYPE_CHECKING

from lifelong.cli.parser import argument

if TYPE_CHECKING:
    from lifelong.data.events import Columns

COLUMNS = [
    argument("--user-col", default="user", metavar="NAME", help="column of the user's id (default: user)"),
    argument("--item-col", default="item", metavar="NAME", help="column of the item's id (default: item)"),
    argument(
        "--time-col",
        default="time",
        metavar="NAME",
        help="column of the time, '' for the order of the rows (default: time)",
    ),
    argument("--format", choices=("csv", "tsv", "jsonl", "parquet"), help="where the file's ending does not say it"),
    argument("--delimiter", metavar="CHAR", help="between the columns of a text file (default: what the format says)"),
]


def columns_of(options: argparse.Namespace) -> "Columns":
    """The mapping that the options describe."""
    from lifelong.data.events import Columns

    return Columns(user=options.user_col, item=options.item_col, time=options.time_col or None)
