"""What a process does that is killed in the middle of it; a module by itself, so that a fork server can import it."""

import time
from pathlib import Path

from lifelong import LivingModel


def grow_for_ever(path: Path, cache: Path, tasks: list) -> None:
    """Add every task that is not there yet; then there is nothing to do but wait."""
    model = LivingModel.open(path, cache=cache)
    for task in tasks:
        if task["name"] not in model.members:
            model.add_task(task)
    while True:
        time.sleep(1)
