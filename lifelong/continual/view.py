"""A task as a way of looking at the bank: whose weights it sees, what is private to it, what sits in its slots."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.continual.bank import Bank
from lifelong.continual.parts.base import Part


@dataclass
class View:
    """One task's trunk. `owner` is the number under which it owns weights; `rows` how many item rows it knows.

    A tensor is looked up in `private`, then in the parent's private ones and so on, then in the bank through the lineage. A
    view with `alone` sees nothing of its parent: everything is private (isolated copy, from scratch).
    """

    owner: int
    parent: "View | None"
    rows: int
    private: dict[str, Tensor] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    alone: bool = False

    @property
    def lineage(self) -> frozenset[int]:
        """The owners whose weights it sees, its own included."""
        above = frozenset() if self.parent is None or self.alone else self.parent.lineage
        return above | {self.owner}

    @property
    def line(self) -> list[int]:
        """The owners from the root down to this task, whether it reads their weights or not."""
        return [*(self.parent.line if self.parent else []), self.owner]

    @property
    def shareable(self) -> bool:
        """Whether another task can grow on it by sharing: it is no private copy and has nothing of its own in its slots."""
        return not self.detached and not self.parts

    @property
    def detached(self) -> bool:
        """Whether it, or one of its parents, stands on a private copy and not on the bank."""
        return self.alone or (self.parent is not None and self.parent.detached)

    def private_value(self, name: str) -> Tensor | None:
        """The nearest private tensor of that name, up the line of parents."""
        if name in self.private:
            return self.private[name]
        return None if self.parent is None or self.alone else self.parent.private_value(name)


def render(bank: Bank, view: View, names: Iterable[str]) -> dict[str, Tensor]:
    """Plain tensors of the trunk for a view, contiguous, by name; float32. Equal ones are aliased, not copied."""
    rendered: dict[str, Tensor] = {}
    for name in names:
        own = view.private_value(name)
        if own is None:
            rendered[name] = bank.render(name, view.lineage, _rows(bank, view, name))
        else:
            rendered[name] = own if not grows(name) or len(own) >= view.rows else _lengthened(bank, view, name, own)
    return rendered


def _lengthened(bank: Bank, view: View, name: str, own_VD: Tensor) -> Tensor:
    """A parent's private table of items with the bank's rows for items that the view has brought since."""
    return torch.cat([own_VD, bank.render(name, view.lineage, view.rows)[len(own_VD) :]])


def _rows(bank: Bank, view: View, name: str) -> int:
    return view.rows if grows(name) else len(bank.owners[name])


ITEM_TABLE = "items.weight"
"""The table of item vectors."""


def grows(name: str) -> bool:
    """Whether a table has a row for every item, and so gets new ones with new items: the item table, and that of the
    long-term path."""
    return name.endswith(ITEM_TABLE)
