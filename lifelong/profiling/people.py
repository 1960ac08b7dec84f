"""The people of a profile task: who has the label, what they did before it, and whose events the model was trained on.

A user is `seen` where the training of the task's parents, or of the task whose user vectors are probed, used an event of hers,
`unseen` else. Splits by time leave the
by_user test users of the same salt and share out of training (data.split.hold_out_users), so those are unseen as a rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from lifelong.core.errors import DataError, UsageError
from lifelong.core.progress import Progress
from lifelong.data.prepare import Prepared
from lifelong.data.splits import TEST, TRAIN, VALID
from lifelong.living import LivingModel
from lifelong.model.cases import Cases, label_cut
from lifelong.model.task import Task

MOST_CATEGORIES = 512
"""A field of the items with more values, or more than one for two items, says too little of each for shares to be learnt."""


@dataclass(frozen=True)
class People:
    """P labelled users of a data set with U users and V items. C classes.

    users_P: their places among the U; ids_P their ids. targets_P int64: classes. seen_P: bool. parts_P: the task's own split.
    counts_UV: how often every user of the data set, labelled or not, had each item before the label's cut. categories_VG: the
    categories of each item, and the field they are from.
    """

    task: str
    classes: tuple[str, ...]
    users_P: np.ndarray
    ids_P: np.ndarray
    targets_P: np.ndarray
    seen_P: np.ndarray
    parts_P: np.ndarray
    counts_UV: sp.csr_matrix
    categories_VG: sp.csr_matrix
    field: str

    def __len__(self) -> int:
        return len(self.users_P)

    def where(self, kept_P: np.ndarray) -> "People":
        """Some of them; users of the data set without a label stay for what needs no label."""
        names = ("users_P", "ids_P", "targets_P", "seen_P", "parts_P")
        return replace(self, **{name: getattr(self, name)[kept_P] for name in names})


def need_classes(task: Task) -> None:
    """Raises UsageError where a task predicts anything but a class."""
    if task.answers != "classes":
        raise UsageError(
            f"task {task.name!r} predicts no class of users; --profile is for tasks with data.label and classes"
        )


def people_of(
    model: LivingModel,
    task: Task,
    cases: Cases,
    read: Iterable[str | None],
    progress: Progress,
    category: str | None = None,
) -> People:
    """The people of a task of classes; `cases` are its own, `read` the tasks of the model whose weights are read (its parent,
    the one whose vectors are probed).

    Raises UsageError for another kind of task.
    """
    need_classes(task)
    prepared, (order_P, parts_P) = model.prepare(task, progress), _joined(cases)
    parts = (cases.train, cases.valid, cases.test)
    users_P = np.concatenate([part.users_N for part in parts])[order_P]
    field, categories_VG = _categories(prepared, category)
    ids = prepared.users["id"].combine_chunks().cast(pa.string())
    return People(
        task=task.name,
        classes=cases.catalogue,
        users_P=users_P,
        ids_P=np.array(ids.take(pa.array(users_P)).to_pylist(), object),
        targets_P=np.concatenate([part.targets_N for part in parts])[order_P].astype(np.int64),
        seen_P=_seen(model, lineage(model, read), ids, progress)[users_P],
        parts_P=parts_P,
        counts_UV=_counts(prepared, _before_cut(task, prepared)),
        categories_VG=categories_VG,
        field=field,
    )


def _joined(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """The cases of all parts in the order of users, and the part of each."""
    sizes = [len(cases.train), len(cases.valid), len(cases.test)]
    users = np.concatenate([cases.train.users_N, cases.valid.users_N, cases.test.users_N])
    order = np.argsort(users, kind="stable")
    return order, np.repeat(np.array([TRAIN, VALID, TEST], np.int8), sizes)[order]


def _before_cut(task: Task, prepared: Prepared) -> np.ndarray:
    """Bool (E): the events that may be read for the label."""
    times_E, cut = np.asarray(prepared.times_E), label_cut(task, prepared)
    return np.ones(len(times_E), bool) if cut is None else times_E < cut


def lineage(model: LivingModel, read: Iterable[str | None]) -> list[str]:
    """These tasks of the model, their parents, and so on; each once."""
    found: dict[str, None] = {}
    for name in read:
        while name is not None and name not in found:
            found[name] = None
            name = model.members[name].parent
    return list(found)


def _seen(model: LivingModel, names: Iterable[str], ids: pa.Array, progress: Progress) -> np.ndarray:
    """Bool (U): users of whom the training of these tasks used an event."""
    seen_U = np.zeros(len(ids), bool)
    for name in names:
        above = model.prepare(model.members[name].task, progress)
        trained = pa.array(np.unique(model.cases(name, progress).train.users_N))
        seen = above.users["id"].combine_chunks().cast(pa.string()).take(trained)
        seen_U |= pc.is_in(ids, value_set=seen).to_numpy(zero_copy_only=False)
    return seen_U


def _counts(prepared: Prepared, read_E: np.ndarray) -> sp.csr_matrix:
    owners_E = np.repeat(np.arange(len(prepared.offsets_U1) - 1), np.diff(prepared.offsets_U1))
    rows, columns = owners_E[read_E], np.asarray(prepared.items_E)[read_E]
    shape = (len(prepared.users), len(prepared.items))
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


def _categories(prepared: Prepared, wanted: str | None) -> tuple[str, sp.csr_matrix]:
    """The categories of the items, (V, G): of the field asked for, or of that with most values up to MOST_CATEGORIES.

    Values of several words count as those words where that gives fewer, as with the genres of a film.
    """
    fields = [name for name in prepared.items.column_names if name != "id"]
    if wanted is not None and wanted not in fields:
        raise DataError(f"{prepared.name}: items have no field {wanted!r}; there is: {', '.join(fields) or 'none'}")
    values = {name: _texts(prepared, name) for name in ([wanted] if wanted else fields)}
    sizes = {name: len(set(found)) for name, found in values.items()}
    most = min(MOST_CATEGORIES, len(prepared.items) // 2)
    fitting = [name for name in sizes if wanted or 1 < sizes[name] <= most]
    if not fitting:
        return "", sp.csr_matrix((len(prepared.items), 0), dtype=np.float32)
    chosen = max(fitting, key=lambda name: sizes[name])
    words = [value.split() for value in values[chosen]]
    fewer = len({word for found in words for word in found}) < sizes[chosen]
    return chosen, _incidence(words if fewer else [[value] for value in values[chosen]])


def _texts(prepared: Prepared, name: str) -> list[str]:
    return [value or "?" for value in prepared.items[name].cast(pa.string()).to_pylist()]


def _incidence(names: Sequence[Sequence[str]]) -> sp.csr_matrix:
    index = {name: g for g, name in enumerate(sorted({name for found in names for name in found}))}
    rows = np.repeat(np.arange(len(names)), [len(found) for found in names])
    columns = [index[name] for found in names for name in found]
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(names), len(index)))
