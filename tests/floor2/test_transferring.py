"""What travels from a source model to other data: policies in one table, paired, resumable, the source untouched."""

import json

import pytest
import toy_items
import worlds

from lifelong import LivingModel
from lifelong.core.errors import ConfigError, UsageError
from lifelong.model.task import as_task
from lifelong.transferring import POLICIES, run_transfer

TARGET = {"dataset": worlds.DATA, "inputs": {"domain": "domain_1"}, "split": "time"}


@pytest.fixture(scope="module")
def source(tmp_path_factory, cache):
    path = tmp_path_factory.mktemp("transfer") / "model"
    LivingModel.pretrain(path, worlds.first(items=toy_items.SPEC), cache=cache)
    return path


def target(**changes):
    return as_task(
        {"name": "there", "parent": "next", "head": "next_item", "data": TARGET, "fit": {"epochs": 2}, **changes}
    )


@pytest.fixture(scope="module")
def done(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return run_transfer(source, [target()], out), out


def test_every_policy_has_its_row(done, source):
    document, out = done
    rows = document["targets"]["there"]["policies"]
    assert list(rows) == list(POLICIES)
    assert json.loads((out / "transfer.json").read_text()) == document
    assert rows["zero-shot"]["trained"] == 0
    assert 0 < rows["adapters"]["share"] < rows["full"]["share"] <= 1
    assert rows["ids"]["over_ids"]["ndcg@10"]["mean"] == 0.0
    assert all(0 <= row["values"]["ndcg@10"]["mean"] <= 1 for row in rows.values())
    assert {"chance", "popularity"} <= set(document["targets"]["there"]["baselines"])
    assert [v.number for v in LivingModel.open(source).store.log()] == [1]


def test_a_run_goes_on_where_it_was(done, source, monkeypatch):
    document, out = done
    from lifelong import transferring

    monkeypatch.setattr(transferring.Run, "_learn", None)
    assert run_transfer(source, [target()], out) == document
    with pytest.raises(TypeError):
        run_transfer(source, [target(fit={"epochs": 1})], out)


def test_nothing_of_the_target_is_in_a_zero_shot(source, tmp_path):
    """It stays what it is whatever the target's training events are; the planted fault trains."""
    from lifelong.transferring import Run

    run = Run(LivingModel.open(source), tmp_path, ["zero-shot"], 1, None, _Silent())
    growth, _ = run._growth(target(), "zero-shot", 0)
    member = growth.untrained()
    assert not member.own["head.bias"].any()
    assert growth.trained == 0


def test_what_cannot_be_compared_is_refused(source, tmp_path):
    with pytest.raises(ConfigError, match="transfer compares rankings"):
        run_transfer(source, [as_task(worlds.label(0))], tmp_path)
    with pytest.raises(UsageError, match="no policy 'half'"):
        run_transfer(source, [target()], tmp_path, policies=["half"])


class _Silent:
    def say(self, text):
        """Nothing."""
