"""pretrain, add-task, forgetting: what makes a model learn."""

import argparse
from dataclasses import asdict, replace
from typing import Any

from lifelong.cli.console import progress_of, show
from lifelong.cli.parser import Command, argument

SETTINGS = argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="change an option of the YAML file, for instance fit.epochs=5; may be repeated")
SEED = argument("--seed", type=int, default=0, help="the same seed gives the same bits (default: 0)")
DRY_RUN = argument("--dry-run", action="store_true", help="say what would be trained, what would be left, time and memory; train nothing")


def pretrain(options: argparse.Namespace) -> int:
    """Make a model and let it learn its first task."""
    from lifelong.living import LivingModel, plan_first
    from lifelong.task import Task

    task, progress = Task.read(options.task, options.settings), progress_of(options)
    if options.dry_run:
        return _show_estimate(options, plan_first(task, seed=options.seed, progress=progress))
    model = LivingModel.pretrain(options.model, task, seed=options.seed, progress=progress)
    return _show_addition(options, model, task.name)


def add_task(options: argparse.Namespace) -> int:
    """Let a model learn another task."""
    from lifelong.living import LivingModel
    from lifelong.task import Task

    task, progress = Task.read(options.task, options.settings), progress_of(options)
    if options.strategy:
        task = replace(task, strategy=options.strategy).check()
    model = LivingModel.open(options.model)
    if options.dry_run:
        return _show_estimate(options, model.plan(task, seed=options.seed, progress=progress))
    model.add_task(task, seed=options.seed, allow_forgetting=options.allow_forgetting, progress=progress)
    return _show_addition(options, model, task.name)


def _show_estimate(options: argparse.Namespace, estimate: Any) -> int:
    from lifelong.cli.tables import pairs

    e = estimate
    cases = ", ".join(f"{n:,} {part}" for part, n in e.cases.items())
    rows = {
        "task": f"{e.task} by {e.strategy}",
        "would train": f"{e.trained:,} numbers, {e.claims:.1%} of the encoder's weights to choose from",
        "free now": f"{e.free_before:.1%} of the encoder's weights",
        "cases": cases,
        "left out": ", ".join(f"{n:,} {reason}" for reason, n in e.left_out.items() if n) or "nothing",
        "answers": f"{e.answers:,}" + (f", {e.new_item_rows:,} items get rows of their own" if e.new_item_rows else ""),
        "time": f"{e.seconds_per_epoch:,.1f} s an epoch, at most {e.seconds_at_most:,.0f} s",
        "memory": f"about {e.memory_mb:,.0f} MB",
    }
    return show(options, e.as_dict(), pairs(rows))


def _show_addition(options: argparse.Namespace, model: Any, name: str) -> int:
    from lifelong.cli.tables import pairs

    done = model.last_addition
    earlier = len(done.changed)
    checked = f"{earlier} checked in a fresh process, {sum(done.changed.values()):,} probe values changed" if earlier else "none yet"
    rows = {
        "task": f"{name}, identity {done.identity}",
        "version": f"{done.version} of {model.store.path}",
        "trained": f"{done.trained:,} numbers in {done.seconds:,.1f} s",
        "stored": f"{done.stored_bytes / 1e6:,.2f} MB",
        "free": f"{done.free:.1%} of the encoder's weights are left for later tasks",
        "earlier tasks": checked,
    }
    return show(options, asdict(done), pairs(rows))


def forgetting(options: argparse.Namespace) -> int:
    """Learn the same tasks under several strategies and measure what each forgets."""
    from lifelong.forgetting import run_forgetting
    from lifelong.reports.tables import forgetting_table

    document = run_forgetting(
        options.tasks,
        options.strategies.split(","),
        options.out,
        seed=options.seed,
        settings=options.settings,
        progress=progress_of(options),
        force=options.force,
    )
    show(options, document, forgetting_table(document))
    if not options.json:
        print(f"report: {options.out}/report.html   ({document['minutes']} minutes)")
    return 0


COMMANDS = [
    Command(
        "pretrain",
        "make a model and let it learn its first task",
        "lifelong pretrain checkpoints/shop tasks/complete_journey/next_product.yaml",
        pretrain,
        [
            argument("model", help="folder of the model to make"),
            argument("task", help="YAML file of the first task"),
            SETTINGS,
            SEED,
            DRY_RUN,
        ],
    ),
    Command(
        "add-task",
        "let a model learn another task; no earlier one changes",
        "lifelong add-task checkpoints/shop tasks/complete_journey/kids.yaml",
        add_task,
        [
            argument("model", help="folder of the model"),
            argument("task", help="YAML file of the task"),
            argument("--strategy", help="instead of the one that the file names, for instance probe"),
            argument("--allow-forgetting", action="store_true", help="permit a strategy that changes earlier tasks"),
            SETTINGS,
            SEED,
            DRY_RUN,
        ],
    ),
    Command(
        "forgetting",
        "learn tasks in order under several strategies and report what each forgets",
        "lifelong forgetting tasks/complete_journey/{next_product,kids,age}.yaml --strategies conure,sequential --out runs/first",
        forgetting,
        [
            argument("tasks", nargs="+", help="YAML files in order; the first one is pretrained"),
            argument("--strategies", default="conure,sequential", help="names, with commas (default: conure,sequential)"),
            argument("--out", required=True, help="folder for report.html, forgetting.json, forgetting.csv and the models"),
            argument("--force", action="store_true", help="start over where the folder holds a run"),
            SETTINGS,
            SEED,
        ],
    ),
]
