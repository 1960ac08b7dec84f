"""data check, data prepare, data audit: what an event file holds, a data set made ready, and what to distrust in it."""

import argparse
from typing import TYPE_CHECKING, Any

from lifelong.cli.columns import COLUMNS, columns_of
from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.reports.format import count

if TYPE_CHECKING:
    from lifelong.data.prepare import Prepared

TITLE = "data"


def check(options: argparse.Namespace, console: Console) -> int:
    """What was understood of a file, and what would be left out of it and why; nothing is changed."""
    from lifelong.data.check import check as check_file

    report = check_file(options.file, columns_of(options), format=options.format, delimiter=options.delimiter)
    return console.show(report.as_dict(), pairs(dict(report.lines())))


def prepare(options: argparse.Namespace, console: Console) -> int:
    """The data set of a task file, or one named by itself, sorted and kept for the next time."""
    from lifelong.data.prepare import prepare as prepare_source
    from lifelong.model.task import Task
    from lifelong.opened import make_source

    is_file = options.source.endswith((".yaml", ".yml"))
    spec = Task.read(options.source).data.dataset if is_file else options.source
    prepared = prepare_source(make_source(spec, options.source), say=console.progress.say)
    return console.show(_described(prepared), pairs(_rows(prepared)))


def audit(options: argparse.Namespace, console: Console) -> int:
    """What weighs too much in a data set, is there twice, or gives a task's answer away; 1 where results cannot be trusted."""
    from lifelong.audit import audit_data, audit_task
    from lifelong.cli.console import columns
    from lifelong.data.prepare import prepare as prepare_source
    from lifelong.model.cases import NO_ITEMS, make_cases
    from lifelong.model.task import Task
    from lifelong.opened import make_source

    task = Task.read(options.source) if options.source.endswith((".yaml", ".yml")) else None
    spec = task.data.dataset if task else options.source
    prepared = prepare_source(make_source(spec, options.source), say=console.progress.say)
    found = audit_data(prepared)
    if task:
        known = NO_ITEMS.extended(prepared.items["id"].combine_chunks(), 1)
        found += audit_task(task, prepared, make_cases(task, prepared, known, len(known.ids) + 1))
    told = [{"finding": f.name, "count": f.count, "serious": f.serious, "text": f.text} for f in found]
    lines = [["!" if f.serious else "", f.name, f.text] for f in found] or [["", "nothing found", ""]]
    console.show(
        {"name": prepared.name, "key": prepared.key, "findings": told}, columns(["", "finding", "what"], lines)
    )
    return int(any(f.serious for f in found))


def _described(prepared: "Prepared") -> dict[str, Any]:
    return {
        "name": prepared.name,
        "key": prepared.key,
        "folder": str(prepared.folder),
        "users": len(prepared.users),
        "items": len(prepared.items),
        "events": len(prepared.items_E),
        "rows_read": prepared.report.rows_read,
        "dropped": dict(prepared.report.dropped),
        "labels": prepared.users.column_names[1:],
        "item_fields": prepared.items.column_names[1:],
        "notice": prepared.notice,
    }


def _rows(prepared: "Prepared") -> dict[str, str]:
    told = _described(prepared)
    rows = {"data set": told["name"]}
    rows |= {name: count(told[name]) for name in ("users", "items", "events")}
    rows["rows read"] = count(told["rows_read"])
    rows |= {f"  left out, {reason}": count(n) for reason, n in told["dropped"].items()}
    rows["labels"] = ", ".join(told["labels"]) or "none"
    rows["item fields"] = ", ".join(told["item_fields"]) or "none"
    rows["kept in"] = told["folder"]
    return rows | ({"notice": told["notice"]} if told["notice"] else {})


COMMANDS = [
    Command(
        "data check",
        "say what is understood of an event file, and what would be left out",
        "lifelong data check purchases.csv --user-col customer --item-col sku --time-col bought_at",
        check,
        [argument("file", metavar="FILE", help="a csv, tsv, jsonl or parquet file"), *COLUMNS],
    ),
    Command(
        "data audit",
        "look for what weighs too much, is there twice, or gives a task's answer away",
        "lifelong data audit tasks/complete_journey/kids.yaml",
        audit,
        [
            argument(
                "source",
                metavar="DATASET",
                help="name of a data set, or a task's YAML file, of which leaks are told, too",
            )
        ],
    ),
    Command(
        "data prepare",
        "sort a data set and keep it for the next time",
        "lifelong data prepare complete_journey",
        prepare,
        [
            argument(
                "source", metavar="DATASET", help="name of a data set (`lifelong list datasets`), or a task's YAML file"
            )
        ],
    ),
]
