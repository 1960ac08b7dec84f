"""What a person sees: a progress bar on a terminal, plain lines elsewhere, tables, or one JSON document."""

import argparse
import json
import sys
import time
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lifelong.core.progress import Progress as Told
from lifelong.core.progress import Silent

SECONDS_BETWEEN_LINES = 10.0


def progress_of(options: argparse.Namespace) -> Told:
    """Who is told about progress: nobody with --quiet, a bar on a terminal, lines elsewhere; always on stderr."""
    if options.quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


def show(options: argparse.Namespace, document: Any, table: RenderableType) -> int:
    """Print the document with --json, else the table; 0."""
    if options.json:
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        Console().print(table)
    return 0


class Bar:
    """One bar for the stage at hand, with rate and time left; what is said stays above it."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[numbers]}"))
        self.bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self.stage: TaskID | None = None
        self.began = 0.0

    def start(self, label: str, total: int) -> None:
        """A new bar."""
        self.end()
        self.stage, self.began = self.bars.add_task(label, total=total, numbers=""), time.monotonic()
        self.bars.start()

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """Move it."""
        if self.stage is None:
            return
        self.bars.advance(self.stage, steps)
        rate = self.bars.tasks[-1].completed / max(1e-9, time.monotonic() - self.began)
        shown = " ".join([f"{rate:.1f}/s", *(f"{k} {v:.3f}" for k, v in numbers.items())])
        self.bars.update(self.stage, numbers=shown)

    def end(self) -> None:
        """Take it away."""
        if self.stage is not None:
            self.bars.stop()
            self.bars.remove_task(self.stage)
            self.stage = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self.bars.console.print(text, highlight=False, markup=False)


class Lines:
    """A line for everything said, and one every few seconds of a long stage."""

    def __init__(self) -> None:
        self.label, self.total, self.done = "", 0, 0
        self.began = self.told = time.monotonic()

    def start(self, label: str, total: int) -> None:
        """A new stage."""
        self.label, self.total, self.done = label, total, 0
        self.began = self.told = time.monotonic()

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """A line, if the last one is long enough ago."""
        self.done += steps
        now = time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told, rate = now, self.done / (now - self.began)
        left = max(0.0, (self.total - self.done) / rate)
        shown = " ".join(f"{k} {v:.3f}" for k, v in numbers.items())
        self.say(f"{self.label}: {self.done}/{self.total}, {rate:.1f}/s, {left:.0f} s left {shown}".rstrip())

    def end(self) -> None:
        """Nothing to take away."""

    def say(self, text: str) -> None:
        """The line."""
        print(text, file=sys.stderr, flush=True)
