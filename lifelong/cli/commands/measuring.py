"""evaluate, verify: how good a model is, and whether it still is what it was."""

import argparse

from lifelong.cli.console import progress_of, show
from lifelong.cli.parser import Command, argument


def evaluate(options: argparse.Namespace) -> int:
    """Measure tasks on their own test cases."""
    from lifelong.living import LivingModel
    from lifelong.reports.tables import evaluation_table

    model = LivingModel.open(options.model, options.version)
    measured = model.evaluate(options.tasks or None, part=options.part, seed=options.seed, progress=progress_of(options))
    document = {name: {spec: vars(m) for spec, m in by_metric.items()} for name, by_metric in measured.items()}
    return show(options, document, evaluation_table({name: {"model": row} for name, row in document.items()}))


def verify(options: argparse.Namespace) -> int:
    """Check every file, and every task against its golden probes; 1 where something differs."""
    from lifelong.cli.tables import pairs
    from lifelong.living import LivingModel
    from lifelong.store.store import Store
    from lifelong.verification import Check

    files = Store.open(options.model).verify()
    if files.problems:
        check = Check(False, 0, {"files": files.checked}, [f"{p.file}: {p.reason}" for p in files.problems])
    else:
        check = LivingModel.open(options.model, options.version).verify()
    checked = ", ".join(f"{n:,} {what}" for what, n in check.checked.items())
    rows = {"verdict": "every bit is as it was sealed" if check.ok else "NOT as it was sealed", "checked": checked}
    if not check.same_stack:
        rows["stack"] = f"not the one it was sealed on; answers differ by at most {check.difference:.1e}"
    rows |= {f"problem {n + 1}": problem for n, problem in enumerate(check.problems)}
    show(options, check.as_dict(), pairs(rows))
    return 0 if check.ok else 1


VERSION = argument("--version", type=int, help="an older version instead of the newest")

COMMANDS = [
    Command(
        "evaluate",
        "measure tasks on their test cases, with 95 %% intervals",
        "lifelong evaluate checkpoints/shop next_product kids --json",
        evaluate,
        [
            argument("model", help="folder of the model"),
            argument("tasks", nargs="*", help="tasks (default: all)"),
            argument("--part", choices=["valid", "test"], default="test", help="which cases (default: test)"),
            argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)"),
            VERSION,
        ],
    ),
    Command(
        "verify",
        "check every file, and that every task answers with the bits it was sealed with",
        "lifelong verify checkpoints/shop",
        verify,
        [argument("model", help="folder of the model"), VERSION],
    ),
]
