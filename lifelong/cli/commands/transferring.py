"""transfer: what a model is worth on other data."""

import argparse
from pathlib import Path

from lifelong.cli.commands.growing import COMPUTE, SETTINGS, compute_of
from lifelong.cli.console import Console
from lifelong.cli.parser import Command, argument

TITLE = "measure"


def transfer(options: argparse.Namespace, console: Console) -> int:
    """Take targets in under every policy and compare."""
    from lifelong.reports.transfer_table import transfer_table
    from lifelong.transferring import POLICIES, run_transfer

    names = [name.strip() for name in options.policies.split(",")] if options.policies else list(POLICIES)
    document = run_transfer(
        options.model,
        options.targets,
        options.out,
        policies=names,
        seeds=options.seeds,
        settings=options.settings,
        compute=compute_of(options),
        progress=console.progress,
    )
    return console.show(document, transfer_table(document), f"all figures: {Path(options.out) / 'transfer.json'}")


COMMANDS = [
    Command(
        "transfer",
        "what a model is worth on other data: zero-shot, tuned whole, by adapters, from scratch, by ids",
        "lifelong transfer checkpoints/shop tasks/by_text/films.yaml --out runs/transfer",
        transfer,
        [
            argument("model", metavar="MODEL", help="folder of the source model, which stays as it is"),
            argument("targets", metavar="TASK.yaml", nargs="+", help="target tasks that predict items"),
            argument("--out", required=True, metavar="DIR", help="gets transfer.json and what has been done so far"),
            argument(
                "--policies", metavar="A,B", help="zero-shot, full, adapters, scratch, ids (default: all of them)"
            ),
            argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from 0 on (default: 1)"),
            SETTINGS,
            *COMPUTE,
        ],
    )
]
