"""The promise: twelve tasks, one after another, and no earlier one changes by one bit; planted faults are caught."""

import pytest
import torch
import worlds
from torch import nn

from lifelong import LivingModel
from lifelong.asking.inference import Answering
from lifelong.continual.bank import Bank, owned_by
from lifelong.continual.overlay import Overlay
from lifelong.core.errors import ForgettingError
from lifelong.keeping import committing
from lifelong.keeping.sealing import REQUEST_SIZES, THREADS
from lifelong.keeping.verification import EVERY_WAY, compare, in_turn

KEEP_MUCH = {"name": "conure", "keep": 0.3, "min_share": 0.0}
TWELVE = [
    worlds.first(strategy=KEEP_MUCH),
    worlds.label(0, strategy=KEEP_MUCH),
    worlds.cross(1, strategy=KEEP_MUCH, parent="latest"),
    worlds.wider(2, strategy=KEEP_MUCH),
    worlds.label(1, strategy="probe", parent="cross_1"),
    worlds.label(2, strategy="finetune"),
    worlds.label(3, strategy=KEEP_MUCH, parent="latest"),
    worlds.cross(2, strategy="scratch"),
    worlds.wider(1, strategy=KEEP_MUCH, parent="latest"),
    worlds.label(4, strategy=KEEP_MUCH),
    worlds.label(5, strategy="examples.patch_strategy:PatchStrategy", parent="latest"),
    worlds.label(6, strategy=KEEP_MUCH, parent="latest"),
]


def grow(path, cache, tasks):
    """Add tasks in order; return how many probe values of how many task comparisons changed, by the fresh process."""
    model = LivingModel.pretrain(path, tasks[0], cache=cache)
    changed = compared = 0
    for task in tasks[1:]:
        before = model.version.body
        addition = model.add_task(task)
        assert set(addition.changed) == set(before["tasks"])
        changed += sum(addition.changed.values())
        compared += len(before["tasks"])
    return changed, compared


def test_twelve_tasks_and_not_one_bit(tmp_path, cache, monkeypatch):
    assert REQUEST_SIZES == (1, 7, 32, 100)
    assert THREADS == (1, 2)
    changed, compared = grow(tmp_path / "model", cache, TWELVE)
    assert (changed, compared) == (0, 66)
    model = LivingModel.open(tmp_path / "model", cache=cache)
    check = model.verify()
    assert check.ok
    assert check.checked["tasks"] == 12
    first = [v.body["tasks"]["next"] for v in model.store.log()]
    assert all(entry == first[0] for entry in first)


class GradientMasked(Overlay):
    """Fault: the whole tensor is trained with the gradients of sealed weights set to zero; the decay moves them."""

    def __init__(self, bank, view, claims, names, *where):
        super().__init__(bank, view, claims, names, *where)
        for name in claims:
            if name not in bank.tables:
                self.theta[name].register_hook(lambda g, mask=claims[name]: g * mask)

    def _overlaid(self, name, theta):
        return theta

    def store(self):
        for name, theta in self.theta.items():
            if name in self.claims and name not in self.bank.tables:
                self.bank.values[name] = theta.detach().clone()
                self.bank._rendered.clear()
        super().store()


def test_gradient_masking_is_caught(living, monkeypatch):
    monkeypatch.setattr("lifelong.growing.training.Overlay", GradientMasked)
    before = living.version
    with pytest.raises(ForgettingError, match="next"):
        living.add_task(worlds.cross(1, strategy=KEEP_MUCH, fit={"epochs": 2, "lr": 1e-2, "weight_decay": 0.1}))
    assert living.store.newest() == before
    assert list(living.members) == ["next"]


def test_a_product_in_place_of_a_choice_is_caught(tmp_path, cache, monkeypatch):
    def multiplied(self, name, seen, present):
        visible = owned_by(present, seen).float()
        return self.values[name][: len(present)] * (visible[:, None] if name in self.tables else visible)

    monkeypatch.setattr(Bank, "_render", multiplied)
    monkeypatch.setattr(committing, "check_candidate", lambda *a: {})
    model = LivingModel.pretrain(tmp_path / "model", worlds.first(), cache=cache)
    with pytest.raises(ForgettingError, match="next"):
        model.add_task(worlds.label(0, strategy=KEEP_MUCH))


def test_answers_without_a_fixed_chunk_are_caught(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(Answering, "_filled", lambda self, rows: rows)
    monkeypatch.setattr(Answering, "_in_chunks", lambda self, answer, history, width: answer(history))
    monkeypatch.setattr(committing, "check_candidate", lambda *a: {})
    first = worlds.first(encoder={"name": "sasrec", "width": 64, "blocks": 1})
    model = LivingModel.pretrain(tmp_path / "model", first, cache=cache)
    assert sum(compare(model.store, model.version.body, model.version.body).values()) > 0


def test_every_task_comes_by_every_way_of_asking():
    asked = {place: set(in_turn(place)) for place in range(6)}
    assert set().union(*asked.values()) == set(EVERY_WAY)
    assert all(100 in {size for size, _ in ways} for ways in asked.values())  # all probes, every time


def test_a_strategy_that_lies_is_refused_by_the_fresh_process(living, monkeypatch):
    """Fault: a parent's private norms are changed in a way that this process does not look at."""
    monkeypatch.setattr(committing, "changed_weights", lambda *a: [])
    monkeypatch.setattr(committing, "write_body", lying_body)
    with pytest.raises(ForgettingError, match="probe values"):
        living.add_task(worlds.label(0))
    assert LivingModel.open(living.store.path).verify().ok


def lying_body(store, loaded, before, written):
    private = loaded.members["next"].view.private
    name = next(n for n in private if n.endswith("norm.weight"))
    private[name] = private[name] * 1.0001
    return honest_body(store, loaded, before, list(loaded.members))


honest_body = committing.write_body


def test_what_is_mounted_cannot_be_trained(living):
    net = living.answering("next").net
    assert isinstance(net, nn.Module)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net.training


def test_answers_do_not_depend_on_the_request(living):
    histories = [[f"i{i:07d}" for i in range(0, 3 * (n % 9), 3)] for n in range(40)]
    whole = torch.from_numpy(living.represent(histories))
    one_by_one = torch.cat([torch.from_numpy(living.represent([h])) for h in histories])
    assert torch.equal(whole, one_by_one)


def test_another_numeric_stack_is_measured_and_is_no_false_alarm(living, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.verification.numeric_stack", lambda: {"device": "another"})
    check = living.verify()
    assert check.ok
    assert not check.same_stack
    assert check.difference == 0.0


def test_a_difference_beyond_the_tolerance_is_told_on_any_stack(living, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.verification.numeric_stack", lambda: {"device": "another"})
    users = Answering.users
    monkeypatch.setattr(Answering, "users", lambda self, history: users(self, history) * 1.001)
    check = living.verify()
    assert not check.ok
    assert check.difference > 1e-4
