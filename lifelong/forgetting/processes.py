"""Jobs of a forgetting run beside each other, one process for each that the cores allow."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch

from lifelong.core.errors import LifelongError
from lifelong.core.progress import Progress, Silent


@dataclass
class Apart(Silent):
    """What a process of its own has to say, on stderr, a line at a time, with its name before it."""

    name: str = field(default="")

    def say(self, text: str) -> None:
        """The line."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


def side_by_side(work: Any, jobs: Sequence[tuple[Any, ...]], labels: Sequence[str], progress: Progress) -> list[Any]:
    """work(progress, *job) of every job. Threads of one process wait for each other at every operation; processes do not.

    A job that fails does not stop the others; when all are done, its LifelongError is raised, with its name.
    """
    found: list[Any] = []
    failed: dict[str, LifelongError] = {}
    with _started(work, jobs, labels, progress) as calls:
        for label, call in zip(labels, calls, strict=True):
            try:
                found.append(call())
            except LifelongError as error:
                progress.say(f"{label} failed: {error}")
                failed[label] = error
    for label, cause in failed.items():
        others = f" ({len(found)} of {len(jobs)} are done and kept; leave it out or mend it, and run again)"
        raise type(cause)(f"{label}: {cause}{others if found else ''}") from cause
    return found


@contextmanager
def _started(
    work: Any, jobs: Sequence[tuple[Any, ...]], labels: Sequence[str], progress: Progress
) -> Iterator[list[Callable[[], Any]]]:
    """One call a job that gives its result: made when it is called, or begun in a process already."""
    threads = torch.get_num_threads()
    at_once = min(len(jobs), max(1, (os.cpu_count() or 1) // threads))
    if at_once == 1:
        yield [partial(work, progress, *job) for job in jobs]
        return
    told = not isinstance(progress, Silent)
    with ProcessPoolExecutor(at_once, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        spoken = [Apart(label) if told else Silent() for label in labels]
        yield [pool.submit(work, voice, *job).result for voice, job in zip(spoken, jobs, strict=True)]
