"""Earlier tasks for strategies that change them: their losses, answers and training batches, under weights not yet written."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.continual.bank import FREE, Bank, owned_by
from lifelong.continual.phase import Weights
from lifelong.continual.view import View
from lifelong.core.slot import Slot
from lifelong.core.types import Batch, History


class Earlier(nn.Module, ABC):
    """An earlier task whose trunk is handed in, tensor by tensor; head and parts are its own.

    Only a strategy that does not isolate may use one. Where it lets `own` train, the task's head and parts change with it.
    """

    name: str
    view: View
    answers: str = "classes"
    """What its head answers."""

    @property
    def compares(self) -> bool:
        """Whether its loss compares the users of a batch with each other (Objective.compares)."""
        return False

    @property
    def spread(self) -> float:
        """What its scores are measured in: the deviation of its targets where it answers a number, else 1."""
        return 1.0

    @property
    @abstractmethod
    def own(self) -> dict[str, nn.Parameter]:
        """Head and parts by name, as the model stores them; parameters of this module that require no gradient at first."""

    @abstractmethod
    def forward(self, weights: Weights, history: History) -> Tensor:
        """Scores (B, C) of its own answers; items of the history that it does not know are left out."""

    @abstractmethod
    def loss(self, weights: Weights, batch: Batch) -> Tensor:
        """Its own objective's mean loss, a scalar, of one of its batches."""

    @abstractmethod
    def batches(self, number: int) -> Iterator[Batch]:
        """One pass over its own training cases, shuffled; pass n is always the same."""

    @abstractmethod
    def validated(self, weights: Weights) -> float:
        """The logarithm of its validation score under these weights (asking.evaluation.log_score)."""

    def redrawn(self, batch: Batch, random: np.random.Generator) -> Batch:
        """One of its batches with shared negatives drawn anew; as it is where there are none."""
        return batch

    @property
    def slots(self) -> Mapping[str, Slot]:
        """Its own network's slots, by the names that Site.slots has."""
        return {}

    def sit(self, parts: Mapping[str, nn.Module | None]) -> None:
        """Put parts into its slots; those that sit there when the last phase is over are stored with it, and are in `own`."""
        for name, part in parts.items():
            self.slots[name].part = part


class Seen:
    """What an earlier view would see of the trunk if a shared view's weights were written back (Site.write_back).

    `parent` is the view whose weights are shared. Gradients pass through to the weights that are handed in.
    """

    def __init__(self, bank: Bank, parent: View, view: View, names: list[str]) -> None:
        self._fixed = {n: v for n in names if (v := _out_of_reach(bank, parent, view, n)) is not None}
        self._visible = {n: _visible(bank, parent, view, n) for n in names if n in bank.values and n not in self._fixed}
        self._tables, self._rows = bank.tables, view.rows

    def __call__(self, weights: Weights) -> dict[str, Tensor]:
        """The view's own trunk, by name."""
        return {name: self._one(name, value) for name, value in weights.items()}

    def _one(self, name: str, value: Tensor) -> Tensor:
        if name in self._fixed:
            return self._fixed[name].to(value.device)
        visible = self._visible.get(name)
        if name in self._tables:
            value, visible = value[: self._rows], None if visible is None else visible[: self._rows, None]
        return value if visible is None else torch.where(visible.to(value.device), value, 0.0)


def take_users(batch: Batch, first: int, last: int) -> Batch:
    """Those of a batch's users that stand in rows [first, last), with their points."""
    here_N = (batch.rows_N >= first) & (batch.rows_N < last)
    return replace(
        batch,
        history=batch.history.users(slice(first, last)),
        rows_N=batch.rows_N[here_N] - first,
        positions_N=batch.positions_N[here_N],
        targets_N=batch.targets_N[here_N],
    )


def known_only(history: History, known_V: Tensor) -> History:
    """The history without the items that are not known (bool per row of the table): later events close up, pads in front.

    >>> known_only(History(torch.tensor([[4, 1, 9, 2]])), torch.tensor([False, True, True] + [False] * 7)).window_BL
    tensor([[0, 0, 1, 2]])
    """
    kept_BL = known_V.to(history.window_BL.device)[history.window_BL]
    window_BL, actions_BL, gaps_BL = closed_up(history.window_BL, kept_BL, history.actions_BL, history.gaps_BL)
    past_BS, times_BS = history.past_BS, history.times_BS
    if past_BS is not None:
        past_BS, times_BS = closed_up(past_BS, known_V.to(past_BS.device)[past_BS], times_BS)
    return History(window_BL, past_BS, times_BS, actions_BL, gaps_BL)


def closed_up(rows_BL: Tensor, kept_BL: Tensor, *others_BL: Tensor | None) -> list[Any]:
    """The rows without those that are not kept (bool), moved to the right, pads in front; and whatever goes with them."""
    kept_BL = kept_BL & (rows_BL != 0)
    order_BL = kept_BL.int().argsort(dim=1, stable=True)
    return [None if v is None else torch.where(kept_BL, v, 0).gather(1, order_BL) for v in (rows_BL, *others_BL)]


def _out_of_reach(bank: Bank, parent: View, view: View, name: str) -> Tensor | None:
    """The view's value of a tensor that a write-back does not touch: its own copy, or that of a parent beside the line."""
    holder, target = _holder(view, name), _holder(parent, name)
    if holder is None or (name not in bank.values and target is not None and holder.owner == target.owner):
        return None
    return holder.private[name]


def _holder(view: View, name: str) -> View | None:
    """The nearest view, up the line of parents, that has a private tensor of that name."""
    place: View | None = view
    while place is not None:
        if name in place.private:
            return place
        place = None if place.alone else place.parent
    return None


def _visible(bank: Bank, parent: View, view: View, name: str) -> Tensor | None:
    """Bool, shape of the owners; None where everything is seen. A write-back gives to the root what nobody owns."""
    owners = bank.owners[name]
    visible = owned_by(owners, view.lineage) | ((owners == FREE) & (parent.line[0] in view.lineage))
    return None if bool(visible.all()) else visible
