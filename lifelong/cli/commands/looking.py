"""inspect, list, doctor: what there is."""

import argparse
from dataclasses import asdict
from pathlib import Path

from lifelong.cli.console import Console, columns
from lifelong.cli.parser import Command, argument
from lifelong.core.config import read_yaml
from lifelong.core.errors import ConfigError
from lifelong.core.registry import PACKAGES, Entry, entries

TITLE = "look around"
FOLDERS = {"tasks": "tasks", "models": "checkpoints"}
"""Where those kinds lie that are files of the user."""
KINDS = (*PACKAGES, *FOLDERS)


def inspect(options: argparse.Namespace, console: Console) -> int:
    """Who owns how much of a model."""
    from lifelong.living import LivingModel
    from lifelong.reports.tables import inspect_table

    description = LivingModel.open(options.model, options.version).inspect()
    return console.show(description, inspect_table(description))


def list_kind(options: argparse.Namespace, console: Console) -> int:
    """What there is of a kind, or of every kind."""
    if options.kind is None:
        found = {kind: [asdict(entry) for entry in _entries(kind)] for kind in KINDS}
        lines = [(kind, ", ".join(entry["name"] for entry in all_of)) for kind, all_of in found.items()]
        return console.show(found, columns(("kind", "names"), lines))
    listed = _entries(options.kind)
    table = columns(("name", "what it is"), [(entry.name, entry.summary) for entry in listed])
    parts = [table] if listed else [f"There are none below ./{FOLDERS[options.kind]}."]
    return console.show([asdict(entry) for entry in listed], *parts)


def _entries(kind: str) -> list[Entry]:
    return {"tasks": _tasks, "models": _models}.get(kind, lambda: entries(kind))()


def _tasks() -> list[Entry]:
    """The YAML files below ./tasks."""
    return [Entry(str(path), _summary(path)) for path in sorted(Path("tasks").rglob("*.y*ml"))]


def _summary(path: Path) -> str:
    """The comment in the first line, else what is predicted from what."""
    try:
        values = read_yaml(path)
    except ConfigError as error:
        return str(error).removeprefix(f"{path}: ")
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if first.startswith("#"):
        return first.lstrip("# ").rstrip(". ")
    data = values.get("data")
    data = data if isinstance(data, dict) else {}
    head, dataset = (s.get("name") if isinstance(s, dict) else s for s in (values.get("head"), data.get("dataset")))
    return f"{data.get('label') or head} on {dataset}"


def _models() -> list[Entry]:
    """The models below ./checkpoints."""
    found = []
    for card in sorted(Path("checkpoints").glob("*/lifelong.json")):
        versions = len(list((card.parent / "versions").glob("[0-9]*.json")))
        found.append(Entry(str(card.parent), f"{versions} version{'' if versions == 1 else 's'}"))
    return found


def doctor(options: argparse.Namespace, console: Console) -> int:
    """Whether this installation is whole, and what a report of a fault should say of it."""
    from lifelong.cli.doctor import examine, lines_of

    report = examine(console.progress)
    console.show(report, *lines_of(report))
    return 0 if report["ok"] else 1


COMMANDS = [
    Command(
        "inspect",
        "show who owns how much of a model, and what is free",
        "lifelong inspect checkpoints/shop",
        inspect,
        [
            argument("model", metavar="MODEL", help="folder of the model"),
            argument("--version", type=int, metavar="N", help="an older version (default: the newest)"),
        ],
    ),
    Command(
        "list",
        "list strategies, encoders, datasets, tasks and the other kinds",
        "lifelong list strategies",
        list_kind,
        [argument("kind", metavar="KIND", nargs="?", choices=KINDS, help=f"one of {', '.join(KINDS)} (default: all)")],
    ),
    Command("doctor", "check this installation; put it into a report of a fault", "lifelong doctor", doctor),
]
