"""A living model as files and back: each task packs only what it owns, so no later task can even express a change to it."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lifelong.continual.bank import FREE, Bank, empty_bank
from lifelong.continual.view import View, grows
from lifelong.core.config import build, plain
from lifelong.core.errors import ModelCorrupt
from lifelong.core.fingerprint import canonical_json
from lifelong.growing import Member, make_parts
from lifelong.network import Design, TaskNet
from lifelong.store.store import Reference, Store
from lifelong.store.tensors import pack, unpack
from lifelong.task import Task

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

    Files: weights (claims packed with their bit masks, rows, private, head and parts), task, catalogue, items, record.
    """
    files = {
        "weights": store.put(pack(stored_tensors(bank, member), {})),
        "task": store.put(canonical_json(member.task.to_values())),
        "catalogue": store.put(canonical_json(list(member.catalogue))),
        "items": store.put(canonical_json(member.items.to_pylist())),
        "record": store.put(canonical_json(member.record)),
    }
    view = member.view
    return {
        "parent": member.parent,
        "owner": view.owner,
        "alone": view.alone,
        "rows": view.rows,
        "first_row": member.first_row,
        "parts": plain(member.parts),
        "files": {role: reference.as_dict() for role, reference in files.items()},
    }


def load(store: Store, body: dict[str, Any]) -> Loaded:
    """The living model of a version's body. Raises ModelCorrupt naming the file where anything does not fit."""
    design = build(Design, body["design"], "design")
    skeleton = TaskNet(design, 1, None)
    bank = empty_bank(skeleton)
    members: dict[str, Member] = {}
    for name in body["order"]:
        entry = body["tasks"][name]
        parent = members[entry["parent"]].view if entry["parent"] else None
        view = View(entry["owner"], parent, entry["rows"], alone=entry["alone"])
        items = _json(store, entry["files"], "items")
        own = _unpack_into(store, entry, bank, view, len(items))
        with torch.device("meta"):  # without values: what matters here is that something sits there
            view.parts = make_parts(entry["parts"], skeleton)
        members[name] = Member(
            task=Task.from_values(_json(store, entry["files"], "task"), f"task {name}"),
            parent=entry["parent"],
            view=view,
            own=own,
            catalogue=tuple(_json(store, entry["files"], "catalogue")),
            items=pa.array(items, pa.string()),
            first_row=entry["first_row"],
            parts=entry["parts"],
            record=_json(store, entry["files"], "record"),
        )
    return Loaded(design, bank, members)


def read_tensors(store: Store, files: Files, role: str) -> dict[str, Tensor]:
    """The tensors of one of a task's files."""
    return unpack(store.get(_reference(files, role)), _where(files, role))


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


def _unpack_into(store: Store, entry: dict[str, Any], bank: Bank, view: View, new_items: int) -> dict[str, Tensor]:
    """Fill bank and view with what the task owns; return its head and parts. Items get their rows even where the task keeps
    them in a private table, so that row numbers never depend on who reads them."""
    tensors = read_tensors(store, entry["files"], "weights")
    where = _where(entry["files"], "weights")
    by_kind: dict[str, dict[str, Tensor]] = {"private": {}, "own": {}, "claim": {}, "mask": {}, "rows": {}}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        if kind not in by_kind or (kind in ("claim", "mask", "rows") and name not in bank.values):
            raise ModelCorrupt(f"{where}: a tensor {key!r} does not belong to this model")
        by_kind[kind][name] = value
    view.private = by_kind["private"]
    for name, values in by_kind["claim"].items():
        _put_claim(bank, name, values, by_kind["mask"][name], view.owner, where)
    for name in sorted(bank.tables):
        rows = by_kind["rows"].get(name)
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
    if rows is None:
        rows = torch.zeros(count, bank.values[name].shape[1])
    if len(rows) != count or (known != first_row and view.parent is not None):
        raise ModelCorrupt(f"{where}: {len(rows)} rows of {name} from row {first_row} on do not fit a table of {known}")
    bank.append_rows(name, rows, view.owner)


def _json(store: Store, files: Files, role: str) -> Any:
    try:
        return json.loads(store.get(_reference(files, role)))
    except ValueError:
        raise ModelCorrupt(f"{_where(files, role)}: is no JSON") from None


def _reference(files: Files, role: str) -> Reference:
    return Reference(**files[role])


def _where(files: Files, role: str) -> str:
    return f"objects/{files[role]['sha256']} ({role})"
