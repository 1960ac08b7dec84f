"""Strategies that share the encoder: worked answers of their penalties, what earlier tasks would see, and less forgetting."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lifelong.continual.past import Earlier, Seen, known_only, take_users
from lifelong.continual.phase import Phase
from lifelong.continual.rehearsal import again, endless
from lifelong.continual.strategies.base import Strategy
from lifelong.continual.strategies.ewc import EWC, Pull, fisher
from lifelong.continual.strategies.lwf import Distillation, LwF
from lifelong.continual.strategies.replay import Replay, remember, size
from lifelong.continual.view import View, render
from lifelong.core.config import build
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.types import Batch, History
from lifelong.living import LivingModel
from lifelong.model.task import Task
from lifelong.testing import strategies as contract

SHARING = ("sequential", "joint", "replay", "lwf", "ewc")


class Pupil(contract.World):
    """A world whose optimizer is a fair one: it learns the task's examples."""

    def train(self, overlay, phase):
        """80 steps, head included."""
        net = contract.TaskNet(self.design, phase.view.rows, None)
        head = self.heads[phase.view.owner].requires_grad_(True)
        optimizer = torch.optim.Adam(
            [*overlay.theta.values(), *head.parameters(), *contract.trained_beside(phase)], 0.02
        )
        for step in range(80):
            batch = next(contract.examples(phase.view, step % 8))
            weights = overlay.weights()
            states = functional_call(net, weights, (contract._states, batch.history))
            loss = nn.functional.cross_entropy(head(states[:, -1]), batch.targets_N)
            loss = loss + (0.0 if phase.penalty is None else phase.penalty(weights, batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        head.requires_grad_(False)
        overlay.store()

    @torch.no_grad()
    def loss(self, view):
        """The task's loss on examples that it never saw."""
        task = contract.Remembered(self, view).eval()
        return float(task.loss(render(self.bank, view, self.names), next(contract.examples(view, 99))))


@pytest.fixture(scope="module")
def learnt():
    torch.manual_seed(0)
    world = Pupil()
    world.grow(contract.make("conure", keep=1.0, min_share=0.0), None, contract.ROWS - 1)
    assert world.loss(world.views[0]) < 0.2
    return world


@pytest.fixture(scope="module")
def forgotten(learnt):
    """How much the first task's loss rises when the second comes by sequential training."""
    return _rise(learnt, "sequential")


def _rise(learnt, name):
    torch.manual_seed(1)
    world = copy.deepcopy(learnt)
    before = world.loss(world.views[0])
    child = world.grow(contract.make(name), world.views[0])
    assert world.loss(child) < 0.8  # chance is 1.1
    return world.loss(world.views[0]) - before


@pytest.mark.parametrize("name", [name for name in SHARING if name != "sequential"])
def test_it_forgets_less_than_sequential_training_and_learns(learnt, forgotten, name):
    assert forgotten > 0.5
    assert _rise(learnt, name) < 0.7 * forgotten


@pytest.mark.parametrize("name", SHARING)
def test_it_is_refused_without_leave_to_forget(name):
    data = {"dataset": "synthetic", "label": "label_0"}
    task = Task.from_values({"name": "more", "head": "classification", "data": data, "strategy": name}, "task more")
    model = SimpleNamespace(members={"first": None}, store=None)
    with pytest.raises(UsageError, match="allow-forgetting"):
        LivingModel._may_add(model, task, False)
    LivingModel._may_add(model, task, True)


@pytest.mark.parametrize("name", SHARING)
def test_a_models_first_task_cannot_share(name):
    with pytest.raises(ConfigError, match="first task has no parent"):
        next(contract.make(name).grow(contract.World().site(None, 4), "first"))


@pytest.mark.parametrize("name", [name for name in SHARING if name != "sequential"])
def test_without_earlier_tasks_at_hand_it_says_so(name):
    world = contract.grown(contract.make("probe"), 0)
    site = world.site(world.views[0])
    site.past = ()
    with pytest.raises(ConfigError, match="use sequential"):
        next(contract.make(name).grow(site, "task"))


def test_the_pull_by_hand():
    pull = Pull({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([4.0, 0.0])}, strength=10.0)
    assert float(pull({"w": torch.tensor([1.5, 9.0])}, None)) == 10 / 2 * 4 * 0.25
    assert float(pull({"w": torch.tensor([1.0, 2.0])}, None)) == 0.0


class Line(Earlier):
    """One weight w; the answer is w x, the loss (w x - y)^2 / 2 with x in the window, so its gradient is (w x - y) x."""

    def __init__(self, xs, ys):
        super().__init__()
        self.name, self.view, self.xs, self.ys = "line", View(1, None, 10), xs, ys

    @property
    def own(self):
        return {}

    def forward(self, weights, history):
        return weights["w"] * history.window_BL[:, -1:].float()

    def loss(self, weights, batch):
        return (self(weights, batch.history)[:, 0] - batch.targets_N).square().mean() / 2

    def batches(self, number):
        count = len(self.xs)
        yield Batch(History(self.xs[:, None]), torch.arange(count), torch.zeros(count, dtype=torch.long), self.ys)

    def validated(self, weights):
        return 0.0


def test_the_fisher_information_by_hand():
    line = Line(torch.tensor([1, 2, 3]), torch.tensor([0.0, 0.0, 9.0]))
    gradients = [1.0, 4.0, 0.0]  # at w = 3 - 2 = 1: 1 x 1, 2 x 2; the third would be (3 - 9) x 3
    found = fisher(line, lambda weights: weights, {"w": torch.tensor(1.0)}, users=2)
    assert float(found["w"]) == (gradients[0] ** 2 + gradients[1] ** 2) / 2
    all_three = fisher(line, lambda weights: weights, {"w": torch.tensor(1.0)}, users=9)
    assert float(all_three["w"]) == pytest.approx((1 + 16 + 18**2) / 3)


def test_distillation_is_zero_at_the_start_and_by_hand_elsewhere():
    options = LwF.Config(strength=2.0, temperature=1.0)
    line = Line(torch.tensor([1]), torch.tensor([0.0]))
    line.forward = lambda weights, history: torch.stack([weights["w"], -weights["w"]])[None]
    penalty = Distillation([line], [lambda weights: weights], {"w": torch.tensor(0.0)}, options)
    batch = next(line.batches(0))
    assert float(penalty({"w": torch.tensor(0.0)}, batch)) == 0.0
    current = torch.tensor([1.0, -1.0]).log_softmax(0)
    by_hand = 2.0 * sum(0.5 * (torch.log(torch.tensor(0.5)) - float(value)) for value in current)
    assert float(penalty({"w": torch.tensor(1.0)}, batch)) == pytest.approx(float(by_hand))


def test_the_teacher_stays_while_the_heads_train(learnt):
    world = copy.deepcopy(learnt)
    site = world.site(world.views[0])
    penalty = next(contract.make("lwf").grow(site, "task")).penalty.eval()
    weights, batch = site.seen_by_parent(), next(contract.examples(world.views[0], 5))
    assert float(penalty(weights, batch).detach()) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        world.heads[1].weight.add_(torch.randn(contract.CLASSES, contract.WIDTH))
    assert float(penalty(weights, batch).detach()) > 0.01


@pytest.mark.parametrize("budget", [600.0, 1500.0, 4000.0, 1e9])
def test_the_memory_keeps_to_its_budget_and_uses_it(learnt, budget):
    task = contract.Remembered(learnt, learnt.views[0])
    memory = remember(task, budget)
    one = size(take_users(memory[0], 0, 1))
    everything = sum(size(batch) for batch in task.batches(0))
    used = sum(size(batch) for batch in memory)
    assert min(budget, everything) - one < used <= budget
    assert [b.tolist() for b in remember(task, budget)[-1].history.window_BL] == [
        b.tolist() for b in memory[-1].history.window_BL
    ]


def test_a_budget_for_nobody_is_refused(learnt):
    with pytest.raises(ConfigError, match="raise budget_kb"):
        remember(contract.Remembered(learnt, learnt.views[0]), 10.0)


def test_lwf_refuses_answers_that_are_no_probabilities(learnt):
    world = copy.deepcopy(learnt)
    site = world.site(world.views[0])
    for earlier in site.past:
        earlier.answers = "number"
    with pytest.raises(ConfigError, match="answers number; use replay"):
        next(contract.make("lwf").grow(site, "task"))


def test_users_are_taken_with_their_points():
    points = {"rows_N": [0, 0, 1, 2], "positions_N": [1, 2, 2, 0], "targets_N": [5, 6, 7, 8]}
    batch = Batch(History(torch.arange(9).view(3, 3)), **{name: torch.tensor(value) for name, value in points.items()})
    taken = take_users(batch, 1, 3)
    assert taken.history.window_BL.tolist() == [[3, 4, 5], [6, 7, 8]]
    assert (taken.rows_N.tolist(), taken.positions_N.tolist(), taken.targets_N.tolist()) == ([0, 1], [2, 0], [7, 8])


def test_what_is_not_known_closes_up():
    window = torch.tensor([[0, 5, 1, 7, 2], [0, 0, 0, 0, 9]])
    assert known_only(History(window), torch.arange(10) < 3).window_BL.tolist() == [[0, 0, 0, 1, 2], [0, 0, 0, 0, 0]]


def test_draws_depend_on_the_epoch_alone(learnt):
    task = contract.Remembered(learnt, learnt.views[0])
    for draw in (endless(task), again(task, remember(task, 4000.0))):
        streams = [draw(epoch) for epoch in (1, 1, 2)]
        first, same, other = ([next(s).history.window_BL for _ in range(7)] for s in streams)
        assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
        assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("encoder", ["sasrec", "nextitnet"])
def test_what_an_earlier_task_would_see_is_what_it_sees_after_the_write_back(encoder):
    world = contract.World(encoder)
    root = world.grow(contract.make("conure", keep=0.5, min_share=0.0), None, contract.ROWS - 1)
    for name in ("conure", "probe", "peterrec", "finetune"):  # siblings, beside the line that is shared
        world.grow(contract.make(name, **({"min_share": 0.0} if name == "conure" else {})), root)
    site = world.site(root, 2)
    shared = site.share()
    for value in shared.private.values():
        value += 0.5
    foretold = [Seen(site.bank, root, view, world.names)(shared.private) for view in world.views]
    site.write_back(shared)
    for view, expected in zip(world.views, foretold, strict=True):
        found = render(site.bank, view, world.names)
        assert all(torch.equal(found[name], expected[name]) for name in world.names), view.owner


class Broken(Strategy):
    """Adds a penalty of that sort."""

    isolates = False

    def grow(self, site, task):
        view = site.share()
        ones = {name: torch.ones_like(value) for name, value in view.private.items()}
        yield Phase(view=view, label="train", penalty=self.config(view.private, ones, 1.0))
        site.write_back(view)
        return view


class Fickle(Pull):
    """Draws by its own counter and not by the number of the epoch."""

    def forward(self, weights, batch):
        self.strength += 1.0
        return super().forward(weights, batch)


class Deaf(Pull):
    """Pulls at nothing."""

    def forward(self, weights, batch):
        return 0.0 * super().forward(weights, batch)


@pytest.mark.parametrize(("penalty", "problem"), [(Fickle, "more than its number"), (Deaf, "moves no shared weight")])
def test_a_broken_penalty_is_caught(penalty, problem):
    with pytest.raises(AssertionError, match=problem):
        contract.check_penalty(Broken(penalty))


@pytest.mark.parametrize(
    ("strategy", "wrong"),
    [
        (EWC, {"strength": 0.0}),
        (EWC, {"users": 0}),
        (LwF, {"temperature": 0.0}),
        (LwF, {"heads": "new"}),
        (Replay, {"budget_kb": 0.0}),
        (Replay, {"strength": -1.0}),
    ],
)
def test_wrong_options_are_refused(strategy, wrong):
    with pytest.raises(ConfigError):
        build(strategy.Config, wrong, "strategy")
