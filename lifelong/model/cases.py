"""From a prepared data set to one task's cases: what is read, what is predicted, who is trained on and who is tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core import registry
from lifelong.core.config import near_miss, suggest
from lifelong.core.errors import DataError
from lifelong.data.derived import derived_labels, first_at
from lifelong.data.prepare import Prepared
from lifelong.data.sequences import Points, Sequences, event_points, readable_events, with_history
from lifelong.data.splits import TEST, TRAIN, VALID, event_parts, user_parts
from lifelong.model.targets import read_targets
from lifelong.model.task import Task, Where


@dataclass(frozen=True)
class ItemRows:
    """Which external item ids a task knows, and the row of each in the item table: ids (n,), rows_n int32, 1 and up."""

    ids: pa.Array
    rows_n: np.ndarray

    def rows_of(self, ids: pa.Array) -> np.ndarray:
        """int32 rows of external ids, 0 where unknown."""
        place = pc.index_in(ids, value_set=self.ids)
        known = place.is_valid().to_numpy(zero_copy_only=False)
        index = place.fill_null(0).to_numpy(zero_copy_only=False)
        return np.where(known, self.rows_n[index] if len(self.rows_n) else 0, 0).astype(np.int32)

    def extended(self, ids: pa.Array, first_row: int) -> "ItemRows":
        """With more ids, in the rows from `first_row` on."""
        rows_n = np.arange(first_row, first_row + len(ids), dtype=np.int32)
        return ItemRows(pa.concat_arrays([self.ids, ids.cast(pa.string())]), np.concatenate([self.rows_n, rows_n]))

    def catalogue_index(self, catalogue: Sequence[str]) -> np.ndarray:
        """The place in a catalogue of each item row (int64, by row), -1 where the row's item is not in it."""
        index_of_row = np.full(int(self.rows_n.max(initial=0)) + 1, -1, np.int64)
        rows_C = self.rows_of(pa.array(catalogue, pa.string()))
        index_of_row[rows_C[rows_C > 0]] = np.flatnonzero(rows_C > 0)
        return index_of_row


NO_ITEMS = ItemRows(pa.array([], pa.string()), np.empty(0, np.int32))


@dataclass(frozen=True)
class Cases:
    """All that is read and predicted in one task.

    catalogue: external item ids or class names, index = score column. known: every item that can be read; new_items: those of
    them that get a row of the task's own. left_out: reason -> users or events that took no part.
    """

    sequences: Sequences
    train: Points
    valid: Points
    test: Points
    catalogue: tuple[str, ...]
    known: ItemRows
    new_items: pa.Array
    left_out: Mapping[str, int] = field(default_factory=dict)
    notice: str = ""
    dataset_key: str = ""
    users: pa.Array | None = field(default=None, repr=False, compare=False)
    """Ids of all users of the data set, by their place; as they lie in its file. Never shown."""

    @property
    def counts_C(self) -> np.ndarray:
        """How often each catalogue entry is a target in training, int64; of items and classes."""
        return np.bincount(self.train.targets_N, minlength=len(self.catalogue))

    def rows_C(self) -> np.ndarray | None:
        """The catalogue's rows in the item table (int64), or None where one of it has none."""
        rows_C = self.known.rows_of(pa.array(self.catalogue, pa.string()))
        return rows_C.astype(np.int64) if len(rows_C) and rows_C.all() else None


def make_cases(
    task: Task,
    prepared: Prepared,
    parent_knows: ItemRows | None,
    next_row: int,
    actions: Sequence[str] = (),
    gaps: bool = False,
    times: bool = False,
) -> Cases:
    """The cases of `task`; new items get the rows from `next_row` on. actions, gaps, times: what the model reads of an event
    besides its item. Raises DataError where a part would be empty."""
    inputs_V = _readable(task, prepared, parent_knows)
    known, new_items = _rows_for(prepared, inputs_V, parent_knows or NO_ITEMS, next_row)
    row_of_item_V = np.where(inputs_V, known.rows_of(_ids(prepared.items)), 0)
    sequences, before_E1 = readable_events(
        prepared.offsets_U1,
        row_of_item_V[np.asarray(prepared.items_E)],
        _actions(task, prepared, actions, first=next_row == 1),
        np.asarray(prepared.times_E) if gaps or times else None,
        gaps,
    )
    if task.data.label:
        points, parts_N, catalogue, left_out = _label_points(task, prepared, sequences, before_E1)
    else:
        points, parts_N, catalogue, left_out = _item_points(task, prepared, inputs_V, before_E1)
    readable_N = with_history(points, sequences) | (parts_N != TRAIN)
    train, valid, test = (points.where((parts_N == part) & readable_N) for part in (TRAIN, VALID, TEST))
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not len(part):
            raise DataError(f"task {task.name!r}: no {name} cases are left of {len(points)}; {_reasons(left_out)}")
    about = (prepared.notice, prepared.key, _ids(prepared.users))
    return Cases(sequences, train, valid, test, catalogue, known, new_items, left_out, *about)


def _readable(task: Task, prepared: Prepared, parent_knows: ItemRows | None) -> np.ndarray:
    """Bool (V): the items of the data set that the task reads."""
    if task.data.inputs is not None:
        return _matching(task, prepared, task.data.inputs, "inputs")
    if parent_knows is None:
        return np.ones(len(prepared.items), bool)
    readable_V = parent_knows.rows_of(_ids(prepared.items)) > 0
    if not readable_V.any():
        raise DataError(
            f"task {task.name!r}: its parent knows none of the {len(readable_V)} items of {prepared.name}; name what is to be "
            "read in data.inputs, then they get rows of their own"
        )
    return readable_V


def _actions(task: Task, prepared: Prepared, actions: Sequence[str], first: bool) -> np.ndarray | None:
    """int8 (E): 1 + the place among the model's actions of each event's channel, 0 for another one; None: nothing is read.

    The model's first task must have one of them at least; others may be meant for data to come, but for near misses. Raises
    DataError.
    """
    if not actions:
        return None
    if first:
        _need_actions(task, prepared, actions)
    if prepared.channel_E is None:
        return None
    of_channel = action_index(pa.array(prepared.channels, pa.string()), actions)
    return None if of_channel is None else of_channel[np.asarray(prepared.channel_E)]


def _need_actions(task: Task, prepared: Prepared, actions: Sequence[str]) -> None:
    if not set(actions) & set(prepared.channels):
        raise DataError(
            f"task {task.name!r}: none of the actions {list(actions)} is a channel of {prepared.name}; it has "
            f"{', '.join(prepared.channels) or 'none'}"
        )
    for action in set(actions) - set(prepared.channels):
        if near := near_miss(action, set(prepared.channels) - set(actions)):
            raise DataError(f"task {task.name!r}: {prepared.name} has no channel {action!r}; did you mean {near!r}?")


def action_index(names: pa.Array, actions: Sequence[str]) -> np.ndarray | None:
    """int8: 1 + the place among the model's actions of each name, 0 for another one; None where the model reads none."""
    if not actions:
        return None
    place = pc.index_in(names, value_set=pa.array(list(actions), pa.string())).fill_null(-1)
    return (place.to_numpy(zero_copy_only=False) + 1).astype(np.int8)


def _rows_for(prepared: Prepared, inputs_V: np.ndarray, known: ItemRows, next_row: int) -> tuple[ItemRows, pa.Array]:
    read = _ids(prepared.items).filter(pa.array(inputs_V))
    new_items = read.filter(pa.array(known.rows_of(read) == 0))
    return known.extended(new_items, next_row), new_items


def _item_points(
    task: Task, prepared: Prepared, inputs_V: np.ndarray, before_E1: np.ndarray
) -> tuple[Points, np.ndarray, tuple[str, ...], dict[str, int]]:
    where = {k: v for k, v in (task.data.targets or {}).items() if k != "channel"}
    targets_V = _matching(task, prepared, where, "targets") if where else inputs_V
    target_of_item_V = np.where(targets_V, np.cumsum(targets_V) - 1, -1)
    points, events_N = event_points(prepared.offsets_U1, before_E1, np.asarray(prepared.items_E), target_of_item_V)
    if "channel" in (task.data.targets or {}):
        wanted_N = _in_channel(task, prepared, events_N)
        points, events_N = points.where(wanted_N), events_N[wanted_N]
    split = task.data.split
    if split.name == "by_user":
        parts_N = user_parts(prepared.users["id"], split)[points.users_N]
    else:
        held_out_U = _held_out(prepared, task)
        parts_N = event_parts(split, points.users_N, np.asarray(prepared.times_E)[events_N], held_out_U)
    answered_V = targets_V if task.answers == "items" else np.zeros_like(targets_V)
    catalogue = tuple(_ids(prepared.items).filter(pa.array(answered_V)).to_pylist())
    return points, parts_N, catalogue, {"events of other items": len(prepared.items_E) - len(events_N)}


def _label_points(
    task: Task, prepared: Prepared, sequences: Sequences, before_E1: np.ndarray
) -> tuple[Points, np.ndarray, tuple[str, ...], dict[str, int]]:
    columns = _label_columns(task, prepared)
    labelled_U = np.all([c.is_valid().to_numpy(zero_copy_only=False) for c in columns.values()], axis=0)
    ends_U = _ends(task, prepared, sequences, before_E1)
    read_U = ends_U > sequences.offsets_U1[:-1]
    parts_U = user_parts(prepared.users["id"], task.data.split)
    kept_U = labelled_U & read_U
    _, head, options = registry.make_config("heads", task.head, "head", outside=False)
    targets = read_targets(head.answers, options, columns, kept_U, parts_U == TRAIN, f"task {task.name!r}")
    points = Points(np.flatnonzero(kept_U), ends_U[kept_U], targets.values_U[kept_U])
    left_out = {
        "users without the label": int((~labelled_U).sum()),
        "users without history": int((labelled_U & ~read_U).sum()),
    }
    return points, parts_U[kept_U], targets.catalogue, left_out


def _label_columns(task: Task, prepared: Prepared) -> dict[str, pa.Array]:
    """Name -> text of every user, null where unknown, of each of the task's labels."""
    if task.data.split.name != "by_user":
        raise DataError(
            f"task {task.name!r}: a label of users needs data.split: by_user, so that no user is on both sides"
        )
    columns = [c for c in prepared.users.column_names if c != "id"]
    found: dict[str, pa.Array] = {}
    for name, derived in task.data.labels.items():
        if derived is not None:
            found[name] = derived_labels(derived, prepared)
            continue
        if name not in columns:
            raise DataError(
                f"task {task.name!r}: {prepared.name} has no label {name!r} of its users{suggest(name, columns)}"
            )
        found[name] = prepared.users[name].combine_chunks().cast(pa.string())
    return found


def label_cut(task: Task, prepared: Prepared) -> int | None:
    """The moment (seconds) before which the history of a task's labels ends; None: they hold at any. Raises DataError where
    they do not agree."""
    cuts = {derived.seconds if derived else prepared.label_cuts.get(name) for name, derived in task.data.labels.items()}
    if len(cuts) > 1:
        raise DataError(
            f"task {task.name!r}: its labels are cut at different moments; a history has one end, so make a task of each"
        )
    return next(iter(cuts), None)


def _ends(task: Task, prepared: Prepared, sequences: Sequences, before_E1: np.ndarray) -> np.ndarray:
    """Where each user's readable history ends (absolute, exclusive): at the label's cut, else at its last event."""
    cut = label_cut(task, prepared)
    if cut is None:
        return sequences.offsets_U1[1:]
    return before_E1[first_at(prepared.offsets_U1, prepared.times_E, cut)]


def _held_out(prepared: Prepared, task: Task) -> np.ndarray:
    split = task.data.split
    if not split.hold_out_users:
        return np.zeros(len(prepared.users), bool)
    return user_parts(prepared.users["id"], split) == TEST


def _matching(task: Task, prepared: Prepared, where: Where, option: str) -> np.ndarray:
    """Bool (V): items whose fields have the wanted values."""
    fields = [c for c in prepared.items.column_names if c != "id"]
    matching_V = np.ones(len(prepared.items), bool)
    for name, wanted in where.items():
        if name not in fields:
            raise DataError(
                f"task {task.name!r}: data.{option}: items of {prepared.name} have no {name!r}{suggest(name, fields)}"
            )
        values = wanted if isinstance(wanted, list) else [wanted]
        column = prepared.items[name].combine_chunks().cast(pa.string())
        found = pc.is_in(column, value_set=pa.array([str(v) for v in values], pa.string()))
        matching_V &= found.to_numpy(zero_copy_only=False)
    if not matching_V.any():
        raise DataError(f"task {task.name!r}: data.{option}: no item of {prepared.name} matches {where}")
    return matching_V


def _in_channel(task: Task, prepared: Prepared, events_N: np.ndarray) -> np.ndarray:
    wanted = (task.data.targets or {})["channel"]
    if prepared.channel_E is None:
        raise DataError(f"task {task.name!r}: events of {prepared.name} have no channel")
    values = [str(v) for v in (wanted if isinstance(wanted, list) else [wanted])]
    for value in values:
        if value not in prepared.channels:
            raise DataError(
                f"task {task.name!r}: {prepared.name} has no channel {value!r}{suggest(value, prepared.channels)}"
            )
    return np.isin(np.asarray(prepared.channel_E)[events_N], [prepared.channels.index(v) for v in values])


def _ids(table: pa.Table) -> pa.Array:
    column: Any = table["id"].combine_chunks()
    return (pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column).cast(pa.string())


def _reasons(left_out: Mapping[str, int]) -> str:
    return "left out: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items())
