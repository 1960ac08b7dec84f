"""batch represent, batch recommend, batch predict: a folder of event files in, a Parquet file of answers for each out."""

import argparse
from typing import Any

from lifelong.cli.columns import COLUMNS, columns_of
from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.reports.format import count

TITLE = "ask it about millions"


def represent(options: argparse.Namespace, console: Console) -> int:
    """User vectors."""
    return _run(options, console, answer="represent")


def recommend(options: argparse.Namespace, console: Console) -> int:
    """The best items of the task's catalogue."""
    return _run(options, console, answer="recommend", k=options.k, repeats=_repeats(options), index=options.index)


def predict(options: argparse.Namespace, console: Console) -> int:
    """Classes with probabilities."""
    return _run(options, console, answer="predict")


def _repeats(options: argparse.Namespace) -> bool | None:
    return False if options.no_repeats else None


def _run(options: argparse.Namespace, console: Console, **asked: Any) -> int:
    from lifelong.batch.answering import run_batch
    from lifelong.batch.partitions import Shard, find_partitions
    from lifelong.batch.tables import Asked, Question
    from lifelong.living import LivingModel

    shard = Shard.parse(options.shard)
    find_partitions(options.input, options.out)  # a wrong path is told before the model is opened
    question = Question(task=options.task, unknown=options.unknown, columns=columns_of(options), **asked)
    model = LivingModel.open(options.model, options.version)
    done = run_batch(
        Asked(model, question),
        options.input,
        options.out,
        shard=shard,
        format=options.format,
        progress=console.progress,
    )
    return console.show(done, pairs(_rows(done, options.out)))


def _rows(done: dict[str, Any], out: str) -> dict[str, str]:
    totals = done["totals"]
    rows = {
        f"shard {done['shard']}": f"{count(done['made'])} partitions answered, {count(done['skipped'])} were done already",
        "all shards": f"{count(done['partitions'] - len(done['missing']))} of {count(done['partitions'])} partitions",
        "users answered": count(totals["users_answered"]),
    }
    rows |= {name.replace("_", " "): count(totals[name]) for name in ("users_skipped", "users_cold") if totals[name]}
    rows |= {
        "events": f"{count(totals['events'])}, {count(totals['events_unknown'])} of items that the task does not know"
    }
    found = [file["recall"] for file in done["files"].values() if file["recall"] is not None]
    if found:
        rows["approximate"] = f"{min(found):.1%} of the exact lists were found, on a sample of users"
    return {**rows, "written to": out, "missing": ", ".join(done["missing"][:5]) or "nothing"}


ASKED = [
    argument("model", metavar="MODEL", help="folder of the model"),
    argument(
        "--input",
        nargs="+",
        required=True,
        metavar="PATH",
        help="folders or files of events, all of a user's in one file: rows of events, or of users with lists",
    ),
    argument("--out", required=True, metavar="FOLDER", help="a Parquet file for each input file, and _manifest.json"),
    argument("--shard", metavar="I/N", help="answer part I (0 to N-1) of N (default: RANK/WORLD_SIZE, or all)"),
    argument(
        "--unknown",
        choices=("error", "cold", "skip"),
        default="error",
        help="users of unknown items alone: error (default), cold: answered like users without history, or skip",
    ),
    argument("--version", type=int, metavar="N", help="an older version (default: the newest)"),
    *[(names, options) for names, options in COLUMNS if "--delimiter" not in names],
]
TASK = argument("--task", metavar="TASK", help="the task that answers (default: the model's first)")
COMMANDS = [
    Command(
        "batch represent",
        "turn the users of many files into vectors",
        "lifelong batch represent checkpoints/shop --input events/ --out vectors/",
        represent,
        [*ASKED, TASK],
    ),
    Command(
        "batch recommend",
        "rank the items for the users of many files",
        "lifelong batch recommend checkpoints/shop --input events/ --out lists/ -k 20 --shard 0/4",
        recommend,
        [
            *ASKED,
            TASK,
            argument("-k", type=int, default=10, metavar="K", help="how many items (default: 10)"),
            argument("--no-repeats", action="store_true", help="leave out what the user had already"),
            argument(
                "--index",
                choices=("exact", "ann"),
                default="exact",
                help="ann: an approximate index; its recall is told (default: exact)",
            ),
        ],
    ),
    Command(
        "batch predict",
        "predict the class of the users of many files",
        "lifelong batch predict checkpoints/shop --input events/ --out kids/ --task kids",
        predict,
        [*ASKED, argument("--task", metavar="TASK", required=True, help="the task that answers")],
    ),
]
