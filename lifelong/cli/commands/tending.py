"""gc, repair, pin: space given back, damage given up, and which version is served."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from lifelong.cli.console import Console, columns, pairs
from lifelong.cli.parser import Command, argument
from lifelong.core.errors import UsageError
from lifelong.reports.format import count

if TYPE_CHECKING:
    from lifelong.store.collect import Plan

TITLE = "tend it"
MODEL = argument("model", metavar="MODEL", help="folder of the model")
SHOWN = 20
"""Names shown on a terminal."""


def gc(options: argparse.Namespace, console: Console) -> int:
    """What no kept version needs; it goes only with --yes."""
    from lifelong.store.collect import Rules, collect, plan
    from lifelong.store.store import Store

    store = Store.open(options.model)
    rules = Rules(options.keep, options.hours * 3600, options.job_hours * 3600)
    if not options.yes:
        found = plan(store, rules, time.time())
        said = (
            "nothing was removed; --yes removes it" if found.bytes or found.leftovers else "there is nothing to remove"
        )
        return _tell(console, found, False, said)
    console.progress.say(
        f"what goes is marked, and taken after {options.wait:g} s; versions that are kept stay readable"
    )
    found = collect(store, rules, wait=options.wait)
    return _tell(console, found, True, f"{count(found.bytes)} bytes are free")


def _tell(console: Console, found: "Plan", done: bool, said: str) -> int:
    document = {
        "removed": done,
        "bytes": found.bytes,
        "objects": sorted(found.objects),
        "versions": sorted(found.versions),
        "jobs": sorted(found.jobs),
        "leftovers": sorted(found.leftovers),
        "kept": {str(number): why for number, why in sorted(found.kept.items())},
        "unknown": found.unknown,
    }
    rows = {
        "objects": f"{count(len(found.objects))}, which no kept version needs",
        "versions": f"{_some(sorted(found.versions))}, which stay in the log and can be opened no more",
        "unfinished jobs": _some(sorted(found.jobs)),
        "leftovers": f"{count(len(found.leftovers))} in tmp/",
        "space": f"{count(found.bytes)} bytes",
        "unknown": f"{_some(found.unknown)}, left alone" if found.unknown else "",
        "result": said,
    }
    if not found.versions:
        rows["versions"] = "none"
    kept = [(str(number), why) for number, why in sorted(found.kept.items())]
    return console.show(
        document, pairs({name: text for name, text in rows.items() if text}), "", columns(("version", "is kept"), kept)
    )


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more or "none"


def repair(options: argparse.Namespace, console: Console) -> int:
    """A version with the content of one that is whole; it also says what is given up, so that verify goes on."""
    from lifelong.store.store import Store

    store = Store.open(options.model)
    with store.writing():
        version, damage = store.repair(options.to, int(time.time()))
    wrong = {
        number: reason for number, reason in (damage.lost | damage.broken).items() if number not in damage.given_up
    }
    if version is None:
        document = {"repaired": False, "version": damage.last, "wrong": {}}
        return console.show(document, f"nothing is damaged; version {damage.last} is the newest")
    source = version.body["repair"]["from"]
    document = {"repaired": True, "version": version.number, "from": source, "wrong": wrong, "sha256": version.sha256}
    rows = {f"version {number}": reason for number, reason in sorted(wrong.items())}
    said = {
        "result": f"version {version.number} is version {source} again; the versions above are given up, their files stay"
    }
    return console.show(document, pairs(rows | said))


def pin(options: argparse.Namespace, console: Console) -> int:
    """Which version is served; a gc keeps it."""
    from lifelong.store.leases import pin as pin_version
    from lifelong.store.store import Store

    newest = options.version == "newest"
    if not newest and not options.version.isdecimal():
        raise UsageError(f"{options.version!r:.40} is no version: write its number, or newest")
    version = pin_version(Store.open(options.model), None if newest else int(options.version))
    document = {"pinned": not newest, "version": version.number, "sha256": version.sha256}
    said = f"the newest version is served: {version.number}" if newest else f"version {version.number} is served"
    return console.show(document, said)


COMMANDS = [
    Command(
        "gc",
        "show what no version needs any more, and remove it with --yes",
        "lifelong gc checkpoints/shop --keep 5 --yes",
        gc,
        [
            MODEL,
            argument("--yes", action="store_true", help="remove it (default: only show what would go)"),
            argument("--keep", type=int, default=10, metavar="N", help="keep the newest N versions (default: 10)"),
            argument(
                "--hours", type=float, default=24.0, metavar="H", help="keep what is younger than H hours (default: 24)"
            ),
            argument(
                "--job-hours",
                type=float,
                default=168.0,
                metavar="H",
                help="keep an unfinished training for H hours after its last step (default: 168)",
            ),
            argument(
                "--wait",
                type=float,
                default=60.0,
                metavar="S",
                help="seconds from the mark to the removal (default: 60)",
            ),
        ],
    ),
    Command(
        "repair",
        "make a version that is whole the newest, where files are damaged",
        "lifelong repair checkpoints/shop --to 41",
        repair,
        [
            MODEL,
            argument("--to", type=int, metavar="N", help="the version to go back to (default: the newest whole one)"),
        ],
    ),
    Command(
        "pin",
        "say which version is served: one by its number, or the newest",
        "lifelong pin checkpoints/shop 41",
        pin,
        [MODEL, argument("version", metavar="N|newest", help="number of a version, or newest")],
    ),
]
