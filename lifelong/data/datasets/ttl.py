"""TTL and ColdRec (PeterRec, Conure, TERACON): browsing histories of 1.5 million users, and what they did elsewhere."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.datasets.base import CodedBatch, EventBatch, Source
from lifelong.data.filehash import file_identity
from lifelong.data.formats.lines import read_lines
from lifelong.data.formats.padded import Histories, histories

VARIABLE = "LIFELONG_TTL"
FILES = {
    "pretrain": "original_desen_pretrain.csv",
    "click": "original_desen_finetune_click_nouserID.csv",
    "like": "original_desen_finetune_like_nouserID.csv",
    "age": "original_desen_age.csv",
    "gender": "original_desen_gender.csv",
    "life": "original_desen_lifestatus.csv",
}
"""Task -> the file of the release."""
ITEMS, LABELS = ("click", "like"), ("age", "gender", "life")
"""Tasks whose targets are items, and whose target is a label of the user."""
SOURCE = "source"
"""The domain of the items of histories; that of targets is the task's name."""


class Ttl(Source):
    """A line is a history, padded on the left, and behind a double comma what the user clicked, liked or is.

    The files name no users. A user is its history: the same history is the same user in every file, so a test user of one
    task is no training user of another; lines with the same history and other targets are one user with all of them. An
    event's time is its place in the history; targets come after it, all at one moment, so each is predicted from the whole
    history, as in the papers. Items of histories keep their ids; a target 123 of the task click is `click-123`, since every
    task has its own vocabulary of targets. Users with the same history and different labels have none.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        path: str | None = None
        """The folder; left out: what the environment variable LIFELONG_TTL says."""
        task: Literal["pretrain", "click", "like", "age", "gender", "life"] = "pretrain"
        """Which of the six files is read: pretrain has histories only, click and like items as targets, the others labels."""
        file: str | None = None
        """Another name of that file, such as coldrec2_fine.csv of PeterRec (task: click)."""
        padding: list[int] = field(default_factory=lambda: [0, -1])
        """Numbers that stand for no item."""
        duplicates: Literal["keep", "drop"] = "drop"
        """drop: a history that stands in several lines, one for each target, is read once."""
        on_bad_rows: Literal["error", "drop"] = "error"
        """error: refuse the file at the first line that cannot be used; drop: leave it out and count it."""

    notice = (
        "TTL and ColdRec (Tencent; Yuan et al., SIGIR 2020 and SIGIR 2021): desensitised behaviour of real users, published "
        "for research; cite the papers."
    )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Ttl.Config = config

    def identity(self) -> dict[str, Any]:
        """Options and the contents of the file; where the folder lies does not matter."""
        found = super().identity()
        found["options"] |= {"path": file_identity(self._file()), "file": None}
        return found

    def events(self) -> Iterator[EventBatch]:
        """An event for each item of a history and each target that is an item; cells of padding are counted as dropped."""
        for h in self._histories():
            user, item, time = np.repeat(h.users_N, h.lengths_N), pa.array(h.items_M), h.places_M
            if self.options.task in ITEMS:
                user = np.concatenate([user, h.users_N[h.lines_T]])
                time = np.concatenate([time, h.lengths_N[h.lines_T]])
                item = _named(h.items_M, h.targets_T, self.options.task)
            table = pa.table({"user": user, "item": item, "time": time})
            yield CodedBatch(table, len(table) + sum(h.dropped.values()), h.dropped)

    def items(self) -> pa.Table:
        """domain: source for the items of histories; click or like for targets."""
        return self._described[0]

    def users(self) -> pa.Table | None:
        """The label of the task: age, gender or life; the other tasks have none."""
        return self._described[1]

    @cached_property
    def _described(self) -> tuple[pa.Table, pa.Table | None]:
        """What is known of items and of users, from one more pass over the file."""
        task, batches = self.options.task, self._histories()
        found = [(pc.unique(pa.array(h.items_M)), h.targets_T, h.users_N) for h in batches]
        source = pc.unique(pa.chunked_array([items for items, _, _ in found])).to_numpy()
        targets, users = (np.concatenate([part[n] for part in found]) for n in (1, 2))
        aims = np.unique(targets) if task in ITEMS else targets[:0]
        domains = pa.concat_arrays([pa.repeat(SOURCE, len(source)), pa.repeat(task, len(aims))])
        items = pa.table({"id": _named(source, aims, task).cast(pa.string()), "domain": domains})
        return items, pa.table(_labels(task, users, targets)) if task in LABELS else None

    def _file(self) -> Path:
        """Raises DataError where the folder or the file is not there."""
        folder = self.options.path or os.environ.get(VARIABLE)
        if not folder:
            raise DataError(
                f"ttl: where is the folder? tasks/ttl/README.md says what to download; then write data: {{dataset: {{name: "
                f"ttl, path: …}}}}, or set {VARIABLE}"
            )
        file = Path(folder) / (self.options.file or FILES[self.options.task])
        if not file.is_file():
            raise DataError(f"{file}: is not there; task {self.options.task} reads it, another name goes into `file`")
        return file

    def _histories(self) -> Iterator[Histories]:
        task, path = self.options.task, self._file()
        targets = "items" if task in ITEMS else "label" if task in LABELS else "none"
        for lines in read_lines(path, two_parts=targets != "none"):
            yield histories(lines, self.options.padding, targets, path, self.options.on_bad_rows == "drop")


def _named(items_M: np.ndarray, targets_T: np.ndarray, task: str) -> pa.DictionaryArray:
    """The ids of items of histories, then of targets; a dictionary, so that a number becomes text once."""
    ours, theirs = (pa.array(numbers).dictionary_encode() for numbers in (items_M, targets_T))
    aims = pc.binary_join_element_wise(task, theirs.dictionary.cast(pa.string()), "-")
    indices = pa.concat_arrays([ours.indices, pc.add(theirs.indices, len(ours.dictionary)).cast(pa.int32())])
    return pa.DictionaryArray.from_arrays(indices, pa.concat_arrays([ours.dictionary.cast(pa.string()), aims]))


def _labels(task: str, users_N: np.ndarray, labels_N: np.ndarray) -> dict[str, pa.Array]:
    """Each user once, with its label; null where lines with its history have different ones."""
    order_N = np.lexsort((labels_N, users_N))
    users_N, labels_N = users_N[order_N], labels_N[order_N]
    first_N = np.ones(len(users_N), bool)
    first_N[1:] = users_N[1:] != users_N[:-1]
    firsts_U = np.flatnonzero(first_N)
    lasts_U = np.append(firsts_U[1:], len(users_N)) - 1
    same_U = labels_N[firsts_U] == labels_N[lasts_U]
    labels = pc.if_else(pa.array(same_U), pa.array(labels_N[firsts_U]), pa.scalar(None, pa.int64()))
    return {"id": pa.array(users_N[firsts_U]).cast(pa.string()), task: labels.cast(pa.string())}
