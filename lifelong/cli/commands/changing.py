"""remove, retrain, migrate: changes of a model on purpose."""

import argparse
from dataclasses import asdict

from lifelong.cli.commands.growing import COMPUTE, SETTINGS, compute_of, show_addition
from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.cli.together import together
from lifelong.core.errors import UsageError
from lifelong.reports.format import count, percent

TITLE = "change it on purpose"
MODEL = argument("model", metavar="MODEL", help="folder of the model")
TASK = argument("task", metavar="TASK", help="name of the task; none may stand on it")


def remove(options: argparse.Namespace, console: Console) -> int:
    """Take a task out."""
    from lifelong.living import LivingModel

    model = LivingModel.open(options.model)
    console.progress.say(f"checking in a fresh process: the {len(model.members) - 1} tasks that stay")
    removed = model.remove(options.task)
    rows = {
        "task": f"{removed.task}, identity {removed.identity}; the versions before {removed.version} keep it",
        "version": f"{removed.version} of {options.model}",
        "given back": f"{percent(removed.given_back)} of the encoder's weights",
        "free": f"{percent(removed.free)} of them, for later tasks",
        "other tasks": f"{len(removed.changed)} checked in a fresh process, "
        f"{count(sum(removed.changed.values()))} probe values changed",
    }
    return console.show(asdict(removed), pairs(rows))


def retrain(options: argparse.Namespace, console: Console) -> int:
    """Let a task be learnt anew in the place of itself."""
    from lifelong.living import LivingModel
    from lifelong.model.task import Task

    if options.settings and options.instead is None:
        raise UsageError("--set changes options of a file; name it with --with TASK.yaml")
    compute = compute_of(options)
    with together(compute) as group:
        instead = None if options.instead is None else Task.read(options.instead, options.settings)
        model = LivingModel.open(options.model)
        added = model.retrain(
            options.task, instead, seed=options.seed, compute=compute, progress=console.progress, group=group
        )
        return show_addition(console, added, options.model) if group.leads else 0


def migrate(options: argparse.Namespace, console: Console) -> int:
    """Move a model to the format of this release."""
    from lifelong.keeping.migrating import migrate as move
    from lifelong.store.store import Store

    moved = move(Store.open(options.model))
    rows = {
        "format": f"{moved.after}, it was {moved.before}",
        "version": f"{moved.version} of {options.model}; those before stay as they are",
        "tasks": f"{moved.tasks} checked in a fresh process, every bit is what it was",
    }
    return console.show(asdict(moved), pairs(rows))


COMMANDS = [
    Command(
        "remove",
        "take a task out; what it owned is free for later ones",
        "lifelong remove checkpoints/shop kids",
        remove,
        [MODEL, TASK],
    ),
    Command(
        "retrain",
        "let a task be learnt anew, as another identity",
        "lifelong retrain checkpoints/shop kids --seed 1",
        retrain,
        [
            MODEL,
            TASK,
            argument(
                "--with", dest="instead", metavar="TASK.yaml", help="the task with other options (default: the same)"
            ),
            argument(
                "--seed", type=int, metavar="N", help="the same seed gives the same bits (default: that of before)"
            ),
            SETTINGS,
            *COMPUTE,
        ],
    ),
    Command(
        "migrate",
        "move a model to the format of this release",
        "lifelong migrate checkpoints/shop",
        migrate,
        [MODEL],
    ),
]
