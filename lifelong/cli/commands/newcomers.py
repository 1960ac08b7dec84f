"""items add: vectors for items that no task has seen, by what they are."""

import argparse
from dataclasses import asdict

from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.reports.format import checked, count

TITLE = "grow a model"


def add(options: argparse.Namespace, console: Console) -> int:
    """Give a task newcomers under a name of its own, or say what that would change."""
    from lifelong.data.events import read_table
    from lifelong.data.frames import described
    from lifelong.living import LivingModel

    items = described(read_table(options.items), options.item_id, f"{options.items}: items")
    model = LivingModel.open(options.model)
    name = options.name or f"{options.task}-{model._standing().number + 1}"
    told = model.add_items(options.task, items, name, dry_run=options.dry_run, progress=console.progress)
    state = "nothing is committed (--dry-run)" if not told.version else f"{told.version} of {options.model}"
    rows = {
        "task": f"{told.task}: as {told.grown_from}, which stays as it is, with {count(told.added)} more items",
        "version": state,
        "catalogue": f"{count(told.catalogue - told.added)} items, {count(told.catalogue)} from then on",
        "left out": f"{count(told.known_before)} known already, {count(told.without_content)} without content",
        "other tasks": checked(told.changed) if told.version else "would be checked in a fresh process",
        **{f"near {new}": ", ".join(near) for new, near in told.neighbours.items()},
    }
    return console.show(asdict(told), pairs(rows))


COMMANDS = [
    Command(
        "items add",
        "give a task items that nobody has seen, by their text or pictures; it gets a name of its own",
        "lifelong items add checkpoints/shop next new_products.csv --as next_spring",
        add,
        [
            argument("model", metavar="MODEL", help="folder of a model that reads items by their content"),
            argument("task", metavar="TASK", help="name of the task whose catalogue grows"),
            argument(
                "items", metavar="FILE", help="CSV, JSON lines or Parquet: an id and the fields that the task reads"
            ),
            argument("--item-id", default="id", metavar="COLUMN", help="the column of the ids (default: id)"),
            argument("--as", dest="name", metavar="NAME", help="what the grown task is called (default: TASK-VERSION)"),
            argument("--dry-run", action="store_true", help="only show what would change"),
        ],
    )
]
