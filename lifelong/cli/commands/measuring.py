"""evaluate, forgetting: how good the tasks are, and what they lose."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.cli.commands.growing import SEED, SETTINGS
from lifelong.cli.console import Console
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError

if TYPE_CHECKING:
    from lifelong.living import LivingModel

TITLE = "measure"
OF_PROFILE = ("folds", "repeats", "seen", "scratch", "vectors", "category", "limit")
"""Options of `evaluate --profile` alone, as Settings names them."""


def evaluate(options: argparse.Namespace, console: Console) -> int:
    """Measure tasks on their own held-out cases."""
    from lifelong.living import LivingModel
    from lifelong.reports.tables import evaluation_table

    _need_its_mode(options)
    if options.profile is not None:
        return _profile(options, console)
    model = LivingModel.open(options.model, options.version)
    measured = model.evaluate(
        options.tasks or None, part=options.part or "test", seed=options.seed, progress=console.progress
    )
    document = {
        task: {metric: vars(measure) for metric, measure in by_metric.items()} for task, by_metric in measured.items()
    }
    attacked = _attack(model, list(document), options, console) if options.membership else {}
    cold = any(metric.endswith("/cold") for values in document.values() for metric in values)
    notes = ["/cold: those of these users who have three readable events or fewer"] if cold else []
    table = evaluation_table({task: {"model": values} for task, values in document.items()})
    said = [line for found in attacked.values() for line in _of_attack(found)]
    whole = {task: {**values, **attacked.get(task, {})} for task, values in document.items()}
    return console.show(whole, table, *notes, *said)


def _need_its_mode(options: argparse.Namespace) -> None:
    """Raises UsageError for an option that would not be read."""
    names = ("membership", "part") if options.profile is not None else (*OF_PROFILE, "out")
    said = {name: getattr(options, name) for name in names}
    given = ", ".join(f"--{name}" for name, value in said.items() if value is not None and value is not False)
    if given and options.profile is None:
        raise UsageError(f"{given}: goes with --profile; add it, or leave the option out")
    if given:
        raise UsageError(
            f"{given}: does not go with --profile, which asks over folds; leave it out, or run evaluate twice"
        )


def _attack(
    model: "LivingModel", tasks: list[str], options: argparse.Namespace, console: Console
) -> dict[str, dict[str, Any]]:
    """Task -> {"membership": what attacks on it reach, or why it cannot be told}."""
    from lifelong.privacy.membership import membership

    found: dict[str, dict[str, Any]] = {}
    for task in tasks:
        try:
            attacked = membership(model, task, seed=options.seed, progress=console.progress).as_dict()
        except UsageError as refusal:  # one task without held-out users does not stop the others
            attacked = {"task": task, "refused": str(refusal)}
        found[task] = {"membership": attacked}
    return found


def _of_attack(found: dict[str, Any]) -> list[str]:
    """What is said of it: a line, and the warning where there is one."""
    told = found["membership"]
    if "refused" in told:
        return [f"membership of {told['task']}: not told; {told['refused']}"]
    aucs = {**told["attacks"], "by chance": told["control"]}
    shown = ", ".join(f"{name} {m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]" for name, m in aucs.items())
    line = f"membership of {told['task']}: AUC by {shown}; {told['members']} members, {told['others']} others"
    return [line, *([f"warning: {told['warning']}"] if told["warning"] else [])]


def _profile(options: argparse.Namespace, console: Console) -> int:
    """Judge tasks that predict a class of users beside honest baselines."""
    from lifelong.core.written import need_folder
    from lifelong.living import LivingModel
    from lifelong.profiling import Settings, profile
    from lifelong.profiling.run import write
    from lifelong.reports.profile_table import profile_table

    if options.out:
        need_folder(options.out)  # before all folds
    given = {name: value for name in OF_PROFILE if (value := getattr(options, name)) is not None}
    settings = Settings(seed=options.seed, **given)
    model = LivingModel.open(options.model, options.version)
    document = profile(model, [*options.tasks, *options.profile], settings, progress=console.progress)
    if options.out:
        write(document, options.out)
    said = [f"report: {Path(options.out) / 'report.html'}"] if options.out else []
    return console.show(document, profile_table(document), *said)


def forgetting(options: argparse.Namespace, console: Console) -> int:
    """Learn the same tasks under several strategies and measure what each forgets."""
    from lifelong.forgetting.named import read
    from lifelong.forgetting.run import covers, run_forgetting
    from lifelong.reports.tables import forgetting_table

    out = Path(options.out)
    strategies = read(options.strategies)
    if covers(out, strategies, options.orders, options.seeds) and not options.force:
        raise UsageError(f"{out}: holds a finished run; choose another folder, or start over with --force")
    document = run_forgetting(
        options.tasks,
        strategies,
        out,
        orders=options.orders,
        seeds=options.seeds,
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
            argument("--part", choices=("test", "valid"), help="which cases: test (default) or valid"),
            argument("--version", type=int, metavar="N", help="an older version (default: the newest)"),
            argument(
                "--seed",
                type=int,
                default=0,
                metavar="N",
                help="of folds and of resampling behind intervals (default: 0)",
            ),
            argument(
                "--profile",
                nargs="*",
                metavar="TASK",
                help="judge classes of users over folds, beside honest baselines (default: all such tasks)",
            ),
            argument("--folds", type=int, metavar="N", help="of --profile: folds by user (default: 5)"),
            argument("--repeats", type=int, metavar="N", help="of --profile: draws of folds (default: 3)"),
            argument("--seen", action="store_true", help="of --profile: ask about users of the pretraining, too"),
            argument(
                "--scratch", action="store_true", help="of --profile: train from nothing in every fold, too; slow"
            ),
            argument(
                "--category", metavar="FIELD", help="of --profile: the field of items that boosting gets shares of"
            ),
            argument(
                "--vectors",
                metavar="TASK",
                help="of --profile: the task whose vectors are probed (default: the first)",
            ),
            argument(
                "--limit", type=int, metavar="N", help="of --profile: at most so many users, drawn (default: 20000)"
            ),
            argument(
                "--membership",
                action="store_true",
                help="how well answers tell whom a task was trained on; .5 is not at all",
            ),
            argument("--out", metavar="DIR", help="of --profile: gets report.html and profile.json"),
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
                help="names with commas, or {name: conure, keep: 0.5} for one with options (default: conure,sequential)",
            ),
            argument(
                "--out", required=True, metavar="DIR", help="gets report.html, forgetting.json, .csv and the models"
            ),
            argument(
                "--orders",
                type=int,
                default=1,
                metavar="N",
                help="orders of the tasks after the first: the one given and seeded others (default: 1)",
            ),
            argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from --seed on (default: 1)"),
            argument("--force", action="store_true", help="start over where the folder holds a run"),
            SETTINGS,
            SEED,
        ],
    ),
]
