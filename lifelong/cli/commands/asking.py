"""represent, recommend, predict: answers for the users of an event file, or for one history."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.cli.columns import COLUMNS, columns_of
from lifelong.cli.console import Console, columns, pairs
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError
from lifelong.reports.format import count

if TYPE_CHECKING:
    import pyarrow as pa

    from lifelong.core.types import Event
    from lifelong.living import LivingModel

TITLE = "ask it"
BLOCK = 4096
"""Users answered at a time, so that memory does not grow with the file."""
SHOWN = 20
"""Users shown on a terminal."""

Histories = Sequence[Sequence["str | Event"]]
Answer = Callable[[Histories], "dict[str, pa.Array]"]
"""From histories to columns: name -> one value a user."""


def represent(options: argparse.Namespace, console: Console) -> int:
    """User vectors."""
    import pyarrow as pa

    model = _open(options)

    def answer(histories: Histories) -> "dict[str, pa.Array]":
        vectors_ND = model.represent(histories, options.task, unknown=options.unknown)
        return {"vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.ravel()), vectors_ND.shape[1])}

    return _answer(options, console, answer, lambda row: " ".join(f"{v:+.3f}" for v in row["vector"][:8]) + " …")


def recommend(options: argparse.Namespace, console: Console) -> int:
    """The best items of the task's catalogue."""
    import pyarrow as pa

    if options.k < 1:
        raise UsageError(f"-k {options.k}: ask for at least one item")
    model, repeats = _open(options), False if options.no_repeats else None

    def answer(histories: Histories) -> "dict[str, pa.Array]":
        found = model.recommend(histories, options.task, k=options.k, repeats=repeats, unknown=options.unknown)
        return {
            "items": pa.array([r.items for r in found], pa.list_(pa.string())),
            "scores": pa.array([r.scores for r in found], pa.list_(pa.float32())),
        }

    return _answer(options, console, answer, lambda row: "  ".join(row["items"]))


def predict(options: argparse.Namespace, console: Console) -> int:
    """Classes or labels with probabilities, or numbers."""
    model = _open(options)

    def answer(histories: Histories) -> "dict[str, pa.Array]":
        return _predicted([vars(one) for one in model.predict(histories, options.task, unknown=options.unknown)])

    return _answer(options, console, answer, _brief)


def _predicted(rows: list[dict[str, Any]]) -> "dict[str, pa.Array]":
    """Columns of what was predicted of some users; labels as one text, as the head multi_label reads them."""
    import pyarrow as pa

    first = rows[0] if rows else {}
    if "value" in first:
        return {"value": pa.array([row["value"] for row in rows], pa.float32())}
    kind = pa.struct([pa.field(name, pa.float32()) for name in first.get("probabilities", ())])
    name = "labels" if "labels" in first else "label"
    said = [row[name] if name == "label" else " ".join(row[name]) for row in rows]
    probabilities = pa.array([row["probabilities"] for row in rows], kind)
    return {name: pa.array(said, pa.string()), "probabilities": probabilities}


def _brief(row: dict[str, Any]) -> str:
    if "value" in row:
        return f"{row['value']:.6g}"
    return row["labels"] if "labels" in row else f"{row['label']}  {row['probabilities'][row['label']]:.1%}"


def _open(options: argparse.Namespace) -> "LivingModel":
    """The model, after everything that can be refused without it."""
    from lifelong.cli.answers import check_ending
    from lifelong.living import LivingModel

    if (options.events is None) == (options.history is None):
        raise UsageError("name an event file, or give one history with --history a,b,c")
    if options.out:
        check_ending(Path(options.out))
    return LivingModel.open(options.model, options.version)


def _answer(
    options: argparse.Namespace, console: Console, answer: Answer, brief: Callable[[dict[str, Any]], str]
) -> int:
    """Ask block by block; the rows go to --out or are shown."""
    import pyarrow as pa

    if options.history is not None and not options.out:
        history = [item.strip() for item in options.history.split(",") if item.strip()]
        row = pa.table(answer([history])).to_pylist()[0]
        return console.show(row, _one(row))
    tables = _tables(options, console, answer)
    if options.out:
        return _write(options, console, tables)
    rows = [row for table in tables for row in table.to_pylist()]
    lines = [(row["user"], brief(row)) for row in rows[:SHOWN]]
    more = [f"… and {count(len(rows) - SHOWN)} more; --out FILE writes all"] if len(rows) > SHOWN else []
    return console.show(rows, columns(("user", "answer"), lines), *more)


def _tables(options: argparse.Namespace, console: Console, answer: Answer) -> "Iterator[pa.Table]":
    import pyarrow as pa

    users, histories = _histories(options)
    console.progress.start("users", len(users))
    for start in range(0, len(users), BLOCK):
        block = slice(start, start + BLOCK)
        yield pa.table({"user": pa.array(users[block], pa.string()), **answer(histories[block])})
        console.progress.advance(len(users[block]))
    console.progress.end()


def _histories(options: argparse.Namespace) -> tuple[list[str], Histories]:
    if options.history is not None:
        return ["1"], [[item.strip() for item in options.history.split(",") if item.strip()]]
    from lifelong.data.histories import read_histories

    return read_histories(options.events, columns_of(options), format=options.format, delimiter=options.delimiter)


def _write(options: argparse.Namespace, console: Console, tables: "Iterator[pa.Table]") -> int:
    from lifelong.cli.answers import writing

    users = 0
    with writing(Path(options.out), getattr(options, "k", 0)) as write:
        for table in tables:
            write(table)
            users += len(table)
    return console.show(
        {"users": users, "out": options.out}, pairs({"written": f"{count(users)} users to {options.out}"})
    )


def _one(row: dict[str, Any]) -> Any:
    """The answer to one history."""
    if "vector" in row:
        return " ".join(f"{value:+.4f}" for value in row["vector"])
    if "value" in row:
        return _brief(row)
    if "probabilities" in row:
        by_probability = sorted(row["probabilities"].items(), key=lambda entry: -entry[1])
        classes = [(name, f"{probability:.1%}") for name, probability in by_probability]
        return columns(("class" if "label" in row else "label", "probability"), classes, ("probability",))
    ranked = enumerate(zip(row["items"], row["scores"], strict=True), 1)
    lines = [(str(rank), item, f"{score:.3f}") for rank, (item, score) in ranked]
    return columns(("rank", "item", "score"), lines, ("rank", "score"))


ASKED = [
    argument("model", metavar="MODEL", help="folder of the model"),
    argument("events", metavar="EVENTS", nargs="?", help="events of the users: a csv, tsv, jsonl or parquet file"),
    argument("--history", metavar="A,B,C", help="in place of a file one history: item ids, oldest first"),
    argument("--out", metavar="FILE", help="write one row a user to a .parquet, .csv or .jsonl file"),
    argument(
        "--unknown",
        choices=("error", "cold"),
        default="error",
        help="users of unknown items alone: error (default), or cold: answered like users without history",
    ),
    argument("--version", type=int, metavar="N", help="an older version (default: the newest)"),
    *COLUMNS,
]
TASK = argument("--task", metavar="TASK", help="the task that answers (default: the model's first)")

COMMANDS = [
    Command(
        "represent",
        "turn each user's events into a vector",
        "lifelong represent checkpoints/shop purchases.parquet --out users.parquet",
        represent,
        [*ASKED, TASK],
    ),
    Command(
        "recommend",
        "rank the items of a task's catalogue for each user",
        "lifelong recommend checkpoints/shop --history 1082185,981760 -k 5",
        recommend,
        [
            *ASKED,
            TASK,
            argument("-k", type=int, default=10, metavar="K", help="how many items (default: 10)"),
            argument("--no-repeats", action="store_true", help="leave out what the user had already"),
        ],
    ),
    Command(
        "predict",
        "predict each user's class, labels or number, such as a profile",
        "lifelong predict checkpoints/shop purchases.parquet --task kids --out kids.csv",
        predict,
        [*ASKED, argument("--task", metavar="TASK", required=True, help="the task that answers")],
    ),
]
