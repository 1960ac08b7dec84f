"""LivingModel: one user encoder that learns task after task, and answers for all of them."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lifelong.adding import DEFAULT, Adding, TaskLike
from lifelong.continual.bank import FREE
from lifelong.core.compute import Compute
from lifelong.core.progress import Progress, Silent
from lifelong.core.seeds import check_seed
from lifelong.growing.estimate import Estimate
from lifelong.growing.extending import Extended, commit_extended, extended
from lifelong.growing.removing import Removed, remove, without
from lifelong.growing.retraining import refuse_the_same, task_again
from lifelong.keeping.checkpoint import load
from lifelong.keeping.committing import Addition
from lifelong.model.task import as_task
from lifelong.parallel.group import ALONE, Group


class LivingModel(Adding):
    """A folder with one encoder and all tasks it has learnt. Open one, add tasks to it, ask it.

    Nothing in memory or on disk changes when an operation fails. A version, once committed, stays readable until a gc
    collects it.
    """

    def add_items(
        self, task: str, items: pa.Table, name: str, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Extended:
        """Commit a task, under a name of its own, with items that nobody has seen, known by their content.

        items: a table of ids and of the fields that the task reads. The task itself stays as it is; nothing is trained.
        dry_run: only tell what would come. Raises what lifelong/growing/extending.py says, and Conflict.
        """
        told, loaded = extended(self._loaded(), self._member(task), items, name, self.cache, progress or Silent())
        if not dry_run:
            told, version = commit_extended(self.store, self._standing(), loaded, told)
            self._stand(version, loaded)
        return told

    def remove(self, task: str) -> Removed:
        """Take a task out and commit the model without it; the versions before keep it.

        The weights that it owned are free, and zero, for tasks to come. A fresh process checks all other tasks before the
        commit. Raises UsageError where others stand on the task or it is the only one, Conflict.
        """
        removed, version, loaded = remove(
            self.store, self._standing(), self._member(task).name, self.bank.shares()[FREE]
        )
        self._stand(version, loaded)
        return removed

    def retrain(
        self,
        task: str,
        instead: TaskLike | None = None,
        *,
        seed: int | None = None,
        compute: Compute = DEFAULT,
        progress: Progress | None = None,
        group: Group = ALONE,
    ) -> Addition:
        """Let the model learn a task anew in the place of itself, in one commit; the versions before keep the old one.

        instead: the task with other options, of the same name. seed: nothing for that of the first time. The data are read
        anew. It gets another identity and stands last; it is checked as in add_task. Raises UsageError where others stand on
        the task, it is the only one, or what comes out is bit for bit what was there.
        """
        old = self._member(task)
        again = task_again(old, None if instead is None else as_task(instead))
        seed = old.record.get("seed", 0) if seed is None else seed
        check_seed(seed)
        body = without(self._standing().body, task)
        refuse_the_same(old, again, seed, self.prepare(again, progress).key, list(self.members))
        place = LivingModel(self.store, replace(self._standing(), body=body), load(self.store, body), self.cache)
        place._instead_of = self._standing().body["tasks"][task]["identity"]
        self.last_addition = place.add_task(again, seed=seed, compute=compute, progress=progress, group=group)
        self._stand(place._standing(), place._loaded())
        return self.last_addition


def plan_first(
    task: TaskLike,
    *,
    seed: int = 0,
    compute: Compute = DEFAULT,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Estimate:
    """What pretraining a model on its first task would take; makes nothing. Raises what pretrain would raise."""
    check_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        model = LivingModel._unborn(Path(folder) / "model", as_task(task), cache)
        return model.plan(task, seed=seed, compute=compute, progress=progress)
