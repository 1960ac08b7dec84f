"""docs/RESULTS.md and docs/results.json: every study, job by job, and the page made of what they kept.

    python -m benchmarks.results                     # `make results`: hours; a stopped run goes on at the job it was in
    python -m benchmarks.results --only profiles     # one study
    python -m benchmarks.results --quick             # a smoke test on an invented world; touches nothing in docs/
    python -m benchmarks.results --show              # the page again from what was measured, no training

A job is a process of its own with one thread. What it finds is kept in benchmarks/results/STUDY.json with seed, commit, machine
and moment; a job whose record is there is not run again (--fresh does). The page is made from docs/results.json alone.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import common
from benchmarks.studies.short import short

STUDIES = (
    "backbones",
    "profiles",
    "objectives",
    "transfer",
    "strategies",
    "papers",
    "truth",
    "hundred",
    "contents",
    "reading",
    "adapters",
)
DOCS = common.ROOT.parent / "docs"


def study(name: str) -> ModuleType:
    """The module of a study."""
    return importlib.import_module(f"benchmarks.studies.{name}")


def kept_as(name: str, quick: bool) -> str:
    """The file of a study's records, without its ending."""
    return f"quick-{name}" if quick else f"study-{name}"


def do(name: str, quick: bool, fresh: bool) -> list[str]:
    """Every job of a study that is not done yet; returns those that failed, after all others were tried."""
    jobs, failed = study(name).jobs(quick), []
    for number, key in enumerate(jobs, 1):
        if not fresh and key in common.read(kept_as(name, quick)):
            continue
        print(f"{name}: {key}, {number} of {len(jobs)}", flush=True)
        began = time.perf_counter()
        try:
            record = common.measured("results", "--job", name, key, *(["--quick"] if quick else []))
        except SystemExit as stop:
            print(stop, file=sys.stderr, flush=True)
            failed.append(f"{name}: {key}")
            continue
        command = f"python -m benchmarks.results --job {name} '{key}'"
        common.keep(
            kept_as(name, quick), key, {**record, "command": command, "wall_s": round(time.perf_counter() - began, 1)}
        )
    return failed


def gathered(quick: bool) -> dict[str, Any]:
    """All studies that have any record: tables, and the records themselves without what only statistics need."""
    found: dict[str, Any] = {}
    for name in STUDIES:
        entries = common.read(kept_as(name, quick))
        if entries:
            module = study(name)
            made = {"title": module.TITLE, "about": module.ABOUT, "tables": module.tables(entries)}
            found[name] = {**made, "records": {key: thin(record) for key, record in entries.items()}}
    return {"stamp": common.stamp(), "studies": found}


def thin(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without long lists: ranks of users, curves, reliability bins."""
    left_out = ("test_ranks", "curve", "reliability", "confusion", "repeats")
    return {
        key: thin(value) if isinstance(value, Mapping) else value
        for key, value in record.items()
        if key not in left_out
    }


def page(document: Mapping[str, Any]) -> str:
    """docs/RESULTS.md of docs/results.json."""
    stamp = document["stamp"]
    machine = ", ".join(f"{key} {value}" for key, value in stamp["machine"].items())
    lines = [
        "# Results",
        "",
        "Made by `make results` from docs/results.json, never by hand; that has every figure with seed, command and commit. "
        f"Machine: {machine}. Page of {stamp['at']}, commit {stamp['commit']}.",
        "",
        "± is Student's 95 % interval over seeds, the number of seeds in brackets. An interval of a difference covers users "
        "(paired bootstrap) and seeds. **Bold** differences are clear of zero.",
        "",
        "## In short",
        "",
        *_markdown(short(document["studies"])),
    ]
    for name, found in document["studies"].items():
        lines += ["", f"## {found['title']}", "", f"{found['about']} `python -m benchmarks.results --only {name}`"]
        for table in found["tables"]:
            lines += ["", f"### {table['title']}", "", *_markdown(table)]
            lines += ["", table["note"]] if table["note"] else []
        commits = sorted({str(r.get("commit")) for r in found["records"].values()})
        lines += ["", f"{len(found['records'])} jobs, commits {', '.join(commits)}."]
    return "\n".join(lines) + "\n"


def _markdown(table: Mapping[str, Any]) -> list[str]:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table["header"], *table["rows"])]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(table["header"]), *lines[1:]]


def write(document: Mapping[str, Any], folder: Path) -> None:
    """results.json, and RESULTS.md made of what it holds when it is read again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    path.write_text(json.dumps(common._finite(dict(document)), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    text = page(json.loads(path.read_text(encoding="utf-8")))
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")


def main() -> None:
    """All studies, or one, or one job of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=STUDIES, action="append", help="this study alone; may stand several times")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test on an invented world, nothing in docs/ changes"
    )
    parser.add_argument("--fresh", action="store_true", help="run jobs again that are done")
    parser.add_argument("--show", action="store_true", help="only make the page again")
    parser.add_argument("--job", nargs=2, metavar=("STUDY", "KEY"), help="one job; prints its record")
    args = parser.parse_args()
    if args.job:
        print(json.dumps(common._finite(study(args.job[0]).run(args.job[1], args.quick))))
        return
    failed = [] if args.show else [f for name in args.only or STUDIES for f in do(name, args.quick, args.fresh)]
    folder = common.ROOT.parent / "runs" / "results" / "quick" if args.quick else DOCS
    write(gathered(args.quick), folder)
    print(f"{folder / 'RESULTS.md'}")
    if failed:
        raise SystemExit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
