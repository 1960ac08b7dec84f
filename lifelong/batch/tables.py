"""A table of events in, a table of answers out: what a batch run writes and what an engine such as Ray maps."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lifelong.asking.approximate import ApproximateIndex
from lifelong.asking.evaluation import Removal
from lifelong.asking.inference import NOBODY, Excluded
from lifelong.core.errors import DataError, UsageError
from lifelong.core.types import OF_USERS, History
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch
from lifelong.data.events import read_events
from lifelong.data.sequences import Points, Sequences, readable_events
from lifelong.living import LivingModel
from lifelong.metrics.ranking import top_k
from lifelong.model.cases import action_index
from lifelong.model.member import known_items

BLOCK = 4096
"""Users answered at a time."""
SAMPLE = 256
"""Users that an approximate index is measured on."""
ANSWERS: dict[str, tuple[str, ...]] = {"represent": (), "recommend": ("items",), "predict": OF_USERS}
"""What is asked -> what the task may answer; anything goes where it is empty."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about every user; plain values, so that it can be sent to another machine."""

    answer: Literal["represent", "recommend", "predict"]
    """The answer's columns: (user, vector), (user, rank, item, score) and, by what the task predicts, (user, rank, class,
    probability), (user, rank, label, probability) or (user, value)."""
    task: str | None = None
    """The task that answers; the model's first where it is left out."""
    k: int = 10
    """How many items are recommended."""
    repeats: bool | None = None
    """Whether items of the history may come again; None: what the task says."""
    unknown: Literal["error", "cold", "skip"] = "error"
    """Users of unknown items alone: refused, answered like users without history, or left out and counted."""
    index: Literal["exact", "ann"] = "exact"
    """ann: recommend from an approximate index, whose recall is measured and told."""
    columns: Columns = field(default_factory=Columns)
    """Which column of the events is what."""


@dataclass(frozen=True)
class Read:
    """The users of a table, sorted by id, the events that the task knows of each, and which of them are answered."""

    users: pa.Array
    sequences: Sequences
    answered_N: np.ndarray
    counts: dict[str, int]


class Asked:
    """A question put to a model: `read` a table or a file, then `answer` it, as LivingModel would, bit for bit.

    Raises UsageError for a task that is not there or does not answer this.
    """

    def __init__(self, model: LivingModel, question: Question) -> None:
        self.model, self.question = model, question
        self.task = question.task or next(iter(model.members))
        self.answering = model.answering(self.task)
        wanted, given = ANSWERS[question.answer], self.answering.net.answers
        if wanted and given not in wanted:
            raise UsageError(
                f"task {self.task!r} answers {given}, not {' or '.join(wanted)}; ask another task, or another question"
            )
        if question.k < 1:
            raise UsageError(f"k is {question.k}; ask for at least one item")
        self.catalogue = pa.array(model.members[self.task].catalogue, pa.string())
        known = known_items(model.members, self.task)
        assert known is not None
        self.known = known
        head = self.answering.net.head
        self.repeats = (
            question.repeats if question.repeats is not None else getattr(head and head.config, "repeats", True)
        )
        self.index: ApproximateIndex | None = None
        """The approximate index, once it was needed."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the answers."""
        ranked = [("user", pa.string()), ("rank", pa.int32())]
        if self.question.answer == "represent":
            return pa.schema([("user", pa.string()), ("vector", pa.list_(pa.float32(), self.answering.net.user_width))])
        if self.question.answer == "recommend":
            return pa.schema([*ranked, ("item", pa.string()), ("score", pa.float32())])
        if self.answering.net.answers == "number":
            return pa.schema([("user", pa.string()), ("value", pa.float32())])
        name = "class" if self.answering.net.answers == "classes" else "label"
        return pa.schema([*ranked, (name, pa.string()), ("probability", pa.float32())])

    def read(self, source: Any, format: str | None = None) -> Read:
        """The users of a table, frame or file: one row an event, or one row a user with lists. Raises DataError."""
        batches = list(read_events(source, self.question.columns, format=format))
        users, sequences, events = self._by_user(batches)
        lost_U = sequences.lengths_U == 0
        answered_N = np.flatnonzero(~lost_U) if self.question.unknown == "skip" else np.arange(len(users))
        if lost_U.any() and self.question.unknown == "error":
            raise DataError(
                f"{int(lost_U.sum())} of {len(users)} users have no item that task {self.task!r} knows; check the item ids, or "
                "set unknown (--unknown) to cold (answered like users without history) or skip (left out and counted)"
            )
        counts = {
            "rows_read": sum(b.rows_read for b in batches),
            "rows_dropped": sum(sum(b.dropped.values()) for b in batches),
            "events": events,
            "events_unknown": events - len(sequences.rows_E),
            "users": len(users),
            "users_answered": len(answered_N),
            "users_skipped": len(users) - len(answered_N),
            "users_cold": int(lost_U[answered_N].sum()),
        }
        return Read(users, sequences, answered_N, counts)

    def answer(self, read: Read) -> Iterator[pa.Table]:
        """The answers, a table for each BLOCK of users."""
        make = {"represent": self._vectors, "recommend": self._items, "predict": self._predicted}[self.question.answer]
        for first in range(0, len(read.answered_N), BLOCK):
            part_N = read.answered_N[first : first + BLOCK]
            points = Points(part_N, read.sequences.offsets_U1[part_N + 1], np.zeros(len(part_N), np.int64))
            history = self.answering.history(read.sequences, points)
            yield make(read.users.take(pa.array(part_N)), history, self._excluded(points, read.sequences))

    def _by_user(self, batches: list[EventBatch]) -> tuple[pa.Array, Sequences, int]:
        """User ids sorted, the events of each that the task knows, oldest first, and how many events there were."""
        wanted = [c for c in ("user", "time", "tie", "channel") if c in batches[0].table.column_names]
        events = pa.concat_tables([batch.table.select(wanted) for batch in batches])
        rows_E = np.concatenate([self.known.rows_of(batch.table["item"].combine_chunks()) for batch in batches])
        users = events["user"].combine_chunks().dictionary_encode()
        ids = users.dictionary.sort()
        place = pc.index_in(users.dictionary, value_set=ids).to_numpy(zero_copy_only=False)
        user_E = place[users.indices.to_numpy(zero_copy_only=False)]
        times_E = events["time"].to_numpy()
        order_E = np.lexsort((events["tie"].to_numpy(), times_E, user_E))
        actions_E = _actions(events, self.model.design.actions)
        sequences, _ = readable_events(
            np.searchsorted(user_E[order_E], np.arange(len(ids) + 1)),
            rows_E[order_E],
            None if actions_E is None else actions_E[order_E],
            times_E[order_E] if self.model.design.reads_times else None,
            self.model.design.gaps,
        )
        return ids, sequences, len(rows_E)

    def _excluded(self, points: Points, sequences: Sequences) -> Excluded:
        return NOBODY if self.repeats else Removal(self._index_of_row, sequences).excluded(points)

    @cached_property
    def _index_of_row(self) -> np.ndarray:
        return self.known.catalogue_index(self.catalogue.to_pylist())

    def _vectors(self, users: pa.Array, history: History, excluded: Excluded) -> pa.Table:
        users_NW = self.answering.represent(history)
        values = pa.FixedSizeListArray.from_arrays(pa.array(users_NW.numpy().ravel()), users_NW.shape[1])
        return pa.table([users, values], schema=self.schema)

    def _items(self, users: pa.Array, history: History, excluded: Excluded) -> pa.Table:
        users_ND = self.answering.users(history)
        if self.question.index == "ann" and self.index is None:
            self.index = ApproximateIndex(self.answering, users_ND[:SAMPLE], self.question.k)
        best = (self.index or self.answering).best(users_ND, self.question.k, excluded, history)
        values, index = (torch.cat(parts) for parts in zip(*best, strict=True))
        return self._ranked(users, values, index)

    def _predicted(self, users: pa.Array, history: History, excluded: Excluded) -> pa.Table:
        said_NC = torch.cat(list(self.answering.said(self.answering.users(history), history)))
        if self.answering.net.answers == "number":
            return pa.table([users, pa.array(said_NC[:, 0].numpy())], schema=self.schema)
        return self._ranked(users, *top_k(said_NC, said_NC.shape[1]))

    def _ranked(self, users: pa.Array, values_NK: Tensor, index_NK: Tensor) -> pa.Table:
        """A row for every place of every list; a value of -inf is none."""
        kept_NK = values_NK.numpy() > -np.inf
        row_M, place_M = np.nonzero(kept_NK)
        columns = [
            users.take(pa.array(row_M)),
            pa.array((place_M + 1).astype(np.int32)),
            self.catalogue.take(pa.array(index_NK.numpy()[kept_NK])),
            pa.array(values_NK.numpy()[kept_NK]),
        ]
        return pa.table(columns, schema=self.schema)


def _actions(events: pa.Table, actions: list[str]) -> np.ndarray | None:
    if "channel" not in events.column_names:
        return None
    return action_index(events["channel"].combine_chunks().cast(pa.string()), actions)


def answer_batch(table: pa.Table, asked: Asked) -> pa.Table:
    """The answers for all users of a table that holds every event of each: a pure function of table, question and model.

    Bit for bit what LivingModel gives for the same histories, however users are spread over tables.
    """
    if not len(table):
        return asked.schema.empty_table()
    return pa.concat_tables(asked.answer(asked.read(table)))


class BatchAnswerer:
    """answer_batch with the model opened once: a callable class, as engines with actors want it (ray.data map_batches)."""

    def __init__(self, model: str, question: Question, version: int | None = None) -> None:
        self.asked = Asked(LivingModel.open(model, version), question)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The answers for the users of a table."""
        return answer_batch(table, self.asked)
