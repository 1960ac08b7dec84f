"""A command in several processes: one of them speaks, and an error is said once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifelong.core.errors import LifelongError

if TYPE_CHECKING:
    from lifelong.core.compute import Compute
    from lifelong.parallel.group import Group

SECONDS_FOR_THE_CAUSE = 3.0
"""So long a process that has only lost another waits, for that one to say why."""


class AlreadySaid(LifelongError):
    """An error that another process has printed."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process has said why")
        self.exit_code = exit_code


@contextmanager
def together(compute: "Compute") -> "Iterator[Group]":
    """The processes that torchrun has started, or this one alone. Raises AlreadySaid where the error is another's to print."""
    from lifelong.parallel.group import ALONE, Elsewhere, several, shut, start

    group = start(compute.place()) if several() else ALONE
    try:
        yield group
    except (LifelongError, OSError) as error:
        if isinstance(error, Elsewhere):
            time.sleep(SECONDS_FOR_THE_CAUSE)
        if group.first_to_fail():
            raise
        raise AlreadySaid(error.exit_code if isinstance(error, LifelongError) else 1) from error
    shut(group)
