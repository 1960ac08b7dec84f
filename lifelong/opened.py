"""A living model as one of its versions holds it: what is in it, and what it answers."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np

from lifelong.asking.answers import Histories, Predicted, Recommendation, best_items, predictions, sequences_of
from lifelong.asking.evaluation import Removal, evaluate
from lifelong.asking.inference import NOBODY, Answering, last_points
from lifelong.core import registry
from lifelong.core.config import suggest
from lifelong.core.errors import DataError, UsageError
from lifelong.core.progress import Progress, Silent
from lifelong.core.seeds import check_seed
from lifelong.core.types import OF_USERS, Measure
from lifelong.data.datasets.base import Source
from lifelong.data.prepare import Prepared, prepare
from lifelong.data.sequences import Sequences
from lifelong.keeping.certificate import Certificate, certify
from lifelong.keeping.checkpoint import Loaded, load
from lifelong.keeping.entries import check_names
from lifelong.keeping.formats import readable
from lifelong.keeping.inspection import inspect
from lifelong.keeping.verification import Check, check_version
from lifelong.model.cases import Cases, ItemRows, make_cases
from lifelong.model.member import Member, known_items, mount
from lifelong.model.task import Task
from lifelong.store.store import Store, Version


class Opened:
    """The half of a living model that changes nothing: open it, ask it, look at it. LivingModel adds the growing."""

    def __init__(self, store: Store, version: Version | None, loaded: Loaded, cache: Path | None = None) -> None:
        self.store, self.version, self.cache = store, version, cache
        self.design, self.bank, self.members = loaded.design, loaded.bank, loaded.members
        self._mounted: dict[str, Answering] = {}
        self._cases: dict[str, Cases] = {}

    @classmethod
    def open(cls, path: str | Path, version: int | None = None, *, cache: Path | None = None) -> Self:
        """The model at `path` as of its newest version, or of an older one; one of an older format can only be asked. Raises
        UsageError, ModelCorrupt, Unsupported."""
        store = Store.open(path)
        if not store.numbers():
            raise UsageError(
                f"{path}: holds no version yet; its pretraining was not finished. Run `lifelong pretrain` again"
            )
        store, found = readable(store, store.newest() if version is None else store.version(version))
        return cls(store, found, load(store, found.body), cache)

    # -- asking ------------------------------------------------------------------------------------------------------

    def represent(self, histories: Histories, task: str | None = None, *, unknown: str = "error") -> np.ndarray:
        """User vectors, one row a user: (N, user_width) float32, as `task` (the first one by default) sees its users.

        The state at the last event and, where the model has a long-term path, what that makes of the longer past.

        Items that the task does not know are left out. A history of unknown items alone is a DataError unless unknown="cold":
        then it is answered like an empty one, whose vector is zero.
        """
        answering, sequences = self._asked(self._member(task), histories, unknown)
        return answering.represent(answering.history(sequences, last_points(sequences))).numpy()

    def recommend(
        self,
        histories: Histories,
        task: str | None = None,
        *,
        k: int = 10,
        repeats: bool | None = None,
        unknown: str = "error",
    ) -> list[Recommendation]:
        """The k best items of the task's catalogue for each user, by (score, catalogue order).

        repeats: whether items of the history may come again; by default what the task says. Raises UsageError for a task that
        predicts something of the user, or a k that is no whole number of at least 1.
        """
        if not isinstance(k, Integral) or k < 1:
            raise UsageError(f"k is {k!r:.60}; ask for at least one item, by a whole number")
        member = self._answering_member(task, ("items",), "predict")
        answering, sequences = self._asked(member, histories, unknown)
        points = last_points(sequences)
        allowed = bool(getattr(_head_config(member), "repeats", True)) if repeats is None else repeats
        index_of_row = self._known(member.name).catalogue_index(member.catalogue)
        excluded = NOBODY if allowed else Removal(index_of_row, sequences).excluded(points)
        return best_items(answering, answering.history(sequences, points), member.catalogue, k, excluded)

    def predict(self, histories: Histories, task: str, *, unknown: str = "error") -> list[Predicted]:
        """What the task predicts of each user: the class or the labels, with all probabilities, or the number.

        Raises UsageError for a task of items.
        """
        member = self._answering_member(task, OF_USERS, "recommend")
        answering, sequences = self._asked(member, histories, unknown)
        history = answering.history(sequences, last_points(sequences))
        return predictions(answering, history, member.catalogue)

    def evaluate(
        self, tasks: Iterable[str] | None = None, *, part: str = "test", seed: int = 0, progress: Progress | None = None
    ) -> dict[str, dict[str, Measure]]:
        """Task -> metric -> value with its 95 % interval, on the test cases of the task's own data; `metric/cold` beside it for
        those of them with three readable events or fewer, where there are any."""
        check_seed(seed)
        measured = {}
        for name in tasks or list(self.members):
            member = self._member(name)
            cases = self.cases(name, progress or Silent())
            measured[name] = evaluate(self.answering(name), cases, getattr(cases, part), member.task.measured_by, seed)
        return measured

    def verify(self) -> Check:
        """Whether every file of every version is what its name says, and every task still gives the bits it was sealed with."""
        problems = self.store.verify()
        return check_version(self.store, self.version or self.store.newest(), problems)

    def certify(self, progress: Progress | None = None) -> Certificate:
        """What a reviewer can check without trusting us: every task of every version asked anew in fresh processes, each file
        by its SHA-256; see Certificate.write and lifelong.keeping.certificate.check."""
        return certify(self.store, progress)

    # -- looking -----------------------------------------------------------------------------------------------------

    def inspect(self) -> dict[str, Any]:
        """Who owns how much: tasks with parent, strategy, shares of the prunable weights, bytes; as plain values."""
        assert self.version is not None
        loaded = self._loaded()
        return inspect(loaded, self.version.number, self.version.body["tasks"], self.store.path.name)

    def answering(self, task: str) -> Answering:
        """The mounted network of a task; it shares its tensors with the bank and is read-only."""
        if task not in self._mounted:
            member = self._member(task)
            net = mount(self.design, self.bank, member, self._known(task))
            self._mounted[task] = Answering(net, self.design)
        return self._mounted[task]

    def cases(self, task: str, progress: Progress | None = None) -> Cases:
        """The cases of a task that the model has learnt, from its own data. Raises DataError where the data have changed."""
        if task not in self._cases:
            member = self._member(task)
            check_names(member.task)
            prepared = self.prepare(member.task, progress or Silent())
            if prepared.key != member.record["data"]:
                raise DataError(
                    f"task {task!r}: its data are not those it was trained on ({member.record['data']}, now {prepared.key})"
                )
            above = known_items(self.members, member.parent)
            self._cases[task] = self._make_cases(member.task, prepared, above, member.first_row)
        return self._cases[task]

    def prepare(self, task: Task, progress: Progress | None = None) -> Prepared:
        """The task's data set, prepared once and reused."""
        source = make_source(task.data.dataset, f"task {task.name}: data.dataset")
        return prepare(source, self.cache, (progress or Silent()).say)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make_cases(self, task: Task, prepared: Prepared, known: ItemRows | None, next_row: int) -> Cases:
        return make_cases(
            task, prepared, known, next_row, self.design.actions, self.design.gaps, self.design.reads_times
        )

    def _loaded(self) -> Loaded:
        return Loaded(self.design, self.bank, self.members)

    def _member(self, name: str | None) -> Member:
        name = next(iter(self.members)) if name is None else name
        if name not in self.members:
            raise UsageError(f"{self.store.path.name} has no task {name!r}{suggest(name, self.members)}")
        return self.members[name]

    def _answering_member(self, task: str | None, answers: Sequence[str], other: str) -> Member:
        member = self._member(task)
        given = self.answering(member.name).net.answers
        if given == "vectors":
            raise UsageError(
                f"task {member.name!r} answers with user vectors alone; use represent, or ask another task"
            )
        if given not in answers:
            raise UsageError(f"task {member.name!r} answers {given}; use {other}")
        return member

    def _asked(self, member: Member, histories: Histories, unknown: str) -> tuple[Answering, Sequences]:
        """The task's network, and what it reads of the histories."""
        known = self._known(member.name)
        return self.answering(member.name), sequences_of(histories, known, self.design, unknown, member.name)

    def _known(self, task: str) -> ItemRows:
        known = known_items(self.members, task)
        assert known is not None
        return known


def make_source(spec: Any, where: str) -> Source:
    """A data set from its name, or from {name: …, option: …}."""
    _, cls, config = registry.make_config("datasets", spec, where)
    return cls(config)


def _head_config(member: Member) -> Any:
    return registry.make_config("heads", member.task.head, "head", outside=False)[2]
