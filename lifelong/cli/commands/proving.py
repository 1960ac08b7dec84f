"""certify: what a reviewer can check without trusting us."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.cli.console import Console, pairs
from lifelong.cli.parser import Command, argument
from lifelong.reports.format import count

if TYPE_CHECKING:
    from lifelong.keeping.certificate import Certificate

TITLE = "prove it"


def certify(options: argparse.Namespace, console: Console) -> int:
    """Ask every task of every version anew, compare, and write down what was compared; 1 where something changed."""
    from lifelong.keeping.certificate import certify as look
    from lifelong.keeping.certificate import check, need_place, read_certificate
    from lifelong.store.store import Store

    store = Store.open(options.model)
    if options.check is not None:
        certificate = read_certificate(options.check)
        problems = check(certificate, store, console.progress)
        said = {"certificate": str(options.check), "ok": not problems, "problems": problems}
        result = "the model is what the certificate says" if not problems else f"{len(problems)} problems"
        console.show(said, pairs({"result": result} | _numbered(problems)))
        return 0 if not problems else 1
    need_place(options.out)
    certificate = look(store, console.progress)
    sums = certificate.write(options.out)
    console.show(dict(certificate.document), pairs(_said(certificate, options.model) | _checked_by(options, sums)))
    return 0 if certificate.ok else 1


def _said(certificate: "Certificate", model: str) -> dict[str, str]:
    said = certificate.document
    if "asked" not in said:
        return {"model": model, "result": f"{len(certificate.problems)} problems"} | _numbered(certificate.problems)
    sizes, threads = ({way[key] for way in said["asked"]} for key in ("at_a_time", "threads"))
    other = [task["difference"] for task in said["tasks"] if "difference" in task]
    stack = "the one of the sealing" if not other else f"not the one of the sealing: at most {max(other):.1e} apart"
    ended = [f"{life['task']} ({life['ended']})" for life in said["ended"]]
    rows = {
        "model": f"{model}, version {said['model']['version']}, {len(said['tasks'])} tasks",
        "asked": f"{count(said['compared'])} values, in {len(threads)} fresh processes",
        "ways": f"{_listed(sizes)} users at a time, {_listed(threads)} threads, {said['probes']} probes a task",
        "changed": count(said["changed"]),
        "stack": stack,
        "files": f"{count(len(said['files']))}, each with its SHA-256",
        "on purpose": ", ".join(ended),
        "result": "no bit of any task has changed" if certificate.ok else f"{len(certificate.problems)} problems",
    }
    if other and certificate.ok:
        rows["result"] = "every task is within the bounds that hold on other machines"
    return {name: value for name, value in rows.items() if value} | _numbered(certificate.problems)


def _checked_by(options: argparse.Namespace, sums: Path) -> dict[str, str]:
    way = f"cd {shlex.quote(str(options.model))} && sha256sum -c {shlex.quote(str(sums.resolve()))}"
    again = f"lifelong certify {shlex.quote(str(options.model))} --check {shlex.quote(str(options.out))}"
    return {"written": f"{options.out}, {sums}", "check files": way, "check all": again}


def _numbered(problems: list[str]) -> dict[str, str]:
    return {f"problem {n}": problem for n, problem in enumerate(problems, 1)}


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


COMMANDS = [
    Command(
        "certify",
        "ask every task of every version anew, and write a certificate",
        "lifelong certify checkpoints/shop --out certificate.json",
        certify,
        [
            argument("model", metavar="MODEL", help="folder of the model"),
            argument(
                "--out",
                type=Path,
                default=Path("certificate.json"),
                metavar="FILE",
                help="the certificate; sums for `sha256sum -c` lie beside it (default: certificate.json)",
            ),
            argument("--check", type=Path, metavar="FILE", help="say whether the model still is what this one says"),
        ],
    ),
]
