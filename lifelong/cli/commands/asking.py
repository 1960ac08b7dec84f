"""represent, recommend, predict: answers for the users of an event file, one row a user."""

import argparse
from pathlib import Path
from typing import Any

from lifelong.cli.columns import COLUMNS, columns_of
from lifelong.cli.console import show
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError

ENDINGS = (".parquet", ".csv", ".jsonl")
SHOWN = 20


def represent(options: argparse.Namespace) -> int:
    """User vectors."""
    model, users, histories = _asked(options)
    vectors = model.represent(histories, options.task, unknown=options.unknown)
    return _answer(options, [{"user": u, "vector": v.tolist()} for u, v in zip(users, vectors, strict=True)])


def recommend(options: argparse.Namespace) -> int:
    """The best items of the task's catalogue."""
    model, users, histories = _asked(options)
    repeats = False if options.no_repeats else None
    found = model.recommend(histories, options.task, k=options.k, repeats=repeats, unknown=options.unknown)
    return _answer(options, [{"user": u, "items": r.items, "scores": r.scores} for u, r in zip(users, found, strict=True)])


def predict(options: argparse.Namespace) -> int:
    """Classes with probabilities."""
    model, users, histories = _asked(options)
    found = model.predict(histories, options.task, unknown=options.unknown)
    rows = [{"user": u, "label": p.label, "probabilities": p.probabilities} for u, p in zip(users, found, strict=True)]
    return _answer(options, rows)


def _asked(options: argparse.Namespace) -> tuple[Any, list[str], list[list[str]]]:
    from lifelong.data.histories import read_histories
    from lifelong.living import LivingModel

    if (options.events is None) == (options.history is None):
        raise UsageError("name an event file, or one history with --history a,b,c")
    if options.out and Path(options.out).suffix not in ENDINGS:
        raise UsageError(f"--out {options.out}: write to a file that ends in {', '.join(ENDINGS)}")
    model = LivingModel.open(options.model, options.version)
    if options.history is not None:
        return model, [""], [[item for item in options.history.split(",") if item]]
    users, histories = read_histories(options.events, columns_of(options), format=options.format, delimiter=options.delimiter)
    return model, users, histories


def _answer(options: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    """Write the rows to --out, or print them."""
    from lifelong.cli.tables import pairs
    from lifelong.cli.tables import rows as table

    if options.out:
        _write(rows, Path(options.out))
        return show(options, {"rows": len(rows), "out": options.out}, pairs({"written": f"{len(rows):,} users to {options.out}"}))
    lines = [[str(row["user"]), _short(row)] for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(["…", f"{len(rows) - SHOWN:,} more users; write them all with --out"])
    return show(options, rows, table(("user", "answer"), lines))


def _short(row: dict[str, Any]) -> str:
    if "vector" in row:
        return " ".join(f"{v:+.2f}" for v in row["vector"][:8]) + " …"
    if "label" in row:
        return f"{row['label']} ({row['probabilities'][row['label']]:.1%})"
    return "  ".join(f"{i} {s:.2f}" for i, s in zip(row["items"], row["scores"], strict=True))


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    import json

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        flat = [{k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows]
        pyarrow.csv.write_csv(pa.Table.from_pylist(flat), path)


ASKED = [
    argument("model", help="folder of the model"),
    argument("events", nargs="?", help="events of the users: csv, tsv, jsonl or parquet"),
    argument("--history", metavar="IDS", help="one history instead of a file: item ids with commas, oldest first"),
    argument("--out", metavar="FILE", help="write all answers to a .parquet, .csv or .jsonl file"),
    argument("--unknown", choices=["error", "cold"], default="error", help="what to do with users of unknown items alone: refuse, or answer as without history (default: error)"),
    argument("--version", type=int, help="an older version instead of the newest"),
    *COLUMNS,
]
TASK = argument("--task", help="which task answers (default: the model's first)")

COMMANDS = [
    Command(
        "represent",
        "one user vector for each user of an event file",
        "lifelong represent checkpoints/shop purchases.parquet --out users.parquet",
        represent,
        [*ASKED, TASK],
    ),
    Command(
        "recommend",
        "the best items of a task's catalogue for each user",
        "lifelong recommend checkpoints/shop --history 1082185,981760 -k 5",
        recommend,
        [
            *ASKED,
            TASK,
            argument("-k", type=int, default=10, help="how many items (default: 10)"),
            argument("--no-repeats", action="store_true", help="leave out what the user already had"),
        ],
    ),
    Command(
        "predict",
        "the class of each user with probabilities, such as a profile",
        "lifelong predict checkpoints/shop purchases.parquet --task kids --out kids.csv",
        predict,
        [*ASKED, argument("--task", required=True, help="which task answers")],
    ),
]
