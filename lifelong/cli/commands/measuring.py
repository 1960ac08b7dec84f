"""evaluate, forgetting: how good the tasks are, and what they lose."""

import argparse
from pathlib import Path

from lifelong.cli.commands.growing import SEED, SETTINGS
from lifelong.cli.console import Console
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError

TITLE = "measure"


def evaluate(options: argparse.Namespace, console: Console) -> int:
    """Measure tasks on their own held-out cases."""
    from lifelong.living import LivingModel
    from lifelong.reports.tables import evaluation_table

    model = LivingModel.open(options.model, options.version)
    measured = model.evaluate(options.tasks or None, part=options.part, seed=options.seed, progress=console.progress)
    document = {
        task: {metric: vars(measure) for metric, measure in by_metric.items()} for task, by_metric in measured.items()
    }
    return console.show(document, evaluation_table({task: {"model": values} for task, values in document.items()}))


def forgetting(options: argparse.Namespace, console: Console) -> int:
    """Learn the same tasks under several strategies and measure what each forgets."""
    out = Path(options.out)
    if (out / "forgetting.json").exists() and not options.force:
        raise UsageError(f"{out}: holds a finished run; choose another folder, or start over with --force")
    from lifelong.forgetting import run_forgetting
    from lifelong.reports.tables import forgetting_table

    document = run_forgetting(
        options.tasks,
        [name.strip() for name in options.strategies.split(",") if name.strip()],
        out,
        seed=options.seed,
        settings=options.settings,
        progress=console.progress,
        force=options.force,
    )
    return console.show(document, forgetting_table(document), "", f"report: {out / 'report.html'}")


COMMANDS = [
    Command(
        "evaluate",
        "measure tasks on cases that nothing was trained on",
        "lifelong evaluate checkpoints/shop kids age --part test",
        evaluate,
        [
            argument("model", metavar="MODEL", help="folder of the model"),
            argument("tasks", metavar="TASK", nargs="*", help="names of tasks (default: all)"),
            argument("--part", choices=("test", "valid"), default="test", help="which cases: test (default) or valid"),
            argument("--version", type=int, metavar="N", help="an older version (default: the newest)"),
            argument(
                "--seed", type=int, default=0, metavar="N", help="of the resampling behind the intervals (default: 0)"
            ),
        ],
    ),
    Command(
        "forgetting",
        "learn tasks in order under several strategies, report what each forgets",
        "lifelong forgetting tasks/complete_journey/{next_product,kids,age}.yaml \\\n"
        "    --strategies conure,sequential --out runs/first",
        forgetting,
        [
            argument("tasks", metavar="TASK.yaml", nargs="+", help="in the order of learning; the first is pretrained"),
            argument(
                "--strategies",
                default="conure,sequential",
                metavar="A,B",
                help="names with commas (default: conure,sequential)",
            ),
            argument(
                "--out", required=True, metavar="DIR", help="gets report.html, forgetting.json, .csv and the models"
            ),
            argument("--force", action="store_true", help="start over where the folder holds a run"),
            SETTINGS,
            SEED,
        ],
    ),
]
