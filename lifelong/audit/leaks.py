"""What a task could know that it should not: the future, its own answer, or its test users under another name."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from lifelong.audit.weights import LEAST_TWIN, Finding, history_hashes
from lifelong.core.types import OF_USERS
from lifelong.data.prepare import Prepared
from lifelong.data.sequences import Points
from lifelong.data.splits import TEST, user_parts
from lifelong.model.cases import Cases
from lifelong.model.task import Task

GIVEN_AWAY = 0.99
"""AUC above which something that is read is the answer itself."""
LEAST_USERS = 10
"""Users that a class and its opposite need for that to be no accident."""
MOST_VALUES = 512
"""A field of items with more values is left out: it is close to the item itself."""


def audit_task(task: Task, prepared: Prepared, cases: Cases) -> list[Finding]:
    """Time travel, users and histories on both sides of the split, and what is read that is the label."""
    found = [*time_travel(task, prepared, cases), *crossing(task, prepared, cases), *copied_across(cases)]
    if task.answers == "classes":
        found += given_away(task, prepared, cases)
    return found


def time_travel(task: Task, prepared: Prepared, cases: Cases) -> Iterator[Finding]:
    """Points that read events of a time which they may not know.

    Split by time: training reads nothing later than the first event that validation or test asks about. A label with a moment:
    nobody reads anything from then on.
    """
    times_E = _readable_times(prepared, cases)
    if task.answers in OF_USERS:
        cuts = [found.seconds if found else prepared.label_cuts.get(name) for name, found in task.data.labels.items()]
        points = [cases.train, cases.valid, cases.test]
        late = sum(int((times_E[p.ends_N - 1] >= cuts[0]).sum()) for p in points) if cuts[0] is not None else 0
    elif task.data.split.name == "time":
        asked = [_asked_from(p, cases, times_E) for p in (cases.valid, cases.test)]
        read_n = cases.train.ends_N[cases.train.ends_N > cases.sequences.offsets_U1[cases.train.users_N]]
        late = int((times_E[read_n - 1] > min(asked)).sum())
    else:
        late = 0
    if late:
        text = f"{late:,} points read events later than their task may know"
        yield Finding("time travel", late, text, True)


def _readable_times(prepared: Prepared, cases: Cases) -> np.ndarray:
    """Unix seconds of the events in cases.sequences, (E,) int64."""
    ids = prepared.items["id"].combine_chunks().cast(pa.string())
    kept_E = (cases.known.rows_of(ids) > 0)[np.asarray(prepared.items_E)]
    times_E = np.asarray(prepared.times_E)[kept_E]
    if len(times_E) != len(cases.sequences.rows_E):  # inputs leave out items that the parent knows
        kept_E = np.isin(cases.known.rows_of(ids)[np.asarray(prepared.items_E)], np.unique(cases.sequences.rows_E))
        times_E = np.asarray(prepared.times_E)[kept_E]
    found: np.ndarray = times_E
    return found


def _asked_from(points: Points, cases: Cases, times_E: np.ndarray) -> float:
    """The earliest event at or behind what the points ask about."""
    inside = points.ends_N < cases.sequences.offsets_U1[points.users_N + 1]
    return float(times_E[points.ends_N[inside]].min()) if inside.any() else float("inf")


def crossing(task: Task, prepared: Prepared, cases: Cases) -> Iterator[Finding]:
    """Users who are trained on and asked about, where the split forbids that."""
    train, split = np.unique(cases.train.users_N), task.data.split
    if split.name == "by_user":
        asked = np.concatenate([cases.valid.users_N, cases.test.users_N])
        both = np.concatenate([np.intersect1d(train, asked), np.intersect1d(cases.valid.users_N, cases.test.users_N)])
    else:
        both = train[user_parts(prepared.users["id"], split)[train] == TEST] if split.hold_out_users else train[:0]
    if len(both):
        yield Finding(
            "users across the split", len(both), f"{len(both):,} users stand on both sides of the split", True, both
        )


def copied_across(cases: Cases) -> Iterator[Finding]:
    """Test or validation users whose history up to the case is that of another user who is trained on."""
    train, asked = cases.train, [cases.valid, cases.test]
    users_n, last_n = np.unique(train.users_N[::-1], return_index=True)
    known = _hashes(Points(users_n, train.ends_N[::-1][last_n], users_n), cases)
    users = np.concatenate([p.users_N for p in asked])
    hashes = np.concatenate([_hashes(p, cases) for p in asked])
    copied = (hashes != 0) & np.isin(hashes, known) & ~np.isin(users, users_n)
    if count := int(copied.sum()):
        share = count / len(users)
        text = f"{count:,} of {len(users):,} cases ({share:.1%}) have the history of a user who is trained on"
        yield Finding("histories across the split", count, text, share > 0.01, users[copied])


def _hashes(points: Points, cases: Cases) -> np.ndarray:
    starts_N = cases.sequences.offsets_U1[points.users_N]
    lengths_N = points.ends_N - starts_N
    found: np.ndarray = np.where(
        lengths_N >= LEAST_TWIN, history_hashes(cases.sequences.rows_E, starts_N, lengths_N), 0
    )
    return found


def given_away(task: Task, prepared: Prepared, cases: Cases) -> Iterator[Finding]:
    """Items, fields of items and columns of users that tell a class with an AUC above GIVEN_AWAY.

    AUC of having something at all: half of 1 + the share within the class - the share outside. Columns of users are read by no
    model, so they are told and are no fault: another label may say the same.
    """
    points = Points(*(np.concatenate([getattr(p, n) for p in (cases.train, cases.valid, cases.test)]) for n in _FIELDS))
    read_NR = _read(points, cases)
    ids = prepared.items["id"].combine_chunks().cast(pa.string())
    rows_V = cases.known.rows_of(ids)
    for column in _telling(read_NR, points.targets_N, cases.catalogue):
        name = ids.filter(pa.array(rows_V == column[0])).to_pylist()[0]
        yield _finding(f"item {name!r:.60}", column, cases, True)
    for field in [f for f in prepared.items.column_names if f != "id"]:
        names, kinds_RG = _incidence(prepared.items[field], rows_V, read_NR.shape[1])
        for column in _telling((read_NR @ kinds_RG > 0).tocsr(), points.targets_N, cases.catalogue):
            yield _finding(f"items of {field} {names[column[0]].as_py()!r:.60}", column, cases, True)
    for name in [c for c in prepared.users.column_names if c not in ("id", *task.data.labels)]:
        _, said_UG = _incidence(prepared.users[name], np.arange(len(prepared.users)), len(prepared.users))
        if telling := list(_telling(said_UG[points.users_N], points.targets_N, cases.catalogue)):
            yield _finding(f"column {name!r} of the users", telling[0], cases, False)


def _incidence(column: pa.ChunkedArray, rows_N: np.ndarray, rows: int) -> tuple[pa.Array, sp.csr_matrix]:
    """The values of a column, and which of them each row has, (rows, G); none where there are too many, or one only."""
    coded = column.combine_chunks().cast(pa.string()).dictionary_encode()
    known_N = coded.is_valid().to_numpy(zero_copy_only=False)
    values = coded.dictionary if 1 < len(coded.dictionary) <= MOST_VALUES else coded.dictionary[:0]
    if not len(values):
        return values, sp.csr_matrix((rows, 0), dtype=np.float32)
    index_n = coded.indices.drop_null().to_numpy()
    return values, sp.csr_matrix((np.ones(len(index_n), np.float32), (rows_N[known_N], index_n)), (rows, len(values)))


_FIELDS = ("users_N", "ends_N", "targets_N")


def _read(points: Points, cases: Cases) -> sp.csr_matrix:
    """Which rows of the item table each point reads, (N, R), 1 where it does."""
    starts_N = cases.sequences.offsets_U1[points.users_N]
    lengths_N = points.ends_N - starts_N
    index_M = np.arange(int(lengths_N.sum())) + np.repeat(starts_N - np.cumsum(lengths_N) + lengths_N, lengths_N)
    rows_M, rows = cases.sequences.rows_E[index_M], int(cases.known.rows_n.max(initial=0)) + 1
    who_M = np.repeat(np.arange(len(points)), lengths_N)
    found = sp.csr_matrix((np.ones(len(rows_M), np.float32), (who_M, rows_M)), (len(points), rows))
    found.data[:] = 1  # duplicates were summed
    return found


def _telling(
    has_NK: sp.csr_matrix, targets_N: np.ndarray, classes: tuple[str, ...]
) -> Iterator[tuple[int, int, float]]:
    """(column, class, AUC) of those columns of 0 and 1 that tell a class."""
    all_K = np.asarray(has_NK.sum(0)).ravel()
    for number in range(len(classes)):
        inside_N = targets_N == number
        size, others = int(inside_N.sum()), int((~inside_N).sum())
        if min(size, others) < LEAST_USERS:
            continue
        in_K = np.asarray(has_NK[np.flatnonzero(inside_N)].sum(0)).ravel()
        auc_K = 0.5 + 0.5 * np.abs(in_K / size - (all_K - in_K) / others)
        yield from ((int(k), number, float(auc_K[k])) for k in np.flatnonzero(auc_K > GIVEN_AWAY))


def _finding(what: str, told: tuple[int, int, float], cases: Cases, serious: bool) -> Finding:
    _, number, auc = told
    read = "is read and" if serious else "is not read, but"
    text = f"{what} {read} tells class {cases.catalogue[number]!r:.60} with an AUC of {auc:.3f}"
    return Finding("label within the input" if serious else "label beside the label", 1, text, serious)
