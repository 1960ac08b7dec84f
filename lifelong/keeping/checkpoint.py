"""A living model as files and back: each task packs only what it owns, so no later task can even express a change to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lifelong.continual.bank import FREE, Bank, empty_bank
from lifelong.continual.view import View, grows
from lifelong.core.config import plain
from lifelong.core.errors import ModelCorrupt
from lifelong.core.fingerprint import canonical_json
from lifelong.keeping.entries import (
    check_body,
    check_room,
    checked_design,
    checked_json,
    checked_names,
    checked_probes,
    checked_record,
    checked_task,
    sorted_out,
)
from lifelong.model.contents import Encoding
from lifelong.model.member import Member, make_parts
from lifelong.model.network import Design, TaskNet
from lifelong.model.seen import PEOPLE
from lifelong.store.folder import check_size
from lifelong.store.store import Reference, Store
from lifelong.store.tensors import pack, unpack

Files = dict[str, dict[str, Any]]
"""Role of a file -> its reference, {"sha256", "bytes"}."""


@dataclass
class Loaded:
    """What a version holds: the design, the bank and the tasks in the order in which they were learnt."""

    design: Design
    bank: Bank
    members: dict[str, Member]


def save_member(store: Store, bank: Bank, member: Member) -> dict[str, Any]:
    """Put the task's files into the store and return its entry of the version: parent, owner, rows, files.

    Files: weights (claims packed with their bit masks, rows, private, head and parts), task, catalogue, items, record; and
    encoding, of a task that has learnt to read items by their content; people, of one that was trained just now.
    """
    encoding = member.encoding
    files = {
        "weights": store.put(pack(stored_tensors(bank, member), {})),
        **({"encoding": store.put(pack(dict(encoding.tensors), {}))} if encoding else {}),
        "task": store.put(canonical_json(member.task.to_values())),
        "catalogue": store.put(canonical_json(list(member.catalogue))),
        "items": store.put(canonical_json(member.items.to_pylist())),
        "record": store.put(canonical_json(member.record)),
        **({PEOPLE: store.put(member.seen.packed(store.lineage, member.name))} if member.seen else {}),
    }
    view = member.view
    return {
        "parent": member.parent,
        "owner": view.owner,
        "alone": view.alone,
        "rows": view.rows,
        "first_row": member.first_row,
        "parts": plain(member.parts),
        **({"item_parts": plain(encoding.parts)} if encoding else {}),
        "files": {role: reference.as_dict() for role, reference in files.items()},
    }


def load(store: Store, body: dict[str, Any]) -> Loaded:
    """The living model of a version's body. Raises ModelCorrupt naming the file where anything does not fit."""
    check_body(body)
    entries = body["tasks"]
    stored = sum(_stored(store, entry["files"]) for entry in entries.values())
    design, trunk = checked_design(body, stored)
    bank = empty_bank(TaskNet(design, 1, None))
    members: dict[str, Member] = {}
    for name in body["order"]:
        entry = entries[name]
        parent = members[entry["parent"]].view if entry["parent"] else None
        view = View(entry["owner"], parent, entry["rows"], alone=entry["alone"])
        items = checked_names(*_json(store, entry["files"], "items"))
        check_room(entry["rows"] * trunk.width, stored, _where(entry["files"], "items"))
        own = _unpack_into(store, entry, bank, view, trunk, len(items))
        with torch.device("meta"):  # without values: what matters here is that something sits there
            view.parts = make_parts(entry["parts"], trunk)
        task, where = _json(store, entry["files"], "task")
        members[name] = Member(
            task=checked_task(task, name, where),
            parent=entry["parent"],
            view=view,
            own=own,
            catalogue=tuple(checked_names(*_json(store, entry["files"], "catalogue"))),
            items=pa.array(items, pa.string()),
            first_row=entry["first_row"],
            parts=entry["parts"],
            record=read_record(store, entry["files"]),
            encoding=_encoding(store, entry),
        )
    return Loaded(design, bank, members)


def read_record(store: Store, files: Files) -> dict[str, Any]:
    """What a task's files say of how it was learnt: from which data, with which seed, in how many epochs."""
    return checked_record(*_json(store, files, "record"))


def _stored(store: Store, files: Files) -> int:
    """How many bytes a task's weights have on the disk, whatever the version says."""
    reference = _reference(files, "weights")
    try:
        check_size(store.files, store.path, reference)
    except ModelCorrupt:
        return len(store.get(reference))  # an older format's may have been written again, and lie in memory
    return reference.bytes


def _encoding(store: Store, entry: dict[str, Any]) -> Encoding | None:
    if "encoding" not in entry["files"]:
        return None
    return Encoding(read_tensors(store, entry["files"], "encoding"), entry["item_parts"])


def read_tensors(store: Store, files: Files, role: str) -> dict[str, Tensor]:
    """The tensors of one of a task's files."""
    return unpack(store.get(_reference(files, role)), _where(files, role))


def read_probes(store: Store, entry: dict[str, Any], length: int) -> dict[str, Tensor]:
    """A task's golden probes, for a window of so many events. Raises ModelCorrupt where they are not of this task."""
    golden = read_tensors(store, entry["files"], "probes")
    return checked_probes(golden, length, entry["rows"], _where(entry["files"], "probes"))


def stored_tensors(bank: Bank, member: Member) -> dict[str, Tensor]:
    """What the task's weights file holds: claims packed with their bit masks, rows, private tensors, head and parts."""
    owner, private = member.view.owner, member.view.private
    tensors = {f"private/{n}": v.contiguous() for n, v in private.items()} | {
        f"own/{n}": v for n, v in member.own.items()
    }
    for name, owners in bank.owners.items():
        mine = owners == owner
        if grows(name) and not _whole_block(mine, member) and name not in private:
            tensors[f"mask/{name}"] = torch.from_numpy(np.packbits(mine[: member.view.rows].numpy()))
        elif not mine.any() or (grows(name) and name in private):
            continue
        if name in bank.tables:
            tensors[f"rows/{name}"] = bank.values[name][mine].contiguous()
        else:
            tensors[f"claim/{name}"] = bank.values[name][mine].contiguous()
            tensors[f"mask/{name}"] = torch.from_numpy(np.packbits(mine.flatten().numpy()))
    return tensors


def _whole_block(mine_V: Tensor, member: Member) -> bool:
    """Whether a task owns exactly the rows of the items that it brought: none released, none of another's claimed."""
    first = 0 if member.view.parent is None else member.first_row
    return bool(mine_V[first : member.view.rows].all()) and int(mine_V.sum()) == member.view.rows - first


def _unpack_into(
    store: Store, entry: dict[str, Any], bank: Bank, view: View, trunk: TaskNet, new_items: int
) -> dict[str, Tensor]:
    """Fill bank and view with what the task owns; return its head and parts. Items get their rows even where the task keeps
    them in a private table, so that row numbers never depend on who reads them."""
    tensors = read_tensors(store, entry["files"], "weights")
    where = _where(entry["files"], "weights")
    by_kind = sorted_out(tensors, trunk, bank, view, where)
    for name, values in by_kind["claim"].items():
        _put_claim(bank, name, values, by_kind["mask"][name], view.owner, where)
    for name in sorted(bank.tables):
        rows = by_kind["rows"].get(name)
        if rows is None and name not in view.private and (new_items if grows(name) else view.parent is None):
            raise ModelCorrupt(f"{where}: the rows of {name} are missing")
        if grows(name):
            bits = by_kind["mask"].get(name)
            _put_rows(bank, name, rows if bits is None else None, view, entry["first_row"], new_items, where)
            if rows is not None and bits is not None:
                bank.owners[name][bank.owners[name] == view.owner] = FREE
                _put_claim(bank, name, rows, bits, view.owner, where)
        elif rows is not None:
            bank.values[name] = rows
            bank.owners[name] = torch.full_like(bank.owners[name], view.owner)
    return by_kind["own"]


def _put_claim(bank: Bank, name: str, values: Tensor, bits: Tensor, owner: int, where: str) -> None:
    shape = bank.owners[name].shape
    mask = torch.from_numpy(np.unpackbits(bits.numpy(), count=shape.numel())).bool().view(shape)
    if int(mask.sum()) != len(values) or bool((bank.owners[name][mask] != FREE).any()):
        raise ModelCorrupt(f"{where}: the claim on {name} does not fit the tasks before it")
    places = mask[:, None] if name in bank.tables else mask
    bank.values[name] = bank.values[name].masked_scatter(places, values)
    bank.owners[name][mask] = owner


def _put_rows(
    bank: Bank, name: str, rows: Tensor | None, view: View, first_row: int, new_items: int, where: str
) -> None:
    count = new_items + (1 if view.parent is None else 0)  # the root brings row 0, the padding
    known = len(bank.owners[name])
    if view.parent is None:
        bank.values[name], bank.owners[name] = bank.values[name][:0], bank.owners[name][:0]
        known = 0
    elif known < first_row:
        # A task between was taken out: its rows are nobody's, and zero, so that those of others stay in place.
        bank.append_rows(name, torch.zeros(first_row - known, bank.values[name].shape[1]), FREE)
        known = first_row
    if rows is None:
        rows = torch.zeros(count, bank.values[name].shape[1])
    if len(rows) != count or known + count != view.rows or (known != first_row and view.parent is not None):
        raise ModelCorrupt(f"{where}: {len(rows)} rows of {name} from row {first_row} on do not fit a table of {known}")
    bank.append_rows(name, rows, view.owner)


def _json(store: Store, files: Files, role: str) -> tuple[Any, str]:
    """The document of a role, and what errors call its file."""
    where = _where(files, role)
    return checked_json(store.get(_reference(files, role)), where), where


def _reference(files: Files, role: str) -> Reference:
    return Reference(**files[role])


def _where(files: Files, role: str) -> str:
    return f"objects/{files[role]['sha256']} ({role})"
