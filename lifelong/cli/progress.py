"""Progress as a person sees it, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from lifelong.cli.text import visible

SECONDS_BETWEEN_LINES = 5.0


class Spoken:
    """Only what is said, no stages."""

    def start(self, label: str, total: int) -> None:
        """Nothing."""

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """A line that stays."""
        print(visible(text), file=sys.stderr, flush=True)


class Lines(Spoken):
    """What is said, and of a long stage a line every few seconds, with rate and time left."""

    def __init__(self) -> None:
        self.label, self.total, self.done = "", 0, 0
        self.began = self.told = time.monotonic()

    def start(self, label: str, total: int) -> None:
        """A stage begins."""
        self.label, self.total, self.done = label, total, 0
        self.began = self.told = time.monotonic()

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """A line, where the last one is long enough ago."""
        self.done += steps
        now = time.monotonic()
        if now - self.told >= SECONDS_BETWEEN_LINES:
            self.told = now
            rate = self.done / max(1e-9, now - self.began)
            left = max(0.0, (self.total - self.done) / max(1e-9, rate))
            shown = "".join(f", {name} {value:.4g}" for name, value in numbers.items())
            self.say(f"{self.label}: {self.done:,}/{self.total:,}, {rate:,.1f}/s, {left:,.0f} s left{shown}")


class Bars:
    """A bar for the stage at hand, with rate and time left; what is said stays above it."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars: Progress | None = None
        self.stage = TaskID(0)
        self.began = 0.0

    def start(self, label: str, total: int) -> None:
        """A stage begins; it replaces the one before."""
        self.end()
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
        )
        self.stage = self.bars.add_task(visible(label), total=total, numbers="")
        self.began = time.monotonic()
        self.bars.start()

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """The bar grows."""
        if self.bars is not None:
            rate = (self.bars.tasks[0].completed + steps) / max(1e-9, time.monotonic() - self.began)
            shown = "".join(f"  {name} {value:.4g}" for name, value in numbers.items())
            self.bars.update(self.stage, advance=steps, numbers=f"{rate:,.1f}/s{shown}")

    def end(self) -> None:
        """The bar goes away."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(Text(visible(text)), soft_wrap=True)
