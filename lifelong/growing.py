"""Taking one task in: a fork of the bank, the strategy's phases through the one training loop, and a sealed member."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from lifelong.cases import Cases, ItemRows
from lifelong.contents import Encoding, ItemSource
from lifelong.continual.bank import Bank
from lifelong.continual.parts.base import Part
from lifelong.continual.past import Earlier
from lifelong.continual.phase import Phase
from lifelong.continual.site import Initial, Site
from lifelong.continual.strategies.base import Strategy
from lifelong.continual.view import ITEM_TABLE, View, render
from lifelong.core import registry
from lifelong.core.compute import Compute
from lifelong.core.errors import ConfigError
from lifelong.core.progress import Progress
from lifelong.data.feeds import EventFeed, LabelFeed
from lifelong.data.negatives import NegativeSampler
from lifelong.entries import check_own
from lifelong.evaluation import validation_score
from lifelong.heads.base import Head
from lifelong.items.base import ItemEncoder
from lifelong.network import Design, TaskNet
from lifelong.objectives.base import Objective
from lifelong.parallel.group import ALONE, Group
from lifelong.privacy.seen import Seen, seen_in
from lifelong.resume import Resume
from lifelong.starting import FirstValues, WithEncoded, start_head
from lifelong.task import Task
from lifelong.training import CurvePoint, Feed, Job, fit, trainable_count

SPARSE_FROM = 1 << 21
"""Numbers in a table from which on its dense gradient and update cost more than sorting the rows of a batch."""


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
    net = _skeleton(design, member.view, member.task, member.catalogue, known)
    net.sit(make_parts(member.parts, net))
    check_own(member.own, net.own_tensors(), f"task {member.name}: weights")
    net.mount(render(bank, member.view, net.trunk_names()), member.own)
    return net


class Growth:
    """One task while it grows. Nothing outside this object changes until the model takes `bank` and `member()` over."""

    def __init__(
        self,
        design: Design,
        bank: Bank,
        parent: Member | None,
        owner: int,
        task: Task,
        cases: Cases,
        seed: int,
        compute: Compute,
        group: Group = ALONE,
        past: Callable[[int], Sequence[Earlier]] = lambda rows: [],
        source: ItemSource | None = None,
    ) -> None:
        """`past` makes the earlier tasks, for a strategy that changes them, out of the number of item rows; `source` says what
        the items are, where the model reads them by their content."""
        self.design, self.parent, self.task, self.cases, self.seed = design, parent, task, cases, seed
        self.compute, self.group, self._bank, self._source = compute, group, bank, source
        next_row = len(bank.owners[ITEM_TABLE])
        rows = next_row + len(cases.new_items)
        self.strategy = make_strategy(task)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            view = View(owner, parent.view if parent else None, rows)
            encoder = self._encoder(rows)
            self.net = _skeleton(design, view, task, cases.catalogue, cases.known, encoder)
            if self.net.head is not None:
                self.net.head.prepare(torch.from_numpy(cases.train.targets_N))
        self.negatives = _negatives(task, cases)
        rows_only = self.negatives is not None or task.data.label is not None
        _choose_sparse(self.net, rows_only and self.strategy.isolates)  # penalties look at all rows
        self.first_row = next_row
        self.names = self.net.trunk_names()
        self.site = Site(
            bank=bank.fork(),
            owner=owner,
            parent=view.parent,
            names=self.names if encoder is None else [*self.names, ITEM_TABLE],
            rows=rows,
            new_rows=len(cases.new_items),
            slots={name: slot.opening for name, slot in self.net.slots().items() if slot.part is None},
            initial=self._initial(),
            past=() if self.strategy.isolates else past(rows),
        )
        self.phases = self.strategy.grow(self.site, task.name)
        self.seconds = 0.0
        self.trained = 0
        self.curve: list[CurvePoint] = []

    def first_phase(self) -> Phase:
        """Open the view without training anything; raises what the strategy refuses (CapacityError)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            phase = next(self.phases)
        self.net.sit(phase.view.parts)
        self._open_items()
        return phase

    def _open_items(self) -> None:
        """Let train, of what encodes items, what the strategy opens and what sits in slots."""
        content = {} if self.net.content is None else dict(self.net.content.named_parameters(prefix="items"))
        itself = {name: parameter for name, parameter in content.items() if ".part." not in name}
        opened = set(self.strategy.opens_of_items(self.site, itself))
        for name, parameter in itself.items():
            parameter.requires_grad_(name in opened)

    def run(self, progress: Progress, resume: Resume) -> Member:
        """Train all phases and return the sealed member; `site.bank` is then the bank that holds it."""
        began = time.perf_counter()
        job, number, phase = self.job(), 0, self.first_phase()
        while True:
            self.trained = max(self.trained, trainable_count(phase, self.site, job))
            self.curve += fit(job, phase, number, self.site, progress, resume)
            try:
                phase, number = next(self.phases), number + 1
            except StopIteration as stop:
                view = stop.value
                break
        self.seconds = time.perf_counter() - began
        return self._member(view)

    def under(self, strategy: Any) -> "Growth":
        """The same task in the same place from the start, under another strategy, which must isolate."""
        task, owner = replace(self.task, strategy=strategy), self.site.owner
        return Growth(
            self.design,
            self._bank,
            self.parent,
            owner,
            task,
            self.cases,
            self.seed,
            self.compute,
            self.group,
            source=self._source,
        )

    def untrained(self) -> Member:
        """What `run` would return without any training: it stores as many bytes. Raises what the strategy refuses."""
        self.first_phase()
        while True:
            try:
                next(self.phases)
            except StopIteration as stop:
                return self._member(stop.value)

    def size(self) -> int:
        """How many numbers the network has that could be trained: trunk, head, parts, and all of what encodes items."""
        return sum(p.numel() for p in self.net.parameters())

    def bank_free(self) -> float:
        """Share of the prunable weights that nobody owns."""
        return self.site.free_share()

    def claimed_share(self) -> float:
        """Share of the prunable weights that the open phase may train."""
        bank = self.site.bank
        claimed = sum(int(c.sum()) for n, c in self.site.claims.items() if n not in bank.tables)
        return claimed / sum(bank.values[n].numel() for n in bank.prunable)

    def job(self) -> Job:
        """What all phases have in common."""
        metric = self.task.measured_by[0]
        return Job(
            net=self.net,
            objective=equipped(make_objective(self.task), self.net.user_width, self.seed),
            feed=make_feed(self.task, self.cases, self.design, self.seed, self.negatives),
            validate=lambda net: _validation(net, self.cases, metric, self.design.past, self.group),
            fit=self.task.fit,
            seed=self.seed,
            names=self.names,
            fixed=frozenset({ITEM_TABLE} if self.design.items else ()),
            start=self._start if self.parent and self.strategy.from_parent else None,
            compute=self.compute,
            group=self.group,
        )

    def _start(self, net: TaskNet) -> None:
        feed = make_feed(self.task, self.cases, self.design, self.seed, None)
        start_head(net, self.cases, feed, self.design.past, self.seed)

    def _encoder(self, rows: int) -> ItemEncoder | None:
        """What encodes items, where this task trains it."""
        if self._source is None or not (self.parent is None or self.strategy.trains_items):
            return None
        known = None if self.parent is None else self._parents_table()
        width, fresh = _width(self.design), not self.strategy.from_parent
        steps = len(self.cases.train) // (self.task.fit.batch_size * self.design.length) + 1
        self._source.tell_cost(width, self.task.fit, steps, fresh)
        return self._source.encoder(width, rows, known, fresh=fresh)

    def _parents_table(self) -> Tensor:
        assert self.parent is not None
        return render(self._bank, self.parent.view, [ITEM_TABLE])[ITEM_TABLE]

    def _initial(self) -> Initial:
        alone = self.parent is None or not self.strategy.from_parent
        values = FirstValues(self.design, self.cases, self.seed, alone=alone)
        if self._source is None or self.parent is None or self.net.content is not None:
            return values
        return WithEncoded(values, self._source, self._parents_table())

    def _seal_items(self, view: View) -> Encoding | None:
        """Keep the vectors of the items as they stand in place of the table's values, and of what made them whatever is not
        the parents' (all of it, where the task stands alone)."""
        content = self.net.content
        if content is None:
            return None
        table_VD = content.settle().detach().cpu().clone()
        if self.parent is None and ITEM_TABLE not in view.private:
            self.site.bank.write(ITEM_TABLE, self.site.bank.owners[ITEM_TABLE] == self.site.owner, table_VD)
        else:
            view.private[ITEM_TABLE] = table_VD
        seats = {name: slot.part for name, slot in self.net.slots().items() if name.startswith("items.")}
        inside = {name: part.spec() for name, part in seats.items() if isinstance(part, Part)}
        view.parts = {slot: part for slot, part in view.parts.items() if slot not in inside}
        made = {name: value.detach().cpu().clone() for name, value in content.stored().items()}
        inherited = {} if view.alone or self._source is None else self._source.learnt
        return Encoding({n: v for n, v in made.items() if n not in inherited or not _alike(v, inherited[n])}, inside)

    def _member(self, view: View) -> Member:
        encoding = self._seal_items(view)
        own = {name: value.detach().cpu().clone() for name, value in self.net.own_tensors().items()}
        parts = {slot: part.spec() for slot, part in view.parts.items()}
        record = {
            "seconds": round(self.seconds, 2),
            "trained": self.trained,
            "seed": self.seed,
            "curve": [vars(point) for point in self.curve],
            "data": self.cases.dataset_key,
            "left_out": dict(self.cases.left_out),
            "cases": {part: len(getattr(self.cases, part)) for part in ("train", "valid", "test")},
        }
        parent = self.parent.name if self.parent else None
        return Member(
            self.task,
            parent,
            view,
            own,
            self.cases.catalogue,
            self.cases.new_items,
            self.first_row,
            parts,
            record,
            encoding,
            self._seen(),
        )

    def _seen(self) -> Seen | None:
        ids, cases = self.cases.users, self.cases
        kept = ids is not None and self.task.data.people
        return seen_in(ids, cases.train.users_N, cases.valid.users_N) if kept else None


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same, bit for bit."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


def _validation(net: TaskNet, cases: Cases, metric: str, past: int, group: Group) -> float:
    """The score that selects, a mean over cases: every rank takes its share of them."""
    if group.world == 1 or len(cases.valid) < group.world:
        return validation_score(net, cases, metric, past)
    mine = np.arange(group.rank, len(cases.valid), group.world)
    mine_alone = replace(cases, valid=cases.valid.where(mine))
    return group.mean(validation_score(net, mine_alone, metric, past), len(mine))


def make_strategy(task: Task) -> Strategy:
    """The task's strategy with its options."""
    _, cls, config = registry.make_config("strategies", task.strategy, f"task {task.name}: strategy")
    return cls(config)


def make_objective(task: Task) -> Objective:
    """The task's objective, or its head's own."""
    spec = task.objective or registry.make_config("heads", task.head, "head")[1].objective
    _, cls, config = registry.make_config("objectives", spec, f"task {task.name}: objective")
    return cls(config)


def equipped(objective: Objective, width: int, seed: int) -> Objective:
    """The objective with what it trains for itself, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective.equip(width)
    return objective


def open_feed(task: Task, cases: Cases, design: Design, seed: int) -> Feed:
    """Training batches with the task's own negatives."""
    return make_feed(task, cases, design, seed, _negatives(task, cases))


def make_feed(task: Task, cases: Cases, design: Design, seed: int, negatives: NegativeSampler | None) -> Feed:
    """Training batches as the objective wants them supervised."""
    fit_, length, past = task.fit, design.length, design.past
    if make_objective(task).points == "users":
        return LabelFeed(cases.sequences, cases.train, length, fit_.batch_size, seed, fit_.windows_per_user, past)
    if task.data.label:
        raise ConfigError(f"task {task.name!r}: a label of users is trained by the objective supervised")
    return EventFeed(cases.sequences, cases.train, length, fit_.batch_size, seed, negatives, past)


def _negatives(task: Task, cases: Cases) -> NegativeSampler | None:
    config = registry.make_config("heads", task.head, "head")[2]
    if task.data.label or len(cases.catalogue) <= getattr(config, "full_softmax_up_to", len(cases.catalogue)):
        return None
    return NegativeSampler(cases.counts_C, config.negatives, config.in_batch)


def _choose_sparse(net: TaskNet, rows_only: bool) -> None:
    """Let large tables get gradients of the rows that a batch touches, where nothing looks at all rows. Not the long-term
    path's: sums of weighted rows have no such gradient."""
    beside = net.longterm and net.longterm.items
    for module in net.modules():
        if isinstance(module, nn.Embedding) and module is not beside and rows_only:
            module.sparse = module.weight.numel() >= SPARSE_FROM


def _width(design: Design) -> int:
    """D, before there is a network."""
    return int(design.options["width"])


def _skeleton(
    design: Design,
    view: View,
    task: Task,
    catalogue: tuple[str, ...],
    known: ItemRows,
    items: ItemEncoder | None = None,
) -> TaskNet:
    rows_C = known.rows_of(pa.array(catalogue, pa.string())) if task.data.label is None else np.zeros(1, np.int32)
    rows = torch.from_numpy(rows_C.astype(np.int64)) if len(rows_C) and rows_C.all() else None
    net = TaskNet(design, view.rows, None, table="meta", items=items)
    net.head = _make_head(task, net, catalogue, rows)
    return net


def _make_head(task: Task, net: TaskNet, catalogue: tuple[str, ...], rows_C: Tensor | None) -> Head:
    _, cls, config = registry.make_config("heads", task.head, f"task {task.name}: head", outside=False)
    return cls(config, net.width if cls.answers == "items" else net.user_width, catalogue, rows_C)


def make_parts(specs: dict[str, Any], net: TaskNet) -> dict[str, Part]:
    """What sits in the slots of a network, from its specs by slot; the values come later."""
    parts: dict[str, Part] = {}
    slots = net.slots()
    for slot, spec in specs.items():
        _, cls, config = registry.make_config("parts", spec, f"slot {slot}", outside=False)
        parts[slot] = cls.fitting(config, slots[slot].opening)
    return parts
