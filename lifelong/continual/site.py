"""Where one task grows: what a strategy may do to a fork of the bank before the task is sealed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from lifelong.continual.bank import FREE, Bank, owned_by, private_values
from lifelong.continual.blocks import of_items
from lifelong.continual.past import Earlier, Seen
from lifelong.continual.view import View, grows, render
from lifelong.core.errors import CapacityError, ConfigError
from lifelong.core.slot import Opening

Keep = Callable[[str], float]
"""Name of a weight tensor -> share of what a task claimed in it that it keeps, in [0, 1]."""

Start = Literal["zero", "random", "left"]
"""What claimed weights begin as: zero, fresh random values, or what an earlier task left there when it released them."""

LEFT = "left/"
"""Before a weight's name, among a task's private tensors: the values that it released, for those who come after it."""


class Initial(Protocol):
    """Gives fresh random values of the trunk, by parameter name."""

    def __call__(self, rows: int) -> dict[str, Tensor]:
        """Values for an item table of so many rows."""
        ...


@dataclass
class Site:
    """A fork of the bank, the parent's view, and the claims of the task that grows here.

    `claims`: name -> bool mask (per row for tables) of what the task may train in the bank. `rows` counts the item rows
    that the task knows, `new_rows` of them its own. `slots`: name of a free slot -> what a part finds there; of items, too.
    """

    bank: Bank
    owner: int
    parent: View | None
    names: list[str]
    rows: int
    new_rows: int
    slots: dict[str, Opening]
    initial: Initial
    past: Sequence[Earlier] = ()
    """The tasks before this one, for strategies that change them."""
    claims: dict[str, Tensor] = field(default_factory=dict)

    def claim_free(self, begin: Start = "zero") -> View:
        """See the parent's lineage, own every free weight and row, with private norms and biases.

        What a child claims starts at 0, so before its first step it computes exactly what its parent computes; the root starts
        from random values, and so does a child where `begin` says so. Raises ConfigError for "left" where nobody in its line
        has kept what it released.
        """
        self._need_bare_parent()
        self._need_shared_parent()
        view = self._view()
        root = self.parent is None
        start = self.initial(self.rows) if root or begin == "random" else {}
        if begin == "left" and not root:
            start = self._left()
        for name in self.bank.prunable if root else self._free_names():
            self._claim(name, self.bank.owners[name] == FREE, start.get(name))
        if root:
            for name in [n for n in self.bank.tables if not grows(n)]:
                self._claim(name, self.bank.owners[name] == FREE, start[name])
        self._claim_rows(free=True)
        values = start if root else self.seen_by_parent()
        view.private = {name: value.clone() for name, value in private_values(values).items()}
        return view

    def read_only(self) -> View:
        """See exactly what the parent sees (and own the rows of items that the task brings); nothing else is trained."""
        self._need_bare_parent()
        self._need_parent("reads its parent's weights")
        if self.new_rows:
            self._need_shared_parent()
        self._claim_rows()
        return self._view()

    def copy(self) -> View:
        """A private copy of everything the parent sees, all of it trainable."""
        self._need_bare_parent()
        return self._copied()

    def _copied(self) -> View:
        self._need_parent("starts from a copy of its parent")
        self._reserve_rows()
        view = self._view(alone=True)
        view.private = {name: value.clone() for name, value in self.seen_by_parent().items()}
        for name in self._growing():
            table = view.private[name]
            view.private[name] = torch.cat([table, self.initial(self.rows)[name][len(table) :]])
        return view

    def fresh(self) -> View:
        """Private random weights, nothing of the parent's."""
        self._reserve_rows()
        view = self._view(alone=True)
        view.private = {name: value.clone() for name, value in self.initial(self.rows).items()}
        return view

    def share(self, *, past_parts: bool = False) -> View:
        """The parent's own weights and norms, unprotected: what is trained goes back into them by write_back().

        `past_parts`: also those of a parent with parts in its slots, which stay its own.
        """
        self._need_shared_parent()
        view = self._copied() if past_parts else self.copy()
        view.alone = False
        return view

    def sublayers(self) -> dict[str, int]:
        """Width of every slot behind a sublayer of the user encoder: where methods for user encoders insert something."""
        places = {name: opening for name, opening in self.slots.items() if not of_items(name)}
        return {name: opening.width for name, opening in places.items() if opening.kind == "sublayer"}

    def seen_by_parent(self) -> dict[str, Tensor]:
        """The trunk's tensors as the parent sees them, not to be changed."""
        assert self.parent is not None
        return render(self.bank, self.parent, self.names)

    def private_copies(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Copies of some of the tensors that the parent sees, for a view to keep and train as its own."""
        seen = self.seen_by_parent()
        return {name: seen[name].clone() for name in names}

    def shared_past(self, why: str) -> list[Earlier]:
        """The earlier tasks that would change with the shared weights. Raises ConfigError where there is none at hand."""
        past = [earlier for earlier in self.past if not earlier.view.detached]
        if not past:
            raise ConfigError(f"no earlier task that reads the shared encoder is at hand, and {why}; use sequential")
        return past

    def seen(self, past: Iterable[Earlier]) -> list[Seen]:
        """What each of them would see once shared weights were written back."""
        assert self.parent is not None
        return [Seen(self.bank, self.parent, earlier.view, self.names) for earlier in past]

    def let_train(self, past: Iterable[Earlier]) -> None:
        """Let heads and parts of earlier tasks go along with the shared weights."""
        for earlier in past:
            for parameter in earlier.own.values():
                parameter.requires_grad_(True)

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

    def release_smallest(self, view: View, keep: Keep, left: dict[str, Tensor] | None = None) -> int:
        """Keep the largest of what the task claimed in each weight tensor, by absolute value; the rest is free again.

        An exact count by a stable sort, so ties fall to the lower index (Conure prunes per layer, Yuan et al. 2021 section
        3.2.1; its code keeps one more and all ties). Released weights are zeroed, as in PackNet, where Conure leaves them at
        their dense value: a child starts as its parent only from zero. What they were goes into `left`: among the view's
        private tensors it serves a child that claims them with begin="left". Returns how many were released.
        """
        released = 0
        for name in [n for n in self.bank.prunable if n in self.claims]:
            before, claimed = self.bank.values[name], self.claims[name].flatten().nonzero().flatten()
            released += self._release(name, claimed, before.flatten()[claimed].abs(), keep(name))
            if left is not None:
                left[LEFT + name] = torch.where(self.bank.owners[name] == FREE, before, 0.0)
        return released

    def release_shortest(self, keep: float) -> int:
        """Keep the longest of the item rows that the task claimed, by Euclidean length; the others are free and zero, for later
        tasks to claim. Row 0, the padding, stays. Returns how many were released."""
        released = 0
        for name in [n for n in self._growing() if n in self.claims]:
            claimed = self.claims[name][1:].nonzero().flatten() + 1
            released += self._release(name, claimed, self.bank.values[name][claimed].norm(dim=1), keep)
        return released

    def _release(self, name: str, claimed: Tensor, size: Tensor, keep: float) -> int:
        order = torch.sort(size, descending=True, stable=True).indices
        smallest = claimed[order[round(keep * len(claimed)) :]]
        self.bank.release(name, smallest)
        self.claims[name] = self.bank.owners[name] == self.owner
        return len(smallest)

    def free_share(self) -> float:
        """Share of the prunable weights that nobody owns."""
        return self.bank.shares()[FREE]

    def need_capacity(self, task: str, keep: Keep, min_share: float) -> None:
        """Raises CapacityError where the task would end up with less than `min_share` of the encoder."""
        free = {name: int((self.bank.owners[name] == FREE).sum()) for name in self.bank.prunable}
        total = sum(self.bank.owners[name].numel() for name in free)
        owned = sum(keep(name) * count for name, count in free.items()) / total
        if owned < min_share:
            raise CapacityError(
                f"task {task!r} would own {owned:.2%} of the encoder (of the {self.free_share():.2%} still free), min_share is "
                f"{min_share:.2%}. Raise keep, lower min_share, or use a strategy that claims nothing: peterrec, probe, "
                "finetune (a private copy)"
            )

    def _view(self, *, alone: bool = False) -> View:
        return View(self.owner, self.parent, self.rows, alone=alone)

    def _claim(self, name: str, free: Tensor, start: Tensor | None) -> None:
        self.bank.owners[name][free] = self.owner
        if start is not None:
            self.bank.write(name, free, start)
        self.claims[name] = free

    def _claim_rows(self, *, free: bool = False) -> None:
        """Rows of the bank's tables for the items that the task brings, random, and its to train; where `free`, the rows that
        earlier tasks have released, too."""
        self._append_rows(zero=False)
        for name in self._growing():
            owners_V = self.bank.owners[name]
            if free:
                owners_V[owners_V == FREE] = self.owner
            if bool((owners_V == self.owner).any()):
                self.claims[name] = owners_V == self.owner

    def _reserve_rows(self) -> None:
        """The same numbers of rows, zero in the bank: the task keeps its values in private tables."""
        self._append_rows(zero=True)

    def _append_rows(self, *, zero: bool) -> None:
        """Rows for the items that the task brings, with the root's the padding row."""
        first = self.rows - self.new_rows
        start = self.initial(self.rows) if self.new_rows else {}
        for name in self._growing():
            rows_nD = start[name][first:] if start else self.bank.values[name][:0]
            self.bank.append_rows(name, torch.zeros_like(rows_nD) if zero else rows_nD, self.owner)
            if self.parent is None:  # the padding row is the root's, too; nothing ever reaches it
                self.bank.owners[name][0] = self.owner

    def _growing(self) -> list[str]:
        return sorted(name for name in self.bank.tables if grows(name))

    def _left(self) -> dict[str, Tensor]:
        """The values that the line of parents left in the weights, the nearest one's first."""
        assert self.parent is not None
        found = {name: self.parent.private_value(LEFT + name) for name in self.bank.prunable}
        if all(value is None for value in found.values()):
            raise ConfigError(
                "nothing was left in the free weights: no task in the line has kept what it released. Take start: zero, or let "
                "the parent be learnt with release: keep"
            )
        return {name: value for name, value in found.items() if value is not None}

    def _free_names(self) -> list[str]:
        return [name for name in self.bank.prunable if bool((self.bank.owners[name] == FREE).any())]

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
