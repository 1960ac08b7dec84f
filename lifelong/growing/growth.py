"""Taking one task in: a fork of the bank, the strategy's phases through the one training loop, and a sealed member."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.asking.evaluation import validation_score
from lifelong.continual.bank import Bank
from lifelong.continual.parts.base import Part
from lifelong.continual.past import Earlier
from lifelong.continual.phase import Phase
from lifelong.continual.site import Initial, Site
from lifelong.continual.view import ITEM_TABLE, View, render
from lifelong.core.compute import Compute
from lifelong.core.progress import Progress
from lifelong.core.types import Batch
from lifelong.growing.making import equipped, make_feed, make_objective, make_strategy, negatives_of
from lifelong.growing.resume import Resume
from lifelong.growing.starting import FirstValues, WithEncoded, start_bias, start_head
from lifelong.growing.training import CurvePoint, Job, fit, trainable_count
from lifelong.items.base import ItemEncoder
from lifelong.model.cases import Cases
from lifelong.model.contents import Encoding, ItemSource
from lifelong.model.member import Member, skeleton
from lifelong.model.network import Design, TaskNet
from lifelong.model.seen import Seen, seen_in
from lifelong.model.task import Task
from lifelong.parallel.group import ALONE, Group

SPARSE_FROM = 1 << 21
"""Numbers in a table from which on its dense gradient and update cost more than sorting the rows of a batch."""


@dataclass(frozen=True)
class Ground:
    """What a task grows on: the model as it stands, the number that will own what the task claims, `past`, which makes the
    earlier tasks out of the number of item rows for a strategy that changes them, and `source`, what the items are, where the
    model reads them by their content."""

    design: Design
    bank: Bank
    parent: Member | None
    owner: int
    past: Callable[[int], Sequence[Earlier]] = lambda rows: []
    source: ItemSource | None = None


class Growth:
    """One task while it grows. Nothing outside this object changes until the model takes `site.bank` and the member over."""

    def __init__(
        self, ground: Ground, task: Task, cases: Cases, seed: int, compute: Compute, group: Group = ALONE
    ) -> None:
        self.ground, self.task, self.cases, self.seed = ground, task, cases, seed
        self.compute, self.group = compute, group
        self.design, self.parent = ground.design, ground.parent
        self.strategy = make_strategy(task)
        self.negatives = negatives_of(task, cases)
        self.first_row = len(ground.bank.owners[ITEM_TABLE])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = self._network(self.first_row + len(cases.new_items))
        self.names = self.net.trunk_names()
        self.site = self._site(self.first_row + len(cases.new_items))
        self.phases = self.strategy.grow(self.site, task.name)
        self.seconds = 0.0
        self.trained = 0
        self.curve: list[CurvePoint] = []

    def _network(self, rows: int) -> TaskNet:
        """The task's network with the values that it begins with where no weights of the bank come to lie."""
        view = View(self.ground.owner, self.parent.view if self.parent else None, rows)
        encoder = self._encoder(rows)
        net = skeleton(self.design, view, self.task, self.cases.catalogue, self.cases.known, encoder)
        if net.head is not None:
            net.head.prepare(torch.from_numpy(self.cases.train.targets_N))
        rows_only = self.negatives is not None or self.task.data.label is not None
        _choose_sparse(net, rows_only and self.strategy.isolates)  # penalties look at all rows
        return net

    def _site(self, rows: int) -> Site:
        """What the strategy works on: a fork of the bank, names, slots, first values, earlier tasks."""
        ground = self.ground
        return Site(
            bank=ground.bank.fork(),
            owner=ground.owner,
            parent=self.parent.view if self.parent else None,
            names=self.names if self.net.content is None else [*self.names, ITEM_TABLE],
            rows=rows,
            new_rows=len(self.cases.new_items),
            slots={name: slot.opening for name, slot in self.net.slots().items() if slot.part is None},
            initial=self._initial(),
            past=() if self.strategy.isolates else ground.past(rows),
        )

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
        self.tell_cost(job)
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

    def tell_cost(self, job: Job) -> None:
        """Say, once the first phase is open, what reading the items adds to an epoch; nothing of a small catalogue."""
        content, source = self.net.content, self.ground.source
        if content is None or source is None or not source.large:
            return
        batch = next(iter(job.feed.epoch(0)))
        rows = self.net.rows_of(batch, job.objective) if isinstance(batch, Batch) else batch.history.window_BL
        steps = job.feed.batches_per_epoch()
        source.tell_cost(content, len(rows.unique()), steps, fresh=not self.strategy.from_parent)

    def under(self, strategy: Any) -> "Growth":
        """The same task in the same place from the start, under another strategy, which must isolate."""
        ground, task = replace(self.ground, past=lambda rows: []), replace(self.task, strategy=strategy)
        return Growth(ground, task, self.cases, self.seed, self.compute, self.group)

    def free_afterwards(self) -> float:
        """Share of the prunable weights that nobody owns when the phases that are open or to come are over, found without
        training any: it ends this growth."""
        for _ in self.phases:
            pass
        return self.site.free_share()

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

    def job(self) -> Job:
        """What all phases have in common."""
        metric = self.task.measured_by[0]
        objective = equipped(make_objective(self.task), self.net.user_width, self.seed)
        objective.need(self.net.encoder)
        return Job(
            net=self.net,
            objective=objective,
            feed=make_feed(self.task, self.cases, self.design, self.seed, self.negatives),
            validate=lambda net: _validation(net, self.cases, metric, self.design.past, self.group),
            fit=self.task.fit,
            seed=self.seed,
            names=self.names,
            fixed=frozenset({ITEM_TABLE} if self.design.items else ()),
            start=self._start,
            compute=self.compute,
            group=self.group,
        )

    def _start(self, net: TaskNet) -> None:
        if self.design.items:
            start_bias(net, self.cases.train.targets_N)
        if (self.parent and self.strategy.from_parent) or (net.head and net.head.starts_alone):
            feed = make_feed(self.task, self.cases, self.design, self.seed, None)
            start_head(net, self.cases, feed, self.design.past, self.seed)

    def _encoder(self, rows: int) -> ItemEncoder | None:
        """What encodes items, where this task trains it."""
        if self.ground.source is None or not (self.parent is None or self.strategy.trains_items):
            return None
        known = None if self.parent is None else self._parents_table()
        return self.ground.source.encoder(_width(self.design), rows, known, fresh=not self.strategy.from_parent)

    def _parents_table(self) -> Tensor:
        assert self.parent is not None
        return render(self.ground.bank, self.parent.view, [ITEM_TABLE])[ITEM_TABLE]

    def _initial(self) -> Initial:
        alone = self.parent is None or not self.strategy.from_parent
        values = FirstValues(self.design, self.cases, self.seed, alone=alone)
        if self.ground.source is None or self.parent is None or self.net.content is not None:
            return values
        return WithEncoded(values, self.ground.source, self._parents_table())

    def _seal_items(self, view: View) -> Encoding | None:
        """Keep the vectors of the items as they stand in place of the table's values, and of what made them whatever is not
        the parents' (all of it, where the task stands alone)."""
        content, initial = self.net.content, self.site.initial
        if content is None:
            found = self._not_inherited(initial.stored) if isinstance(initial, WithEncoded) else {}
            taken = {name: value for name, value in found.items() if "statistics." in name}  # of another data set
            return Encoding(taken) if taken else None
        table_VD = content.settle().detach().cpu().clone()
        if self.parent is None and ITEM_TABLE not in view.private:
            self.site.bank.write(ITEM_TABLE, self.site.bank.owners[ITEM_TABLE] == self.site.owner, table_VD)
        else:
            view.private[ITEM_TABLE] = table_VD
        seats = {name: slot.part for name, slot in self.net.slots().items() if name.startswith("items.")}
        inside = {name: part.spec() for name, part in seats.items() if isinstance(part, Part)}
        view.parts = {slot: part for slot, part in view.parts.items() if slot not in inside}
        made = {name: value.detach().cpu().clone() for name, value in content.stored().items()}
        return Encoding(made if view.alone else self._not_inherited(made), inside)

    def _not_inherited(self, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What of an encoder's tensors is other than the line of parents has it."""
        known = {} if self.ground.source is None else self.ground.source.learnt
        return {n: v.cpu() for n, v in made.items() if n not in known or not _alike(v.cpu(), known[n])}

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
