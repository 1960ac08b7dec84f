"""inspect, list, doctor: what there is."""

import argparse
from pathlib import Path

from lifelong.cli.console import show
from lifelong.cli.parser import Command, argument
from lifelong.core import registry

KINDS = [*sorted(registry.PACKAGES), "tasks"]


def inspect(options: argparse.Namespace) -> int:
    """Draw who owns how much of the encoder."""
    from lifelong.living import LivingModel
    from lifelong.reports.tables import inspect_table

    description = LivingModel.open(options.model, options.version).inspect()
    return show(options, description, inspect_table(description))


def list_kind(options: argparse.Namespace) -> int:
    """List what there is of a kind, with the first line of each file."""
    from lifelong.cli.tables import rows

    found = _tasks(Path(options.folder)) if options.kind == "tasks" else [vars(e) for e in registry.entries(options.kind)]
    return show(options, found, rows((options.kind, ""), [[e["name"], e["summary"]] for e in found]))


def _tasks(folder: Path) -> list[dict[str, str]]:
    """YAML files below a folder, each with its first comment."""
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found.append({"name": str(path), "summary": first.lstrip("# ").rstrip(".") if first.startswith("#") else ""})
    return found


def doctor(options: argparse.Namespace) -> int:
    """Print versions, the numeric stack, and what is missing; 1 where something required is."""
    from lifelong.cli.doctor import examine
    from lifelong.cli.tables import pairs

    report = examine()
    rows = {name: str(value) for name, value in {**report["versions"], **report["stack"], **report["checks"]}.items()}
    for missing in report["missing"]:
        rows[f"missing: {missing['what']}"] = f"{missing['for']}; {missing['add']}"
    show(options, report, pairs(rows))
    return 0 if report["ok"] else 1


COMMANDS = [
    Command(
        "inspect",
        "draw who owns how much of the encoder, and what is free",
        "lifelong inspect checkpoints/shop",
        inspect,
        [
            argument("model", help="folder of the model"),
            argument("--version", type=int, help="an older version instead of the newest"),
        ],
    ),
    Command(
        "list",
        "list what there is: strategies, encoders, heads, data sets, tasks, …",
        "lifelong list strategies --json",
        list_kind,
        [
            argument("kind", choices=KINDS, help=" | ".join(KINDS), metavar="KIND"),
            argument("--folder", default="tasks", help="where `list tasks` looks (default: tasks)"),
        ],
    ),
    Command("doctor", "print versions, device, numeric stack, and what is missing", "lifelong doctor", doctor),
]
