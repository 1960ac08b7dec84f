"""Contract of a strategy: isolation under a hostile optimizer, children that start as their parents, honest capacity.

`check_strategy(strategy)` runs what applies; it needs no data and no training loop, so a strategy of yours is checked in a
second. Every check raises AssertionError saying what was broken.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.continual.bank import FREE, Bank, empty_bank
from lifelong.continual.overlay import Overlay
from lifelong.continual.past import Earlier, known_only
from lifelong.continual.phase import Phase, Weights
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Strategy
from lifelong.continual.view import ITEM_TABLE, View, render
from lifelong.core import registry
from lifelong.core.config import plain
from lifelong.core.fingerprint import tensors_hash
from lifelong.core.slot import Slot
from lifelong.core.types import Batch, History
from lifelong.model.network import Design, TaskNet, initial_values

ROWS, LENGTH, WIDTH, CLASSES = 23, 6, 8, 3


class World:
    """A tiny model that strategies grow in; `train` is a hostile optimizer, not a training loop."""

    def __init__(self, encoder: str = "sasrec") -> None:
        cls = registry.find("encoders", encoder)
        self.design = Design(encoder=encoder, options=plain(cls.Config(width=WIDTH)), length=LENGTH)
        self.bank: Bank = empty_bank(TaskNet(self.design, 1, None))
        self.views: list[View] = []
        self.heads: dict[int, nn.Linear] = {}
        self.names = TaskNet(self.design, 1, None).trunk_names()

    def site(self, parent: View | None, new_rows: int = 0) -> Site:
        """A place to grow for the next task."""
        rows = len(self.bank.owners[ITEM_TABLE]) + new_rows
        slots = {n: s.opening for n, s in TaskNet(self.design, 1, None).slots().items()}
        owner = len(self.views) + 1
        initial = lambda rows: initial_values(self.design, rows, owner)  # noqa: E731
        past = [Remembered(self, view) for view in self.views]
        return Site(self.bank.fork(), owner, parent, self.names, rows, new_rows, slots, initial, past)

    def grow(self, strategy: Strategy, parent: View | None, new_rows: int = 0, train: bool = True) -> View:
        """Let the strategy take a task in, under the hostile optimizer (or without any training)."""
        site = self.site(parent, new_rows)
        self.heads[site.owner] = _head(site.owner)
        phases = strategy.grow(site, f"task{len(self.views)}")
        while True:
            try:
                phase = next(phases)
            except StopIteration as stop:
                self.bank = site.bank
                self.views.append(stop.value)
                return stop.value
            if train:
                self.train(Overlay(site.bank, phase.view, site.claims, self.names), phase)

    def newest(self) -> View:
        """The newest view on which another task can stand: what sits in a task's slots is no child's. Where every view has
        something there, the newest one."""
        return [*self.views[-1:], *(view for view in self.views if not view.parts)][-1]

    def train(self, overlay: Overlay, phase: Phase) -> None:
        """Large steps, heavy weight decay, momentum, and a loss that pulls at every weight and every part."""
        net = TaskNet(self.design, phase.view.rows, None)
        net.sit(phase.view.parts)
        trained = [*trained_beside(phase), nn.Parameter(torch.ones(1))]  # a strategy may train nothing else
        optimizer = torch.optim.AdamW([*overlay.theta.values(), *trained], lr=0.3, weight_decay=0.5)
        batch = next(examples(phase.view, 0))
        for _ in range(3):
            optimizer.zero_grad()
            weights = overlay.weights()
            states = functional_call(net, weights, (_states, batch.history))
            loss = trained[-1].sum() * states.square().sum() + sum(w.sum() for w in weights.values())
            if phase.penalty is not None:
                loss = loss + phase.penalty(weights, batch)
            loss.backward()
            optimizer.step()
        overlay.store()

    def states(self, view: View) -> Tensor:
        """What a view computes for a fixed set of histories, (16, LENGTH, 8)."""
        net = TaskNet(self.design, view.rows, None).eval()
        net.sit(view.parts)
        history = History(torch.arange(16 * LENGTH).view(16, LENGTH) % (ROWS - 1) + 1)
        with torch.no_grad():
            return functional_call(net, render(self.bank, view, self.names), (_states, history))

    def fingerprint(self, view: View) -> str:
        """SHA-256 of everything the view's trunk computes with."""
        return tensors_hash(render(self.bank, view, self.names))


class Remembered(Earlier):
    """An earlier task of a World: to which of CLASSES classes a history belongs, by a linear head."""

    def __init__(self, world: World, view: View) -> None:
        super().__init__()
        self.name, self.view, self.head = f"task{view.owner - 1}", view, world.heads[view.owner]
        self.net = TaskNet(world.design, view.rows, None).requires_grad_(False)
        self.net.sit(view.parts)

    @property
    def own(self) -> dict[str, nn.Parameter]:
        """The head and what sits in the slots."""
        parts = {name: p for name, p in self.net.named_parameters() if ".part." in name}
        return {**{f"head.{name}": parameter for name, parameter in self.head.named_parameters()}, **parts}

    @property
    def slots(self) -> dict[str, Slot]:
        """Those of its network."""
        return self.net.slots()

    def forward(self, weights: Weights, history: History) -> Tensor:
        """Logits (B, CLASSES)."""
        known_V = torch.arange(int(history.window_BL.max()) + 1) < self.view.rows
        known = known_only(history, known_V)
        return self.head(functional_call(self.net, dict(weights), (_states, known))[:, -1])

    def loss(self, weights: Weights, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self(weights, batch.history), batch.targets_N)

    def batches(self, number: int) -> Iterator[Batch]:
        """Three of them."""
        return examples(self.view, number)

    @torch.no_grad()
    def validated(self, weights: Weights) -> float:
        """Minus the cross-entropy of a fourth batch."""
        return -float(self.loss(weights, next(examples(self.view, 999))))


def examples(view: View, number: int) -> Iterator[Batch]:
    """Three batches of 16 random histories; the class follows from the last event, for every other task in another way."""
    random = torch.Generator().manual_seed(1000 * view.owner + number)
    for _ in range(3):
        window_BL = torch.randint(1, view.rows, (16, LENGTH), generator=random)
        last_B = window_BL[:, -1]
        targets_N = last_B % CLASSES if view.owner % 2 else last_B * CLASSES // view.rows
        yield Batch(History(window_BL), torch.arange(16), torch.full((16,), LENGTH - 1), targets_N)


def trained_beside(phase: Phase) -> list[nn.Parameter]:
    """What a phase trains apart from the overlay and the new head: parts, and what its penalty lets train."""
    parts = [p for part in phase.view.parts.values() for p in part.parameters()]
    beside = [] if phase.penalty is None else [p for p in phase.penalty.parameters() if p.requires_grad]
    return [*parts, *beside]


def _head(owner: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(owner)
        return nn.Linear(WIDTH, CLASSES).requires_grad_(False)


class _states:
    @staticmethod
    def loss(net: TaskNet, history: History) -> Tensor:
        return net.states(history)


def grown(strategy: Strategy, tasks: int = 3, encoder: str = "sasrec") -> World:
    """A world with a root by conure and then `tasks` tasks by the strategy, each on the first one or on the one before."""
    world = World(encoder)
    root = world.grow(_conure(), None, ROWS - 1)
    for number in range(tasks):
        world.grow(strategy, root if number % 2 == 0 else world.newest())
    return world


def check_isolation(strategy: Strategy, encoder: str = "sasrec") -> None:
    """No task changes one bit of an earlier one, whatever the optimizer does; a strategy that says it does not isolate must
    be seen to change one, or its label is wrong."""
    world = World(encoder)
    root = world.grow(_conure(), None, ROWS - 1)
    changed = 0
    for number in range(3):
        before = [(world.fingerprint(v), world.states(v)) for v in world.views]
        world.grow(strategy, root if number % 2 == 0 else world.newest(), new_rows=number)
        for view, (fingerprint, states) in zip(world.views, before, strict=False):
            same = world.fingerprint(view) == fingerprint and torch.equal(world.states(view), states)
            changed += not same
            if strategy.isolates:
                assert same, f"task {number + 2} changed what task {view.owner} computes"
    assert strategy.isolates or changed, "it says that it does not isolate, yet changed nothing"


def check_owners(strategy: Strategy) -> None:
    """Every weight has one owner that never changes hands, and what is free is zero."""
    world = grown(strategy, 1)
    before = {name: owners.clone() for name, owners in world.bank.owners.items()}
    world.grow(strategy, world.views[0])
    for name, owners in world.bank.owners.items():
        sealed = before[name] != FREE
        assert torch.equal(owners[: len(before[name])][sealed], before[name][sealed]), (
            f"{name}: sealed weights changed hands"
        )
        if name not in world.bank.tables:
            assert not world.bank.values[name][owners == FREE].any(), f"{name}: a free weight is not zero"


def check_start(strategy: Strategy) -> None:
    """Before its first step a child computes what its parent computes, bit for bit (strategies that read their parent)."""
    world = grown(strategy, 1)
    if all(view.parts for view in world.views):  # nothing bare is left: then it is about the first that is added
        world = grown(strategy, 0)
    parent = world.newest()
    child = world.grow(strategy, parent, train=False)
    if not child.alone or strategy.__module__.endswith("finetune"):
        assert torch.equal(world.states(child), world.states(parent)), "a child does not start as its parent"


def check_lineage(strategy: Strategy) -> None:
    """A task forked from the root does not see its siblings' weights."""
    world = grown(strategy, 1)
    fork = world.grow(strategy, world.views[0])
    assert 2 not in fork.lineage, "a task sees the weights of its sibling"


def check_failure_leaves_nothing(strategy: Strategy) -> None:
    """A strategy that is stopped half-way has changed neither the bank nor a view."""
    world = grown(strategy, 1)
    before = [world.fingerprint(v) for v in world.views]
    site = world.site(world.newest())
    phase = next(strategy.grow(site, "stopped"))
    world.train(Overlay(site.bank, phase.view, site.claims, world.names), phase)
    assert [world.fingerprint(v) for v in world.views] == before, "an abandoned task left a trace"


def check_penalty(strategy: Strategy) -> None:
    """What is added to the loss is a finite scalar that moves the shared weights, and is the same when an epoch begins anew."""
    world = grown(strategy, 1)
    site = world.site(world.newest())
    phase = next(strategy.grow(site, "task"))
    if phase.penalty is None:
        return
    overlay, batch = Overlay(site.bank, phase.view, site.claims, world.names), next(examples(phase.view, 0))
    penalty, values = phase.penalty.eval(), []
    with torch.no_grad():
        for theta in overlay.theta.values():
            theta.add_(0.1)
    for epoch in (0, 2, 2):
        penalty.start(epoch)
        values.append(penalty(overlay.weights(), batch))
    assert values[0].numel() == 1, f"the penalty has shape {tuple(values[0].shape)}, it must be a scalar"
    assert bool(values[0].isfinite()), f"the penalty is {values[0]}"
    assert torch.equal(values[1], values[2]), "the penalty of an epoch depends on more than its number"
    moved = torch.autograd.grad(values[2], list(overlay.theta.values()), allow_unused=True)
    assert any(gradient is not None and bool(gradient.any()) for gradient in moved), (
        "the penalty moves no shared weight"
    )


STRATEGY_CHECKS: list[Callable[[Strategy], None]] = [
    check_isolation,
    check_owners,
    check_start,
    check_lineage,
    check_failure_leaves_nothing,
    check_penalty,
]


def check_strategy(strategy: Strategy) -> None:
    """All checks; AssertionError says which promise is broken."""
    for check in STRATEGY_CHECKS:
        check(strategy)


def make(name: str, **options: object) -> Strategy:
    """A strategy by its YAML name, `package.module:Class` included."""
    _, cls, config = registry.make_config("strategies", {"name": name, **options}, "strategy")
    return cls(config)


def _conure() -> Strategy:
    return make("conure", keep=0.4, min_share=0.0)
