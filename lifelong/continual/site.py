"""Where one task grows: what a strategy may do to a fork of the bank before the task is sealed."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from lifelong.continual.bank import FREE, Bank, owned_by, private_values
from lifelong.continual.view import ITEM_TABLE, View, render
from lifelong.core.errors import CapacityError, ConfigError


class Initial(Protocol):
    """Gives fresh random values of the trunk, by parameter name."""

    def __call__(self, rows: int) -> dict[str, Tensor]:
        """Values for an item table of so many rows."""
        ...


@dataclass
class Site:
    """A fork of the bank, the parent's view, and the claims of the task that grows here.

    `claims`: name -> bool mask (per row for tables) of what the task may train in the bank. `rows` counts the item rows
    that the task knows, `new_rows` of them its own. `slots`: slot name -> width.
    """

    bank: Bank
    owner: int
    parent: View | None
    names: list[str]
    rows: int
    new_rows: int
    slots: dict[str, int]
    initial: Initial
    claims: dict[str, Tensor] = field(default_factory=dict)

    def claim_free(self) -> View:
        """See the parent's lineage, own every free weight, with private norms and biases.

        What a child claims starts at 0, so before its first step it computes exactly what its parent computes; the root
        starts from random values.
        """
        self._need_bare_parent()
        self._need_shared_parent()
        view = self._view()
        start = self.initial(self.rows) if self.parent is None else None
        for name in self.bank.prunable if start else self._free_names():
            self._claim(name, self.bank.owners[name] == FREE, start[name] if start else None)
        if start:
            for name in self.bank.tables - {ITEM_TABLE}:
                self._claim(name, self.bank.owners[name] == FREE, start[name])
        self._claim_rows()
        values = start if start else self._rendered_parent()
        view.private = {name: value.clone() for name, value in private_values(values).items()}
        return view

    def read_only(self) -> View:
        """See exactly what the parent sees (and own the rows of items that the task brings); nothing else is trained."""
        self._need_parent("reads its parent's weights")
        if self.new_rows:
            self._need_shared_parent()
        self._claim_rows()
        return self._view()

    def copy(self) -> View:
        """A private copy of everything the parent sees, all of it trainable."""
        self._need_parent("starts from a copy of its parent")
        self._reserve_rows()
        view = self._view(alone=True)
        view.private = {name: value.clone() for name, value in self._rendered_parent().items()}
        table = view.private[ITEM_TABLE]
        view.private[ITEM_TABLE] = torch.cat([table, self.initial(self.rows)[ITEM_TABLE][len(table) :]])
        return view

    def fresh(self) -> View:
        """Private random weights, nothing of the parent's."""
        self._reserve_rows()
        view = self._view(alone=True)
        view.private = {name: value.clone() for name, value in self.initial(self.rows).items()}
        return view

    def share(self) -> View:
        """The parent's own weights and norms, unprotected: what is trained goes back into them by write_back()."""
        self._need_shared_parent()
        view = self.copy()
        view.alone = False
        return view

    def write_back(self, view: View) -> None:
        """Let what a shared view has learnt replace the weights of its whole line of parents; they change, and so do the
        tasks that stand on them."""
        root = view
        while root.parent is not None:
            root = root.parent
        for name, value in view.private.items():
            if name not in self.bank.values:
                _put_private(view, name, value)
                continue
            owners = self.bank.owners[name]
            owners[owners == FREE] = root.owner
            self.bank.write(name, torch.ones_like(owners, dtype=torch.bool), value)
        view.private = {}
        self.claims = {}

    def release_smallest(self, view: View, keep: float) -> None:
        """Keep the largest `keep` of what the task claimed in each weight tensor, by absolute value; the rest is free again.

        An exact count by a stable sort, so ties fall to the lower index (Conure prunes per layer, Yuan et al. 2021 section
        3.2.1; its code keeps one more and all ties). Released weights are zeroed, as in PackNet, where Conure leaves them at
        their dense value: a child starts as its parent only from zero.
        """
        for name in self.bank.prunable:
            if name not in self.claims:
                continue
            claimed = self.claims[name].flatten().nonzero().flatten()
            size = self.bank.values[name].flatten()[claimed].abs()
            order = torch.sort(size, descending=True, stable=True).indices
            self.bank.release(name, claimed[order[round(keep * len(claimed)) :]])
            self.claims[name] = self.bank.owners[name] == self.owner

    def free_share(self) -> float:
        """Share of the prunable weights that nobody owns."""
        return self.bank.shares()[FREE]

    def need_capacity(self, task: str, keep: float, min_share: float) -> None:
        """Raises CapacityError where the task would end up with less than `min_share` of the encoder."""
        free = self.free_share()
        if free * keep < min_share:
            raise CapacityError(
                f"task {task!r} would own {free * keep:.2%} of the encoder (keep {keep:g} of the {free:.2%} still free), "
                f"min_share is {min_share:.2%}. Raise keep, lower min_share, or use a strategy that claims nothing: probe, "
                "finetune (a private copy)"
            )

    def _view(self, *, alone: bool = False) -> View:
        return View(self.owner, self.parent, self.rows, alone=alone)

    def _claim(self, name: str, free: Tensor, start: Tensor | None) -> None:
        self.bank.owners[name][free] = self.owner
        if start is not None:
            self.bank.write(name, free, start)
        self.claims[name] = free

    def _claim_rows(self) -> None:
        """Rows of the bank's item table for the items that the task brings, random, and its to train."""
        first = self._append_rows(self.initial(self.rows)[ITEM_TABLE])
        if self.rows > first:
            self.claims[ITEM_TABLE] = torch.arange(self.rows) >= first

    def _reserve_rows(self) -> None:
        """The same numbers of rows, zero in the bank: the task keeps its values in a private table."""
        self._append_rows(torch.zeros_like(self.initial(self.rows)[ITEM_TABLE]))

    def _append_rows(self, values_VD: Tensor) -> int:
        first = self.rows - self.new_rows
        self.bank.append_rows(ITEM_TABLE, values_VD[first:], self.owner)
        if self.parent is None:  # the padding row is the root's, too; nothing ever reaches it
            self.bank.owners[ITEM_TABLE][0] = self.owner
            return 0
        return first

    def _free_names(self) -> list[str]:
        return [name for name in self.bank.prunable if bool((self.bank.owners[name] == FREE).any())]

    def _rendered_parent(self) -> dict[str, Tensor]:
        assert self.parent is not None
        return render(self.bank, self.parent, self.names)

    def _need_shared_parent(self) -> None:
        if self.parent is not None and self.parent.detached:
            raise ConfigError(
                "the parent is a private copy (finetune or scratch), so there is nothing shared to grow in; name another "
                "parent, or use finetune or probe on this one"
            )

    def _need_bare_parent(self) -> None:
        if self.parent is not None and self.parent.parts:
            raise ConfigError(
                "the parent has parts in its slots, which are its own and no child's; name the task that it stands on instead"
            )

    def _need_parent(self, why: str) -> None:
        self._need_bare_parent()
        if self.parent is None:
            raise ConfigError(f"a model's first task has no parent, and this strategy {why}: use conure or scratch")


def _put_private(view: View, name: str, value: Tensor) -> None:
    place = view.parent
    while place is not None:
        if name in place.private:
            place.private[name] = value
            return
        place = place.parent


def visible_share(bank: Bank, view: View) -> float:
    """Share of the prunable weights that a view sees."""
    if view.alone:
        return 1.0
    seen = sum(int(owned_by(bank.owners[name], view.lineage).sum()) for name in bank.prunable)
    return seen / sum(bank.values[name].numel() for name in bank.prunable)
