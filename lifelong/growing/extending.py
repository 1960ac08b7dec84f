"""A catalogue that grows: newcomers get vectors by their content, and the task with them a name of its own."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lifelong.continual.view import ITEM_TABLE, View, render
from lifelong.core.errors import DataError, UsageError
from lifelong.core.progress import Progress
from lifelong.keeping.checkpoint import Loaded
from lifelong.keeping.committing import next_body
from lifelong.model.contents import ItemSource, contents_of
from lifelong.model.member import Member, known_items, nearest_encoding
from lifelong.store.names import check_name
from lifelong.store.store import Store, Version

NEIGHBOURS = 3
"""Items that are shown beside a newcomer, to see whether its vector makes sense."""
SHOWN = 5
"""Newcomers that are shown so."""


@dataclass(frozen=True)
class Extended:
    """What giving a task more items did: its name and version, how many came, and the neighbours of the first of them.

    version 0: nothing was committed, the plan alone was asked for.
    """

    task: str
    grown_from: str
    version: int
    added: int
    known_before: int
    without_content: int
    catalogue: int
    neighbours: Mapping[str, list[str]]
    changed: Mapping[str, int] = field(default_factory=dict)


def extended(
    loaded: Loaded, old: Member, items: pa.Table, name: str, cache: Path | None, progress: Progress
) -> tuple[Extended, Loaded]:
    """Give the items of a table (id, and the fields that the task reads) vectors; the model with `old` and them as task `name`.

    `old` itself stays as it is, for good: a catalogue is part of what it answers. Nothing is trained. A newcomer's bias is the
    mean of the others', so it stands as one that is as popular as most. Raises UsageError for a task without item contents or
    a name that is taken, DataError where no item is new or a field is missing.
    """
    _may_grow(loaded, old, name)
    known = known_items(loaded.members, old.name)
    assert known is not None
    ids = _distinct_ids(items)
    fresh = items.filter(pa.array(known.rows_of(ids) == 0))
    if not len(fresh):
        raise DataError(
            f"task {old.name!r}: it knows all {len(ids)} of these items; their contents cannot change under it"
        )
    first = len(loaded.bank.owners[ITEM_TABLE])
    table_VD, readable_n = _encoded(loaded, old, fresh, first, cache, progress)
    fresh, table_VD = _readable_alone(fresh, table_VD, first, readable_n)
    neighbours = _neighbours(table_VD, first, _ids(fresh), known.ids, known.rows_n)
    catalogue = len(old.catalogue) + len(fresh)
    told = Extended(
        name, old.name, 0, len(fresh), len(ids) - len(readable_n), int((~readable_n).sum()), catalogue, neighbours
    )
    return told, _grown(loaded, old, name, fresh, first, table_VD)


def commit_extended(store: Store, before: Version, loaded: Loaded, told: Extended) -> tuple[Extended, Version]:
    """The version after `before`, with what was extended, once a fresh process has checked all tasks. Raises Conflict."""
    with store.writing():
        body = next_body(store, loaded, before.body, told.task, isolates=True)
        version = store.commit(body, "items", before, int(time.time()))
    return replace(told, version=version.number, changed=body["changed"]), version


def _may_grow(loaded: Loaded, old: Member, name: str) -> None:
    if loaded.design.items is None:
        raise UsageError(
            f"task {old.name!r}: its items are rows of a table, learnt one by one; a newcomer needs training: add a task "
            "that reads it, or pretrain a model with items: text"
        )
    if old.task.answers != "items" or "head.output.weight" in old.own:
        raise UsageError(f"task {old.name!r}: it does not rank items that it reads, so no item can be added to it")
    if check_name(name) in loaded.members:
        raise UsageError(f"task {name!r} is there already; choose another name with --as")


def _encoded(
    loaded: Loaded, old: Member, fresh: pa.Table, first: int, cache: Path | None, progress: Progress
) -> tuple[Tensor, np.ndarray]:
    """The table as the task has it, with rows for all newcomers; and which of them can be encoded, bool (n,)."""
    known_VD = torch.zeros(first, loaded.bank.values[ITEM_TABLE].shape[1])
    seen_VD = render(loaded.bank, old.view, [ITEM_TABLE])[ITEM_TABLE]
    known_VD[: len(seen_VD)] = seen_VD
    contents = contents_of(old.task, fresh, np.arange(first, first + len(fresh)), "the file")
    source = ItemSource(loaded.design, contents, nearest_encoding(loaded.members, old.name), cache, progress)
    encoder = source.encoder(known_VD.shape[1], first + len(fresh), known_VD)
    settled_VD = encoder.settle().cpu()
    return torch.cat([known_VD, settled_VD[first:]]), encoder.readable_V[first:].numpy()


def _readable_alone(fresh: pa.Table, table_VD: Tensor, first: int, readable_n: np.ndarray) -> tuple[pa.Table, Tensor]:
    """Without the newcomers of which nothing can be read: they would all be one item."""
    if not readable_n.any():
        raise DataError(f"none of the {len(fresh)} new items has anything that the model can read")
    kept_VD = torch.cat([table_VD[:first], table_VD[first:][torch.from_numpy(readable_n)]])
    return fresh.filter(pa.array(readable_n)), kept_VD


def _grown(loaded: Loaded, old: Member, name: str, fresh: pa.Table, first: int, table_VD: Tensor) -> Loaded:
    bank = loaded.bank.fork()
    owner = 1 + max(member.view.owner for member in loaded.members.values())
    for table in sorted(n for n in bank.tables if n.endswith(ITEM_TABLE)):
        rows_nD = table_VD[first:] if table == ITEM_TABLE else torch.zeros(len(fresh), bank.values[table].shape[1])
        bank.append_rows(table, rows_nD, owner)
    view = View(owner, old.view, first + len(fresh), parts=old.view.parts)
    for table in bank.tables:
        private = old.view.private_value(table)
        if table.endswith(ITEM_TABLE) and private is not None:
            gap = torch.zeros(first - len(private), private.shape[1])
            view.private[table] = torch.cat([private, gap, bank.values[table][first:]])
    own = {**old.own, "head.bias": _with_mean(old.own["head.bias"], len(fresh))}
    catalogue = (*old.catalogue, *_ids(fresh).to_pylist())
    task = replace(old.task, name=name, parent=old.name, strategy="probe")
    record = {**old.record, "seconds": 0.0, "trained": 0, "curve": [], "grown_from": old.name}
    member = Member(task, old.name, view, own, catalogue, _ids(fresh), first, old.parts, record)
    return Loaded(loaded.design, bank, {**loaded.members, name: member})


def _with_mean(bias_C: Tensor, more: int) -> Tensor:
    return torch.cat([bias_C, bias_C.mean().expand(more)])


def _neighbours(
    table_VD: Tensor, first: int, ids: pa.Array, known: pa.Array, rows_n: np.ndarray
) -> dict[str, list[str]]:
    """The items that lie nearest to some newcomers, by cosine."""
    old_nD = torch.nn.functional.normalize(table_VD[torch.from_numpy(rows_n.astype(np.int64))], dim=1)
    new_mD = torch.nn.functional.normalize(table_VD[first : first + SHOWN], dim=1)
    near_mk = (new_mD @ old_nD.T).topk(min(NEIGHBOURS, len(old_nD))).indices
    return {ids[m].as_py(): [known[int(n)].as_py() for n in near_mk[m]] for m in range(len(new_mD))}


def _distinct_ids(items: pa.Table) -> pa.Array:
    ids = _ids(items)
    if ids.null_count or len(pc.unique(ids)) != len(ids):
        raise DataError(f"of {len(ids)} items {len(pc.unique(ids))} have an id of their own; each needs one")
    return ids


def _ids(items: pa.Table) -> pa.Array:
    if "id" not in items.column_names:
        raise DataError(f"the file has no column 'id'; it has {', '.join(items.column_names)}")
    return items["id"].combine_chunks().cast(pa.string())
