"""log, verify, rollback: the versions of a model."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from lifelong.cli.console import Console, columns, pairs
from lifelong.cli.parser import Command, argument
from lifelong.reports.format import count

if TYPE_CHECKING:
    from lifelong.keeping.verification import Check
    from lifelong.store.store import Store, Version

TITLE = "keep it"
MODEL = argument("model", metavar="MODEL", help="folder of the model")


def log(options: argparse.Namespace, console: Console) -> int:
    """Every version, oldest first."""
    from lifelong.store.store import Store

    store = Store.open(options.model)
    versions = store.log()
    entries = [
        _entry(version) | {"state": state} for version, state in zip(versions, _states(store, versions), strict=True)
    ]
    heads = ("version", "made", "by", "tasks", "hash", "state")
    lines = [
        (str(e["version"]), e["created"], e["op"], ", ".join(e["tasks"]), e["sha256"][:12], e["state"]) for e in entries
    ]
    return console.show(entries, columns(heads, lines, ("version",)))


def _states(store: "Store", versions: "list[Version]") -> list[str]:
    """What else there is to say of each version: served, collected by a gc, given up by a repair."""
    from lifelong.store.documents import losses
    from lifelong.store.leases import pins

    broken = {number for version in versions for number in losses(version).broken}
    said = dict.fromkeys(store.collected(), "collected") | dict.fromkeys(broken, "damaged")
    said |= {number: f"pinned: {name}" for name, number in pins(store).items()}
    return [said.get(version.number, "") for version in versions]


def _entry(version: "Version") -> dict[str, Any]:
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(version.created))
    tasks = version.body.get("order") or list(version.body["tasks"])
    said = {"version": version.number, "created": made, "op": version.op, "tasks": tasks, "sha256": version.sha256}
    return said | {"ended": version.body["erase"]["tasks"]} if version.op == "erase" else said


def verify(options: argparse.Namespace, console: Console) -> int:
    """Check every file, and that every task still gives the bits it was sealed with; 1 where something is wrong."""
    from lifelong.keeping.verification import Check, check_version
    from lifelong.store.store import Store

    store = Store.open(options.model)
    files = store.verify()
    if files.problems:  # then there may be no version that can be opened
        problems = [f"{problem.file}: {problem.reason}" for problem in files.problems]
        check = Check(False, max(store.numbers(), default=0), {"files": files.checked}, problems)
    else:
        version = store.newest() if options.version is None else store.version(options.version)
        check = check_version(store, version, files)
    given_up = [f"{problem.file}: {problem.reason}" for problem in files.given_up]
    told = {"given up": f"{count(len(given_up))} files, taken by a gc or spoken of by a repair"} if given_up else {}
    if files.unclaimed:
        told["unclaimed"] = (
            f"{count(len(files.unclaimed))} files of no version: an interrupted commit's, or one's taken away"
        )
    shown = check.as_dict() | {"given_up": given_up, "unclaimed": files.unclaimed}
    console.show(shown, pairs(_findings(check) | told))
    return 0 if check.ok else 1


def _findings(check: "Check") -> dict[str, str]:
    rows = {
        "version": str(check.version),
        "checked": ", ".join(f"{count(n)} {what}" for what, n in check.checked.items()),
        "result": "every bit is what it was" if check.ok else f"{len(check.problems)} problems",
    }
    if not check.same_stack:
        result = f"answers differ by at most {check.difference:.1e}, within the bounds" if check.ok else rows["result"]
        rows |= {"stack": "not the one of the sealing, so bits may differ", "result": result}
    return rows | {f"problem {n}": problem for n, problem in enumerate(check.problems, 1)}


def rollback(options: argparse.Namespace, console: Console) -> int:
    """Make an older version the newest; the versions between stay readable."""
    from lifelong.store.store import Store

    store = Store.open(options.model)
    with store.writing():
        version = store.rollback(options.to, int(time.time()))
    entry = _entry(version)
    said = f"version {version.number} is version {options.to} again, with {', '.join(entry['tasks'])}"
    return console.show(entry, said)


COMMANDS = [
    Command("log", "list the versions of a model", "lifelong log checkpoints/shop", log, [MODEL]),
    Command(
        "verify",
        "check every file and every bit that earlier tasks answer",
        "lifelong verify checkpoints/shop && echo untouched",
        verify,
        [MODEL, argument("--version", type=int, metavar="N", help="an older version (default: the newest)")],
    ),
    Command(
        "rollback",
        "make an older version the newest; nothing is lost",
        "lifelong rollback checkpoints/shop 3",
        rollback,
        [MODEL, argument("to", metavar="TO", type=int, help="number of the version to go back to")],
    ),
]
