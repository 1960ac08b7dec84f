"""What the items of a task are: their texts and pictures out of the data set, and the encoder that reads them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lifelong.continual.parts.base import Part
from lifelong.core import registry
from lifelong.core.config import suggest
from lifelong.core.errors import DataError
from lifelong.core.progress import Progress, Silent
from lifelong.core.slot import Slot
from lifelong.core.types import Contents
from lifelong.data.prepare import Prepared, cache_folder
from lifelong.items.base import ItemEncoder
from lifelong.model.cases import ItemRows
from lifelong.model.network import Design
from lifelong.model.task import Task

PICTURE = "image"
"""The field of an item that holds the path of its picture."""
TOLD_FROM = 2000
"""Items from which on it is worth some seconds to say what training on them will cost."""
BETWEEN = ", "
"""Stands between the fields of an item's text."""


@dataclass(frozen=True)
class Encoding:
    """What a task has learnt about reading items, beyond what its parents know: tensors by name, and what sits in slots."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemSource:
    """How the items of a task come by their vectors: contents, and what the line of parents has learnt about reading them."""

    design: Design
    contents: Contents
    inherited: Encoding | None
    cache: Path | None
    progress: Progress = field(default_factory=Silent)

    @property
    def learnt(self) -> Mapping[str, Tensor]:
        """Tensors that the line of parents has."""
        return {} if self.inherited is None else self.inherited.tensors

    def encoder(self, width: int, rows: int, known_VD: Tensor | None, *, fresh: bool = False) -> ItemEncoder:
        """The encoder, ready for a table of so many rows, as the parents have trained it, or else with fresh values.

        known_VD: vectors that rows keep where their content is not at hand.
        """
        encoder = self._unread(width, rows, fresh)
        encoder.open(self.contents, known_VD, self.folder, self.progress)
        for name, rate in encoder.rates().items():
            encoder.get_parameter(name).lr_scale = rate  # type: ignore[attr-defined]
        return encoder

    @property
    def folder(self) -> Path:
        """Where frozen features are kept."""
        return self.cache or cache_folder()

    @property
    def large(self) -> bool:
        """Whether it is worth some seconds to say what training on the items will cost."""
        return len(self.contents) >= TOLD_FROM

    def tell_cost(self, opened: ItemEncoder, rows_per_step: int, steps: int, *, fresh: bool) -> None:
        """Say what the steps of an epoch, which look up so many items each, will spend in an encoder opened like this one."""
        from lifelong.items.layers.cost import estimate

        def make(rows: int) -> ItemEncoder:
            return open_alike(self._unread(opened.width, rows, fresh), opened)

        with torch.random.fork_rng(devices=[]):
            self.progress.say(estimate(make, self.contents, rows_per_step, steps, self.folder).line())

    def _unread(self, width: int, rows: int, fresh: bool) -> ItemEncoder:
        encoder = make_encoder(self.design, width, rows)
        if self.inherited is not None and not fresh:
            sit(encoder, self.inherited.parts)
            encoder.restore(dict(self.inherited.tensors))
        else:
            encoder.begin(float(self.design.options.get("item_std") or width**-0.5) * width**0.5)
        return encoder


def make_encoder(design: Design, width: int, rows: int) -> ItemEncoder:
    """The model's item encoder without contents."""
    _, cls, config = registry.make_config("items", design.items, "items", outside=False)
    encoder: ItemEncoder = cls(config, width, rows)
    return encoder


def sit(encoder: ItemEncoder, parts: Mapping[str, Any]) -> None:
    """Put parts into the encoder's slots, named as in the network that holds it: items.…"""
    slots = {f"items.{name}": m for name, m in encoder.named_modules() if isinstance(m, Slot)}
    for name, spec in parts.items():
        _, cls, config = registry.make_config("parts", spec, f"slot {name}", outside=False)
        part: Part = cls.fitting(config, slots[name].opening)
        slots[name].part = part


def open_alike(encoder: ItemEncoder, other: ItemEncoder) -> ItemEncoder:
    """The encoder, training what the other one trains, and with copies of its parts in the same slots."""
    for name, module in other.named_modules():
        if isinstance(module, Slot):
            encoder.get_submodule(name).part = deepcopy(module.part)  # type: ignore[assignment]
    trained = {name for name, parameter in other.named_parameters() if parameter.requires_grad}
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name in trained)
    return encoder


def read_contents(task: Task, prepared: Prepared, known: ItemRows) -> Contents:
    """Texts and pictures of the items that the task knows; raises DataError for a field that is not there."""
    rows_V = known.rows_of(prepared.items["id"].combine_chunks().cast(pa.string()))
    items = prepared.items.filter(pa.array(rows_V > 0))
    return contents_of(task, items, rows_V[rows_V > 0].astype("int64"), prepared.name)


def contents_of(task: Task, items: pa.Table, rows_n: np.ndarray, where: str) -> Contents:
    """Texts and pictures of a table of items by the fields that the task reads; `where` they are from, for errors."""
    return Contents(rows_n, _texts(task, where, items), _pictures(task, where, items), _data_set(task))


def _data_set(task: Task) -> str:
    """The name of a task's data set, its variant included; not where it lies, which may be elsewhere next year."""
    spec = task.data.dataset
    return spec if isinstance(spec, str) else "/".join(str(spec[key]) for key in ("name", "variant") if key in spec)


def _texts(task: Task, where: str, items: pa.Table) -> list[str | None]:
    fields = [name for name in items.column_names if name not in ("id", task.data.picture or PICTURE)]
    for name in task.data.text or []:
        _must_have(task, where, name, fields, "text")
    chosen = [items[name].combine_chunks().cast(pa.string()) for name in task.data.text or fields]
    if not chosen or not len(items):
        return [None] * len(items)
    return _joined(chosen).to_pylist()


def _joined(fields: list[pa.Array]) -> pa.Array:
    """What there is of the fields, one text a row; null where there is nothing. Rows without anything are kept out of the join,
    because pyarrow (26.0) leaves them out of what it returns."""
    fields = [pc.if_else(pc.equal(column, ""), None, column) for column in fields]
    some_N = reduce(pc.or_, (pc.is_valid(column) for column in fields))
    found = pc.binary_join_element_wise(*(column.filter(some_N) for column in fields), BETWEEN, null_handling="skip")
    return pc.replace_with_mask(pa.nulls(len(some_N), pa.string()), some_N, found)


def _pictures(task: Task, where: str, items: pa.Table) -> list[str | None]:
    if task.data.picture is not None:
        _must_have(task, where, task.data.picture, items.column_names, "picture")
    name = task.data.picture or PICTURE
    if name not in items.column_names:
        return [None] * len(items)
    paths: list[str | None] = items[name].combine_chunks().cast(pa.string()).to_pylist()
    return paths


def _must_have(task: Task, where: str, name: str, fields: list[str], option: str) -> None:
    if name not in fields:
        raise DataError(f"task {task.name!r}: data.{option}: items of {where} have no {name!r}{suggest(name, fields)}")
