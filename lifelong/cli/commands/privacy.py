"""who-saw, erase: whom a model was trained on, and taking them out of it."""

import argparse
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.cli.commands.growing import DEVICE, PRECISION
from lifelong.cli.console import Console, columns, pairs
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError
from lifelong.reports.format import count

if TYPE_CHECKING:
    from lifelong.privacy.asking import Exposure
    from lifelong.privacy.planning import Plan

TITLE = "keep people's data"
MODEL = argument("model", metavar="MODEL", help="folder of the model")
UNITS = {"": 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}
SAID = {
    "trained": "trained on",
    "validated": "chose its epochs",
    "present": "in its data, not trained on",
    "no": "no",
    "unknown": "unknown: nothing was kept of whom",
    "gone": "its files are gone",
}


def who_saw(options: argparse.Namespace, console: Console) -> int:
    """What a user was to every identity of every task; the id is not said again."""
    from lifelong.privacy.asking import who_saw as ask
    from lifelong.store.store import Store

    found = ask(Store.open(options.model), options.user)
    lines = [(s.task, s.identity, SAID[s.how], ", ".join(s.through) or "–", s.ended or "is there") for s in found]
    heads = ("task", "identity", "the user was", "through", "state")
    return console.show(
        [asdict(seen) | {"exposed": seen.exposed} for seen in found], columns(heads, lines), "", _said(found)
    )


def _said(found: "list[Exposure]") -> str:
    there = [seen for seen in found if not seen.ended]
    exposed, unknown = sum(seen.exposed for seen in there), sum(seen.how == "unknown" for seen in there)
    more = f"; of {unknown} it is not known" if unknown else ""
    wrong = "One in 70,000 who was never seen is said to have been."
    return f"{exposed} of {len(there)} tasks have learnt from the user{more}. {wrong}"


def erase(options: argparse.Namespace, console: Console) -> int:
    """Learn anew, without them, what has learnt from some users."""
    from lifelong.core.compute import Compute
    from lifelong.living import LivingModel
    from lifelong.model.task import Task
    from lifelong.privacy.erasing import erase as take_out
    from lifelong.privacy.planning import plan_erasure

    users, grace = _users(options), _seconds(options.purge_after)
    read = [Task.read(path) for path in options.instead]
    model = LivingModel.open(options.model)
    if unknown := [task.name for task in read if task.name not in model.members]:
        raise UsageError(f"{options.model}: has no task {unknown[0]!r} that could be learnt from other files")
    instead = {task.name: task for task in read}
    if options.dry_run:
        return _show_plan(console, plan_erasure(model, users, instead, console.progress))
    compute = Compute(device=options.device, precision=options.precision)
    done = take_out(model, users, instead=instead, grace=grace, compute=compute, progress=console.progress)
    rows = {
        "version": f"{done.version} of {options.model}; no rollback leads behind it",
        "users": f"{count(done.users)}, whose ids are nowhere kept",
        **{f"ended: {n}": f"{was['was']}, it is {was['is']} now; {done.why[n]}" for n, was in done.ended.items()},
        "kept": f"{', '.join(done.kept) or 'nothing'}: {count(sum(done.changed.values()))} probe values changed",
        "prepared data": f"{count(done.prepared)} folders of the cache removed, which held them",
        "purge": f"`lifelong gc {options.model} --yes` takes what was before from {_day(done.purge_after)} on",
    }
    return console.show(asdict(done), pairs(rows))


def _show_plan(console: Console, plan: "Plan") -> int:
    document = {"users": len(plan.ids), "anew": plan.anew, "kept": plan.kept, "elsewhere": plan.elsewhere}
    rows = plan.anew | dict.fromkeys(plan.kept, "would stay")
    rows |= {"of the past": f"{', '.join(plan.elsewhere) or 'nothing'}: would be purged"}
    return console.show(document, pairs(rows), "Nothing was trained and nothing was written.")


def _users(options: argparse.Namespace) -> list[str]:
    """The ids of the command and of the file, one a line."""
    if options.file is None:
        return list(options.users)
    try:
        lines = Path(options.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{options.file}: cannot be read; it holds one id a line, in UTF-8") from None
    return [*options.users, *(line.strip() for line in lines if line.strip())]


def _seconds(text: str) -> float:
    """30d, 12h, 90m, 0: days where no unit is given. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,6})([dhms]?)", text.strip())
    if not found:
        raise UsageError(f"{text!r:.40} is no time: write 30d, 12h or 0")
    return int(found[1]) * UNITS[found[2]]


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


COMMANDS = [
    Command(
        "who-saw",
        "say which tasks were trained on a user",
        "lifelong who-saw checkpoints/shop 4711",
        who_saw,
        [MODEL, argument("user", metavar="USER", help="id of the user, as it stands in the data")],
    ),
    Command(
        "erase",
        "take users out: learn anew without them what has learnt from them",
        "lifelong erase checkpoints/shop --from asked.txt --purge-after 30d",
        erase,
        [
            MODEL,
            argument("users", metavar="USER", nargs="*", help="ids, whose rows are gone from the data already"),
            argument("--from", dest="file", metavar="FILE", help="more ids, one a line; a shell remembers the others"),
            argument(
                "--with",
                dest="instead",
                action="append",
                default=[],
                metavar="TASK.yaml",
                help="a task of the model whose data lie elsewhere; as often as you like",
            ),
            argument(
                "--purge-after",
                default="30d",
                metavar="TIME",
                help="when a gc may take what was before: 30d, 12h, 0 (default: 30d)",
            ),
            DEVICE,
            PRECISION,
            argument("--dry-run", action="store_true", help="only say what would be learnt anew, and why"),
        ],
    ),
]
