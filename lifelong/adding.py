"""The half of a living model that grows: it is pretrained, then takes task after task in, each checked before it counts."""

import copy
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from lifelong import __version__
from lifelong.continual.bank import FREE, empty_bank
from lifelong.continual.view import ITEM_TABLE
from lifelong.core import registry
from lifelong.core.compute import Compute
from lifelong.core.config import build, plain, suggest
from lifelong.core.errors import ConfigError, Conflict, UsageError
from lifelong.core.fingerprint import json_hash, numeric_stack
from lifelong.core.progress import Progress, Silent
from lifelong.core.seeds import check_seed
from lifelong.data.prepare import Prepared
from lifelong.encoders.layers.longterm import LongTerm
from lifelong.growing.choosing import grow
from lifelong.growing.estimate import Estimate, estimate
from lifelong.growing.growth import Ground, Growth
from lifelong.growing.making import make_strategy
from lifelong.growing.remembered import Remembered
from lifelong.growing.resume import Resume
from lifelong.growing.retraining import nothing_new
from lifelong.keeping.checkpoint import Loaded
from lifelong.keeping.committing import Addition, next_body
from lifelong.keeping.entries import check_names
from lifelong.keeping.formats import need_current
from lifelong.model.cases import Cases
from lifelong.model.contents import ItemSource, read_contents
from lifelong.model.member import Member, known_items, nearest_encoding
from lifelong.model.network import Design, TaskNet
from lifelong.model.task import Task, as_task
from lifelong.opened import Opened
from lifelong.parallel.group import ALONE, Group
from lifelong.store.store import Store, Version

DEFAULT = Compute()
TaskLike = Task | str | Path | Mapping[str, Any]


class Adding(Opened):
    """The half of a living model that takes tasks in. LivingModel adds what changes it on purpose."""

    last_addition: Addition | None = None
    """What add_task or retrain did last."""
    _instead_of = ""
    """Identity of the task in whose place the next one is learnt; nothing where it is added."""

    # -- making ------------------------------------------------------------------------------------------------------

    @classmethod
    def pretrain(
        cls,
        path: str | Path,
        task: TaskLike,
        *,
        seed: int = 0,
        compute: Compute = DEFAULT,
        progress: Progress | None = None,
        cache: Path | None = None,
        group: Group = ALONE,
    ) -> Self:
        """Make a model at `path` and let it learn its first task.

        The task's YAML names the encoder and the length of the window; `compute` says on which device to train, `group` with
        which other processes. A run that was killed goes on where it was. Raises UsageError where there is a model already.
        """
        check_seed(seed)
        task = as_task(task)
        model = group.first(lambda: cls._unborn(path, task, cache), "making the model") or cls._unborn(
            path, task, cache
        )
        model.add_task(task, seed=seed, compute=compute, progress=progress, group=group)
        return model

    @classmethod
    def _unborn(cls, path: str | Path, task: Task, cache: Path | None) -> Self:
        if task.parent is not None:
            raise ConfigError(f"task {task.name!r}: a model's first task has no parent; it names {task.parent!r}")
        spec = task.encoder or "sasrec"
        name, _, config = registry.make_config("encoders", spec, f"task {task.name}: encoder")
        store = Store.open(path) if (Path(path) / "lifelong.json").exists() else Store.create(path)
        if store.numbers():
            raise UsageError(
                f"{path}: there is a model already; add the task with `lifelong add-task`, or choose another folder"
            )
        design = Design(
            encoder=name,
            options=plain(config),
            length=task.length or Design.length,
            past=task.past,
            actions=task.actions,
            gaps=task.gaps,
            longterm=None if task.longterm is None else plain(build(LongTerm.Config, task.longterm, "longterm")),
            items=_item_design(task),
        )
        return cls(store, None, Loaded(design, empty_bank(TaskNet(design, 1, None)), {}), cache)

    # -- growing -----------------------------------------------------------------------------------------------------

    def add_task(
        self,
        task: TaskLike,
        *,
        seed: int = 0,
        allow_forgetting: bool = False,
        compute: Compute = DEFAULT,
        progress: Progress | None = None,
        group: Group = ALONE,
    ) -> Addition:
        """Let the model learn a task and commit it as the next version.

        Before the commit a fresh process checks every earlier task: files, rendered weights and probe outputs must be
        bit-identical, else ForgettingError and nothing is committed. A strategy that does not isolate (sequential) needs
        allow_forgetting; the tasks it changes get a new identity. Raises CapacityError before training where too little is
        free, Conflict where another process committed meanwhile.

        With a group of processes (lifelong.parallel.group.start) all make this call; they share every step, rank 0 alone writes
        and tells its progress. The folder must be one that all of them see.
        """
        check_seed(seed)
        task, progress = as_task(task), (progress if group.leads else None) or Silent()
        self._may_add(task, allow_forgetting)
        growth = self._growth(task, seed, compute, progress, group)
        job = self._job_name(task, growth.cases, seed, compute)
        group.same(job, "the task, its data or the model")
        aside = "diverged-" + self._job_name(_at_any_rate(task), growth.cases, seed, compute)
        resume = Resume(self.store.resume_folder(job), group, self.store.path / "resume" / aside)
        growth, member = grow(growth, progress, resume)
        progress.say(f"checking in a fresh process: {task.name} and {len(self.members)} earlier tasks")
        made = group.first(lambda: self._commit(growth, member, job, aside), "the commit")
        addition = Addition(**group.tell(made and asdict(made)))
        if not group.leads:
            self._follow(growth, member)
        self._cases[task.name] = growth.cases
        self.last_addition = addition
        return addition

    def plan(
        self, task: TaskLike, *, seed: int = 0, compute: Compute = DEFAULT, progress: Progress | None = None
    ) -> Estimate:
        """What adding the task would train, what would be left, how long it would take and how much memory; trains nothing.

        Raises what add_task would raise before training.
        """
        check_seed(seed)
        task = as_task(task)
        self._may_add(task, allow_forgetting=True)
        return estimate(self._growth(task, seed, compute, progress or Silent()))

    def _may_add(self, task: Task, allow_forgetting: bool) -> None:
        need_current(self.store)
        if task.name in self.members:
            raise UsageError(
                f"task {task.name!r} is there already; a task never changes, so give the new one another name"
            )
        if self.members and task.only_first:
            raise ConfigError(
                f"task {task.name!r}: {', '.join(task.only_first)}: chosen by a model's first task; leave the option out"
            )
        if not make_strategy(task).isolates and not allow_forgetting:
            raise UsageError(
                f"task {task.name!r}: this strategy changes the {len(self.members)} earlier tasks. Allow it with "
                "--allow-forgetting (allow_forgetting=True), or choose one that isolates, such as conure"
            )

    def _standing(self) -> Version:
        """The version that the next one is built on. Raises Unsupported where it can only be read."""
        need_current(self.store)
        assert self.version is not None
        return self.version

    def _stand(self, version: Version, loaded: Loaded) -> None:
        self.version, self.bank, self.members = version, loaded.bank, loaded.members
        self._mounted, self._cases = {}, {}

    def _growth(
        self,
        task: Task,
        seed: int,
        compute: Compute,
        progress: Progress,
        group: Group = ALONE,
        cases: Cases | None = None,
    ) -> Growth:
        """The task as it begins to grow here; of its own cases, or of those that are given."""
        members = self.members if make_strategy(task).isolates else _copies(self.members)
        parent = self._parent(task, members)
        prepared = group.in_turn(lambda: self.prepare(task, progress), "preparing the data")
        known = known_items(self.members, parent.name if parent else None)
        cases = cases or self._make_cases(task, prepared, known, len(self.bank.owners[ITEM_TABLE]))
        owner = 1 + max((m.view.owner for m in self.members.values()), default=FREE)
        past = lambda rows: [self._remembered(member, rows) for member in members.values()]  # noqa: E731
        source = self._item_source(task, parent, prepared, cases, progress)
        ground = Ground(self.design, self.bank, parent, owner, past, source)
        return Growth(ground, task, cases, seed, compute, group)

    def _item_source(
        self, task: Task, parent: Member | None, prepared: Prepared, cases: Cases, progress: Progress
    ) -> ItemSource | None:
        """How the task's items come by their vectors, where the model reads them by their content."""
        if self.design.items is None:
            return None
        line = None if parent is None else nearest_encoding(self.members, parent.name)
        contents = read_contents(task, prepared, cases.known)
        return ItemSource(self.design, contents, line, self.cache, progress)

    def _remembered(self, member: Member, rows: int) -> Remembered:
        """An earlier task for a strategy that changes it; its data are opened when they are asked for."""
        check_names(member.task)
        cases = lambda: self.cases(member.name)  # noqa: E731
        return Remembered(self.design, self.bank, member, self._known(member.name), rows, cases)

    def _parent(self, task: Task, members: Mapping[str, Member]) -> Member | None:
        if not members:
            return None
        names = list(members)
        shared = [name for name in names if members[name].view.shareable]
        name = {None: names[0], "latest": [*names[:1], *shared][-1]}.get(task.parent, task.parent)
        if name not in self.members:
            raise ConfigError(
                f"task {task.name!r}: there is no parent {name!r} in this model{suggest(str(name), names)}"
            )
        return members[name]

    def _commit(self, growth: Growth, member: Member, *jobs: str) -> Addition:
        with self.store.writing():
            addition = self._write(growth, member)
        for job in jobs:
            self.store.clear_resume(job)
        return addition

    def _grown(self, growth: Growth, member: Member) -> dict[str, Member]:
        """All members as they are after a growth, those that the strategy has changed included."""
        changed = [earlier.changed() for earlier in growth.site.past if isinstance(earlier, Remembered)]
        return {**self.members, **{m.name: m for m in changed}, member.name: member}

    def _follow(self, growth: Growth, member: Member) -> None:
        """Stand where rank 0 has committed."""
        self.version = self.store.newest()
        self.bank, self.members = growth.site.bank, self._grown(growth, member)
        self._mounted = self._mounted if growth.strategy.isolates else {}

    def _write(self, growth: Growth, member: Member) -> Addition:
        newest = self.store.newest() if self.store.numbers() else None
        if (newest and newest.sha256) != (self.version and self.version.sha256):
            raise Conflict(
                f"{self.store.path}: another process committed meanwhile; open the model again and add the task again"
            )
        isolates = growth.strategy.isolates
        loaded = Loaded(self.design, growth.site.bank, self._grown(growth, member))
        before = self.version.body if self.version else None
        body = next_body(self.store, loaded, before, member.name, isolates)
        if body["tasks"][member.name]["identity"] == self._instead_of:
            raise UsageError(nothing_new(member.name))
        op = "retrain" if self._instead_of else "add"
        self.version = self.store.commit(body, op, self.version, int(time.time()))
        self.bank, self.members = loaded.bank, loaded.members | {member.name: replace(member, seen=None)}
        self._mounted = self._mounted if isolates else {}
        entry = body["tasks"][member.name]
        return Addition(
            task=member.name,
            version=self.version.number,
            identity=entry["identity"],
            seconds=growth.seconds,
            trained=growth.trained,
            stored_bytes=sum(file["bytes"] for file in entry["files"].values()),
            free=self.bank.shares()[FREE],
            changed=body["changed"],
            why=member.record.get("choice", {}).get("why", ""),
        )

    def _job_name(self, task: Task, cases: Cases, seed: int, compute: Compute) -> str:
        base = self.version.sha256 if self.version else ""
        where = [__version__, numeric_stack(), compute.identity()]
        return json_hash([task.to_values(), cases.dataset_key, seed, base, *where])[:16]


def _at_any_rate(task: Task) -> Task:
    """The task as all those that differ from it in the learning rate alone."""
    return replace(task, fit=replace(task.fit, lr=1.0))


def _item_design(task: Task) -> dict[str, Any] | None:
    """Name and options, complete, of what encodes items by their content; None for a table."""
    if task.items in (None, "id"):
        return None
    name, _, config = registry.make_config("items", task.items, f"task {task.name}: items")
    return {"name": name, **plain(config)}


def _copies(members: Mapping[str, Member]) -> dict[str, Member]:
    """The same members with views of their own, which may change without these being changed before the commit."""
    views = copy.deepcopy({name: member.view for name, member in members.items()})
    return {name: replace(member, view=views[name]) for name, member in members.items()}
