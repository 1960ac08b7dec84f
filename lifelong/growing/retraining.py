"""Learning a task anew in the place of itself: what is asked for, and when there would be nothing new in it."""

from dataclasses import replace
from typing import Any

from lifelong.core.errors import ConfigError, UsageError
from lifelong.growing.making import make_strategy
from lifelong.keeping.entries import check_names
from lifelong.model.member import Member
from lifelong.model.task import Task


def task_again(member: Member, given: Task | None) -> Task:
    """The task that is learnt in a member's place: `given`, or the same one again, on the parent that it stands on.

    Raises ConfigError for another name, or where a stored name would import code; UsageError for a strategy that changes the
    tasks before it.
    """
    if given is None:
        check_names(member.task)
    task = replace(member.task, parent=member.parent) if given is None else given
    if task.name != member.name:
        raise ConfigError(
            f"task {task.name!r} does not take the place of {member.name!r}; add it with `lifelong add-task`"
        )
    if not make_strategy(task).isolates:
        raise UsageError(
            f"task {task.name!r}: its strategy changes the tasks before it, and what it changed stays changed; roll back to "
            "the version before it and add it again, or choose a strategy that isolates"
        )
    return task


def refuse_the_same(member: Member, task: Task, seed: int, data: str, order: list[str]) -> None:
    """Raises UsageError where the training would come to the same bits: same task, data, seed, and nothing learnt since."""
    same_task = task == replace(member.task, parent=member.parent)
    record: dict[str, Any] = member.record
    if same_task and (seed, data) == (record.get("seed"), record["data"]) and order[-1] == member.name:
        raise UsageError(nothing_new(member.name))


def nothing_new(name: str) -> str:
    """What is said where a task that was learnt anew is the one that was there."""
    return (
        f"task {name!r} learnt anew is the task that is there, bit for bit, so nothing was committed; give another seed, "
        "other options, or other data"
    )
