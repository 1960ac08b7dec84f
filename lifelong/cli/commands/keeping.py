"""log, rollback: the versions of a model."""

import argparse
import time

from lifelong.cli.console import show
from lifelong.cli.parser import Command, argument


def log(options: argparse.Namespace) -> int:
    """List the versions, oldest first."""
    from lifelong.cli.tables import rows
    from lifelong.store.store import Store

    versions = [
        {
            "version": v.number,
            "sha256": v.sha256,
            "op": v.op,
            "created": time.strftime("%Y-%m-%d %H:%M", time.gmtime(v.created)),
            "tasks": list(v.body["order"]),
        }
        for v in Store.open(options.model).log()
    ]
    lines = [[str(v["version"]), str(v["sha256"])[:12], str(v["op"]), str(v["created"]), ", ".join(v["tasks"])] for v in versions]
    return show(options, versions, rows(("version", "sha256", "what", "when (UTC)", "tasks"), lines))


def rollback(options: argparse.Namespace) -> int:
    """Make an older version the state again, as a new version; nothing is deleted."""
    from lifelong.cli.tables import pairs
    from lifelong.store.store import Store

    version = Store.open(options.model).rollback(options.to, int(time.time()))
    document = {"version": version.number, "sha256": version.sha256, "like": options.to, "tasks": list(version.body["order"])}
    rows = {"version": f"{version.number}, with the content of version {options.to}", "tasks": ", ".join(document["tasks"])}
    return show(options, document, pairs(rows))


COMMANDS = [
    Command(
        "log",
        "list the versions of a model",
        "lifelong log checkpoints/shop",
        log,
        [argument("model", help="folder of the model")],
    ),
    Command(
        "rollback",
        "make an older version the state again (as a new version: nothing is lost)",
        "lifelong rollback checkpoints/shop 3",
        rollback,
        [argument("model", help="folder of the model"), argument("to", type=int, help="number of the version")],
    ),
]
