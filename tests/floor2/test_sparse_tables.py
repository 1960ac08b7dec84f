"""Large tables are trained row by row: the rows of a batch and no others, and of those only what the task owns."""

import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.adding import DEFAULT
from lifelong.continual.overlay import Overlay
from lifelong.core.progress import Silent
from lifelong.growing import growth as growing
from lifelong.growing.resume import Resume
from lifelong.model.member import mount
from lifelong.model.task import as_task

SAMPLED = {"name": "next_item", "negatives": 8, "full_softmax_up_to": 2}


@pytest.fixture
def sparse(monkeypatch):
    monkeypatch.setattr(growing, "SPARSE_FROM", 1)


@pytest.fixture
def grown(tmp_path, cache, sparse):
    return LivingModel.pretrain(tmp_path / "model", worlds.first(head=SAMPLED), cache=cache)


def test_it_learns_what_the_dense_table_learns(tmp_path, cache, grown, monkeypatch):
    monkeypatch.setattr(growing, "SPARSE_FROM", 1 << 40)
    dense = LivingModel.pretrain(tmp_path / "dense", worlds.first(head=SAMPLED), cache=cache)
    losses = [[p["loss"] for p in m.members["next"].record["curve"]] for m in (grown, dense)]
    assert (
        losses[0] != losses[1]
    )  # rows that a batch does not touch are neither decayed nor carried on by their moments
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_task_with_items_of_its_own_moves_no_row_of_another(grown):
    before = grown.bank.values["items.weight"].clone()
    grown.add_task(worlds.wider(head=SAMPLED))
    after = grown.bank.values["items.weight"]
    assert torch.equal(after[: len(before)], before)
    assert not torch.equal(after[len(before) :], torch.zeros_like(after[len(before) :]))
    assert grown.verify().ok


def test_gradients_that_are_not_kept_to_the_claims_are_caught(grown, monkeypatch):
    """Fault: copies of sealed rows move while the task trains. They are never stored, so what is sealed is not what was
    validated, and scores otherwise."""
    told, given = trained(grown)
    assert given == pytest.approx(told, abs=1e-9)
    monkeypatch.setattr(Overlay, "keep_to_claims", lambda self: None)
    told, given = trained(grown)
    assert given != pytest.approx(told, abs=1e-9)


def trained(model):
    """The best validation score that a task's training told of, and that of the task as it would be sealed."""
    growth = model._growth(
        as_task(worlds.wider(head=SAMPLED, strategy={"name": "conure", "keep": 1.0})), 0, DEFAULT, Silent()
    )
    member = growth.run(Silent(), Resume(None))
    net = mount(model.design, growth.site.bank, member, growth.cases.known)
    score = growing.validation_score(net, growth.cases, growth.task.measured_by[0])
    return max(p["valid"] for p in member.record["curve"]), score


def test_the_long_term_table_is_never_sparse(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(growing, "SPARSE_FROM", 1)
    model = LivingModel.pretrain(tmp_path / "model", worlds.first(past=20, longterm={"width": 4}), cache=cache)
    task = worlds.label(0, data={**worlds.label(0)["data"], "inputs": {"domain": ["domain_0", "domain_1"]}})
    assert model.add_task(task).changed == {"next": 0}
