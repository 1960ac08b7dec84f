"""Tenrec: clicks on videos and articles of two Tencent platforms, with gender and age, in the files as downloaded."""

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
from lifelong.data.formats.tenrec import Rows, TenrecFile
from lifelong.data.known import Known
from lifelong.data.vocabulary import Vocabulary

VARIABLE = "LIFELONG_TENREC"
PLATFORMS = {
    **{"qk-video": "qk_video", "sbr_data": "qk_video", "ctr_data": "qk_video", "task_0": "qk_video"},
    **{"qk-art": "qk_article", "cold_data": "qk_article", "task_1": "qk_article"},
    **{"qb-video": "qb_video", "task_2": "qb_video", "qb-art": "qb_article", "task_3": "qb_article"},
}
"""How a file's name begins -> whose items it holds; the same number is another item on another platform."""
LABELS: dict[str, tuple[str, ...]] = {"gender": ("gender",), "age": ("age",)}
FIELDS: dict[str, tuple[str, ...]] = {
    "category": ("video_category", "short_v", "category_first"),
    "subcategory": ("category_second",),
}
"""Our field -> the columns that may hold it; releases differ."""


class Tenrec(Source):
    """A row with a signal, such as a click, is an event; its channel is the last of `signals` that it has.

    The files have no times: the order of a user's rows is all there is, so every time is 0 (1 for targets) and `split:
    time` finds nothing to train on; take leave_one_out or by_user. An item is `qk_video-123`. A row names its user's gender
    and age, where 0 is unknown; a user with two of them has none. ctr_data keeps a user's first ten clicks in hist_1 to
    hist_10 and has no rows of them; they are read as the events they were. 12.0 is 12, as pandas writes it beside gaps.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        path: str | None = None
        """The folder; left out: what the environment variable LIFELONG_TENREC says."""
        history: str = "sbr_data_1M.csv"
        """The file whose events are read."""
        targets: str | None = None
        """A second file, whose events come after all of the history; only of users that have one."""
        signals: list[str] = field(default_factory=lambda: ["click"])
        """Columns that make a row of the history an event where they are above 0, such as click, like, share."""
        target_signals: list[str] = field(default_factory=lambda: ["click"])
        """The same for the second file."""
        first_users: int | None = None
        """Only so many users, in the order in which the history names them."""
        last_targets: int | None = None
        """At most so many targets of a user, the latest: the cold users of the paper."""
        duplicates: Literal["keep", "drop"] = "drop"
        """drop: a user's second event with an item is left out, since the log repeats itself."""
        on_bad_rows: Literal["error", "drop"] = "error"
        """error: refuse the file at the first row that cannot be used; drop: leave it out and count it."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for option in ("first_users", "last_targets"):
                if getattr(self, option) is not None and getattr(self, option) < 1:
                    raise ValueError(f"{option} is {getattr(self, option)}, it must be at least 1")
            if not self.signals or not self.target_signals:
                raise ValueError("signals and target_signals name at least one column each, such as [click]")

    notice = "Tenrec (Yuan et al., NeurIPS 2022; Tencent): under CC BY-NC 4.0, for research that earns nothing."

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Tenrec.Config = config

    def identity(self) -> dict[str, Any]:
        """Options and the contents of the files; where the folder lies does not matter."""
        found = super().identity()
        files = {file.name: file_identity(file) for file in (self._file(name) for name in self._names())}
        found["options"]["path"] = files
        return found

    def events(self) -> Iterator[EventBatch]:
        """The history's events, then those of the targets."""
        users = Vocabulary()
        yield from self._history(users)
        if self.options.targets:
            ids, place = users.ranked()
            known = ids.take(pa.array(place[: self.options.first_users]))
            yield from self._targets(self._read(self.options.targets, self.options.target_signals), known)

    def items(self) -> pa.Table:
        """domain (the platform, such as qk_video), category, subcategory."""
        return self._described[0]

    def users(self) -> pa.Table | None:
        """gender and age, as far as the history's file has them."""
        return self._described[1]

    def _history(self, users: Vocabulary) -> Iterator[EventBatch]:
        limit, domain = self.options.first_users, _domain(self.options.history)
        for rows in self._read(self.options.history, self.options.signals).rows():
            code_N = users.codes([users.compact(rows.column("user"))]) if len(rows.table) else np.empty(0, np.int32)
            yield _batch(
                rows if limit is None else rows.where(code_N < limit, f"of users after the first {limit}"), domain, 0
            )

    def _targets(self, file: TenrecFile, known: pa.Array) -> Iterator[EventBatch]:
        """The events of users with a history; which of them are the latest is known at the end of the file only."""
        last, domain = self.options.last_targets, _domain(file.path.name)
        held: list[pa.Table] = []
        for rows in file.rows():
            mine_N = pc.is_in(rows.column("user"), value_set=known).to_numpy(zero_copy_only=False)
            rows = rows.where(mine_N, "of users without history")
            if last is not None:
                joined = Rows(pa.concat_tables([*held, rows.table]).combine_chunks(), rows.dropped)
                rows = joined.where(_is_late(joined.column("user"), last), f"before the last {last} targets of a user")
                held = [rows.table]
                rows = Rows(rows.table.slice(0, 0), rows.dropped)
            yield _batch(rows, domain, 1)
        yield from (_batch(Rows(table), domain, 1) for table in held)

    @cached_property
    def _described(self) -> tuple[pa.Table, pa.Table | None]:
        """What is known of items and of users, from one more pass over the files."""
        domains: dict[str, Known] = {}
        users = Known(list(LABELS), contradictions=True)
        for name in self._names():
            file = self._read(name, [])
            items = domains.setdefault(_domain(name), Known(list(FIELDS), contradictions=False))
            fields, labels = (_there(columns, file.columns) for columns in (FIELDS, LABELS))
            labels = labels if name == self.options.history else {}
            for user, item, values in file.said([*fields.values(), *labels.values()]):
                items.add(item, {ours: values[column] for ours, column in fields.items()})
                users.add(user, {ours: _label(values[column]) for ours, column in labels.items()})
        tables = [_prefixed(known.table(), domain) for domain, known in domains.items()]
        return pa.concat_tables(tables).combine_chunks(), users.table()

    def _names(self) -> list[str]:
        return [self.options.history, *([self.options.targets] if self.options.targets else [])]

    def _read(self, name: str, signals: list[str]) -> TenrecFile:
        return TenrecFile(self._file(name), signals, self.options.on_bad_rows == "drop")

    def _file(self, name: str) -> Path:
        """Raises DataError where the folder or the file is not there."""
        folder = self.options.path or os.environ.get(VARIABLE)
        if not folder:
            raise DataError(
                f"tenrec: where is the folder? tasks/tenrec/README.md says what to download; then write data: {{dataset: "
                f"{{name: tenrec, path: …}}}}, or set {VARIABLE}"
            )
        if not (Path(folder) / name).is_file():
            raise DataError(f"{Path(folder) / name}: is not there; data.dataset.history and targets name the files")
        return Path(folder) / name


def _domain(name: str) -> str:
    """Whose items a file holds; its own name where that tells nothing."""
    start = Path(name).name.lower().replace("_video", "-video").replace("_art", "-art")
    return next((domain for begin, domain in PLATFORMS.items() if start.startswith(begin)), Path(name).stem.lower())


def _there(wanted: dict[str, tuple[str, ...]], columns: list[str]) -> dict[str, str]:
    """Our field -> the first of its columns that the file has."""
    found = {ours: next((name for name in names if name in columns), None) for ours, names in wanted.items()}
    return {ours: name for ours, name in found.items() if name is not None}


def _label(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, "0"), pa.scalar(None, pa.string()), column)


def _prefixed(items: pa.Table, domain: str) -> pa.Table:
    ids = pc.binary_join_element_wise(domain, items["id"], "-")
    table = items.set_column(items.column_names.index("id"), "id", ids)
    return table.append_column("domain", pa.repeat(domain, len(items)))


def _batch(rows: Rows, domain: str, time: int) -> EventBatch:
    user, item, channel = (rows.column(name).dictionary_encode() for name in ("user", "item", "channel"))
    names = pc.binary_join_element_wise(domain, item.dictionary, "-")
    columns = {
        "user": user,
        "item": pa.DictionaryArray.from_arrays(item.indices, names),
        "time": np.full(len(rows.table), time),
        "tie": rows.column("tie"),
        "channel": channel,
    }
    dropped = {reason: n for reason, n in rows.dropped.items() if n}
    return CodedBatch(pa.table(columns), len(rows.table) + sum(dropped.values()), dropped)


def _is_late(users: pa.Array, last: int) -> np.ndarray:
    """Bool (N): the rows that are among the `last` ones of their user, in the order of the rows."""
    code_N = users.dictionary_encode().indices.to_numpy()
    order_N = np.argsort(code_N, kind="stable")
    end_N = np.searchsorted(code_N[order_N], code_N[order_N], side="right")
    late_N = np.empty(len(code_N), bool)
    late_N[order_N] = end_N - np.arange(len(code_N)) <= last
    return late_N
