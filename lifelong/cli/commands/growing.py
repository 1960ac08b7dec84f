"""pretrain, add-task: what lets a model learn."""

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.cli.together import together
from lifelong.reports.format import checked, count, duration, percent, size

if TYPE_CHECKING:
    from lifelong.core.compute import Compute
    from lifelong.growing.estimate import Estimate
    from lifelong.keeping.committing import Addition
    from lifelong.model.task import Task

TITLE = "grow a model"

SETTINGS = argument(
    "--set",
    action="append",
    default=[],
    dest="settings",
    metavar="KEY=VALUE",
    help="an option of the YAML file, such as fit.epochs=5; as often as you like",
)
SEED = argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same bits (default: 0)")
DEVICE = argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, … (default: auto)")
PRECISION = argument(
    "--precision",
    choices=("auto", "float32", "bfloat16"),
    default="auto",
    help="of matrix products in training; auto takes bfloat16 on GPUs that have it",
)
COMPILE = argument("--compile", action="store_true", help="let torch.compile fuse a training step; pays on a GPU")
PARALLEL = argument(
    "--parallel",
    choices=("ddp", "fsdp"),
    default="ddp",
    help="under torchrun: every process holds all weights (ddp), or its part of them (fsdp)",
)
COMPUTE = [DEVICE, PRECISION, COMPILE, PARALLEL]
DRY_RUN = argument("--dry-run", action="store_true", help="only say what it would train, time and memory it would take")


def pretrain(options: argparse.Namespace, console: Console) -> int:
    """Make a model and let it learn its first task."""
    from lifelong.living import LivingModel, plan_first
    from lifelong.model.task import Task

    compute = compute_of(options)
    with together(compute) as group:
        task = Task.read(options.task, options.settings)
        if options.dry_run:
            plan = plan_first(task, seed=options.seed, compute=compute, progress=console.progress)
            return show_estimate(console, plan) if group.leads else 0
        model = LivingModel.pretrain(
            options.model, task, seed=options.seed, compute=compute, progress=console.progress, group=group
        )
        assert model.last_addition is not None
        return show_addition(console, model.last_addition, options.model) if group.leads else 0


def add_task(options: argparse.Namespace, console: Console) -> int:
    """Let a model learn one more task."""
    from lifelong.living import LivingModel
    from lifelong.model.task import Task

    compute = compute_of(options)
    with together(compute) as group:
        task = _with_strategy(Task.read(options.task, options.settings), options.strategy)
        model = LivingModel.open(options.model)
        if options.dry_run:
            plan = model.plan(task, seed=options.seed, compute=compute, progress=console.progress)
            return show_estimate(console, plan) if group.leads else 0
        added = model.add_task(
            task,
            seed=options.seed,
            allow_forgetting=options.allow_forgetting,
            compute=compute,
            progress=console.progress,
            group=group,
        )
        return show_addition(console, added, options.model) if group.leads else 0


def compute_of(options: argparse.Namespace) -> "Compute":
    """What the options of COMPUTE describe."""
    from lifelong.core.compute import Compute

    return Compute(
        device=options.device, precision=options.precision, compile=options.compile, parallel=options.parallel
    )


def _with_strategy(task: "Task", name: str | None) -> "Task":
    """The task under another strategy; the options of its own one stay where that is the one asked for."""
    own = task.strategy if isinstance(task.strategy, str) else task.strategy.get("name")
    return task if name in (None, own) else replace(task, strategy=name).check()


ANSWERS = {
    "items": "one of {} items",
    "classes": "one of {} classes",
    "labels": "any of {} labels",
    "number": "a number",
    "vectors": "user vectors",
}


def show_estimate(console: Console, plan: "Estimate") -> int:
    """What a task would take."""
    left_out = ", ".join(f"{count(n)} {reason}" for reason, n in plan.left_out.items() if n)
    new_rows = f", {count(plan.new_item_rows)} items get rows of their own" if plan.new_item_rows else ""
    rows = {
        "task": f"{plan.task}, by {plan.strategy}",
        "would train": f"{count(plan.trained)} numbers",
        "free": f"{percent(plan.free_before)} of the encoder's weights, {percent(plan.free_afterwards)} afterwards",
        "cases": ", ".join(f"{count(n)} {part}" for part, n in plan.cases.items()),
        "left out": left_out or "nothing",
        "answers": ANSWERS[plan.kind].format(count(plan.answers)) + new_rows,
        "time": f"{duration(plan.seconds_per_epoch)} an epoch, at most {duration(plan.seconds_at_most)}",
        "memory": f"about {size(plan.memory_mb * 1e6)}",
    }
    if plan.changes_earlier:
        rows["earlier tasks"] = "would change; adding it needs --allow-forgetting"
    return console.show(plan.as_dict(), pairs(rows), "Nothing was trained and nothing was written.")


def show_addition(console: Console, added: "Addition", model: str) -> int:
    """What learning a task did."""
    rows = {
        "task": f"{added.task}, identity {added.identity}",
        "version": f"{added.version} of {model}",
        "trained": f"{count(added.trained)} numbers in {duration(added.seconds)}",
        "stored": size(added.stored_bytes),
        "free": f"{percent(added.free)} of the encoder's weights, for later tasks",
    }
    if added.why:
        rows["chosen"] = added.why
    if added.changed:
        rows["earlier tasks"] = checked(added.changed)
    return console.show(asdict(added), pairs(rows))


COMMANDS = [
    Command(
        "pretrain",
        "make a model and let it learn its first task",
        "lifelong pretrain checkpoints/shop tasks/complete_journey/next_product.yaml",
        pretrain,
        [
            argument("model", metavar="MODEL", help="folder of the model to be made"),
            argument("task", metavar="TASK.yaml", help="the first task"),
            SETTINGS,
            SEED,
            *COMPUTE,
            DRY_RUN,
        ],
    ),
    Command(
        "add-task",
        "let a model learn one more task; no earlier one changes",
        "lifelong add-task checkpoints/shop tasks/complete_journey/kids.yaml",
        add_task,
        [
            argument("model", metavar="MODEL", help="folder of the model"),
            argument("task", metavar="TASK.yaml", help="the task"),
            argument("--strategy", metavar="NAME", help="in place of the one in the file (`lifelong list strategies`)"),
            argument("--allow-forgetting", action="store_true", help="permit a strategy that changes earlier tasks"),
            SETTINGS,
            SEED,
            *COMPUTE,
            DRY_RUN,
        ],
    ),
]
