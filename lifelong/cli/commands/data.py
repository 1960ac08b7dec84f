"""data check, data prepare: what an event file holds, and getting a data set ready."""

import argparse

from lifelong.cli.columns import COLUMNS, columns_of
from lifelong.cli.console import progress_of, show
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError


def data(options: argparse.Namespace) -> int:
    """Check an event file, or prepare a data set."""
    return check(options) if options.action == "check" else prepare(options)


def check(options: argparse.Namespace) -> int:
    """Say what was understood of a file, what would be dropped and why; nothing is changed."""
    from lifelong.cli.tables import pairs
    from lifelong.data.check import check as check_file

    report = check_file(options.what, columns_of(options), format=options.format, delimiter=options.delimiter)
    return show(options, report.as_dict(), pairs(dict(report.lines())))


def prepare(options: argparse.Namespace) -> int:
    """Prepare the data set of a task file, or one named by itself."""
    from lifelong.cli.tables import pairs
    from lifelong.data.prepare import prepare as prepare_source
    from lifelong.living import make_source
    from lifelong.task import Task

    if options.format or options.delimiter:
        raise UsageError("data prepare takes a task's YAML file or a data set's name; --format goes with data check")
    spec = Task.read(options.what).data.dataset if options.what.endswith((".yaml", ".yml")) else options.what
    prepared = prepare_source(make_source(spec, "data prepare"), say=progress_of(options).say)
    report = prepared.report
    document = {
        "name": prepared.name,
        "folder": str(prepared.folder),
        "users": len(prepared.users),
        "items": len(prepared.items),
        "rows_read": report.rows_read,
        "rows_used": report.rows_used,
        "dropped": dict(report.dropped),
        "notice": prepared.notice,
    }
    shown = {k: f"{v:,}" if isinstance(v, int) else str(v) for k, v in document.items() if k != "dropped"}
    shown |= {f"dropped: {reason}": f"{n:,}" for reason, n in report.dropped.items()}
    return show(options, document, pairs(shown))


COMMANDS = [
    Command(
        "data",
        "check an event file (what is understood, what would be dropped), or prepare a data set",
        "lifelong data check purchases.csv --user-col customer --item-col sku --time-col bought_at",
        data,
        [
            argument("action", choices=["check", "prepare"], help="check FILE | prepare TASK.yaml or DATASET"),
            argument("what", help="an event file, a task's YAML file, or a data set's name"),
            *COLUMNS,
        ],
    )
]
