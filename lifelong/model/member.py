"""A task as a model holds it once it is sealed, and the network that answers for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lifelong.continual.bank import Bank
from lifelong.continual.parts.base import Part
from lifelong.continual.view import View, render
from lifelong.core import registry
from lifelong.core.errors import ModelCorrupt
from lifelong.heads.base import Head
from lifelong.items.base import ItemEncoder
from lifelong.model.cases import ItemRows
from lifelong.model.contents import Encoding
from lifelong.model.network import Design, TaskNet
from lifelong.model.seen import Seen
from lifelong.model.task import Task


@dataclass(frozen=True)
class Member:
    """A task as the model holds it once it is sealed.

    own: head and parts, by name. items: the block of item ids that came with it, first_row where their rows begin.
    """

    task: Task
    parent: str | None
    view: View
    own: dict[str, Tensor]
    catalogue: tuple[str, ...]
    items: pa.Array
    first_row: int
    parts: dict[str, Any] = field(default_factory=dict)
    """Slot name -> {"name": …, options} of the part that sits there."""
    record: dict[str, Any] = field(default_factory=dict)
    """What is told of its training: seconds, parameters, curve, data key."""
    encoding: Encoding | None = None
    """What it has learnt about reading items by their content; None where it reads them as its parents do."""
    seen: Seen | None = None
    """Whom it was trained on, until it is stored."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name


def known_items(members: dict[str, Member], name: str | None) -> ItemRows | None:
    """The items that a task can read: its own block and those of its line of parents; None where there is no task."""
    blocks: list[ItemRows] = []
    while name is not None:
        member = members[name]
        rows_n = np.arange(member.first_row, member.first_row + len(member.items), dtype=np.int32)
        blocks.append(ItemRows(member.items, rows_n))
        name = member.parent
    if not blocks:
        return None
    return ItemRows(pa.concat_arrays([b.ids for b in blocks]), np.concatenate([b.rows_n for b in blocks]))


def nearest_encoding(members: dict[str, Member], name: str) -> Encoding | None:
    """How a task reads items by their content: what it and its line of parents have learnt, the nearest first, up to one that
    stands alone; None: by a table."""
    found: list[Encoding] = []
    place: str | None = name
    while place is not None:
        member = members[place]
        found = found if member.encoding is None else [member.encoding, *found]
        place = None if member.encoding is not None and member.view.alone else member.parent
    if not found:
        return None
    tensors = {n: value for encoding in found for n, value in encoding.tensors.items()}
    return Encoding(tensors, {slot: spec for encoding in found for slot, spec in encoding.parts.items()})


def mount(design: Design, bank: Bank, member: Member, known: ItemRows) -> TaskNet:
    """The network of a sealed task, with tensors of the bank, ready to answer."""
    net = skeleton(design, member.view, member.task, member.catalogue, known)
    net.sit(make_parts(member.parts, net))
    _check_own(member.own, net.own_tensors(), f"task {member.name}: weights")
    net.mount(render(bank, member.view, net.trunk_names()), member.own)
    return net


def skeleton(
    design: Design,
    view: View,
    task: Task,
    catalogue: tuple[str, ...],
    known: ItemRows,
    items: ItemEncoder | None = None,
) -> TaskNet:
    """A task's network without weights: encoder, head, and what encodes items where one is given."""
    rows_C = known.rows_of(pa.array(catalogue, pa.string())) if task.data.label is None else np.zeros(1, np.int32)
    rows = torch.from_numpy(rows_C.astype(np.int64)) if len(rows_C) and rows_C.all() else None
    net = TaskNet(design, view.rows, None, table="meta", items=items)
    net.head = _make_head(task, net, catalogue, rows, view.rows)
    return net


def _make_head(task: Task, net: TaskNet, catalogue: tuple[str, ...], rows_C: Tensor | None, rows: int) -> Head:
    _, cls, config = registry.make_config("heads", task.head, f"task {task.name}: head", outside=False)
    head = cls(config, net.user_width if cls.reads_past(rows_C) else net.width, catalogue, rows_C)
    head.widen(rows)
    return head


def make_parts(specs: dict[str, Any], net: TaskNet) -> dict[str, Part]:
    """What sits in the slots of a network, from its specs by slot; the values come later."""
    parts: dict[str, Part] = {}
    slots = net.slots()
    for slot, spec in specs.items():
        _, cls, config = registry.make_config("parts", spec, f"slot {slot}", outside=False)
        parts[slot] = cls.fitting(config, slots[slot].opening)
    return parts


def _check_own(own: Mapping[str, Tensor], like: Mapping[str, Tensor], where: str) -> None:
    """Raises ModelCorrupt unless head and parts have exactly the tensors that their code has."""
    if own.keys() != like.keys():
        odd = sorted(own.keys() ^ like.keys())
        raise ModelCorrupt(f"{where}: tensors of head and parts missing, or not expected: {odd!r:.120}")
    for name, value in like.items():
        found = own[name]
        if found.dtype != value.dtype or found.shape != value.shape:
            is_, should = f"{found.dtype} {tuple(found.shape)}", f"{value.dtype} {tuple(value.shape)}"
            raise ModelCorrupt(f"{where}: tensor {name!r} is {is_}, expected {should}")
