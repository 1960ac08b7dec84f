"""A living model whose items are what their contents say: one encoder, vectors for newcomers at once, and no bit moves."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
import worlds
from toy_items import SPEC, Letters

from lifelong import LivingModel
from lifelong.continual.view import ITEM_TABLE, render
from lifelong.core.errors import ConfigError, DataError, UsageError
from lifelong.core.types import Contents
from lifelong.model.contents import contents_of
from lifelong.model.task import as_task


def first(**changes):
    return worlds.first(items=SPEC, **changes)


@pytest.fixture(scope="module")
def born(tmp_path_factory, cache):
    path = tmp_path_factory.mktemp("content") / "model"
    LivingModel.pretrain(path, first(), cache=cache)
    return path


@pytest.fixture
def living(born, tmp_path, cache):
    import shutil

    shutil.copytree(born, tmp_path / "model")
    return LivingModel.open(tmp_path / "model", cache=cache)


def table(model, task):
    return render(model.bank, model.members[task].view, [ITEM_TABLE])[ITEM_TABLE]


def made_of(model, task, rows):
    """The vectors that the task's own encoding gives, computed by hand."""
    from lifelong.model.contents import read_contents
    from lifelong.model.member import known_items, nearest_encoding

    tensors = nearest_encoding(model.members, task).tensors
    contents = read_contents(
        model.members[task].task, model.prepare(model.members[task].task), known_items(model.members, task)
    )
    encoder = Letters(Letters.Config(), model.design.options["width"], rows)
    encoder.open(contents, None, None, None)
    return encoder.counts_VF @ tensors["map.weight"].T + tensors["map.bias"]


def test_what_is_sealed_is_what_the_encoder_made(living):
    sealed_VD = table(living, "next")
    torch.testing.assert_close(sealed_VD[1:], made_of(living, "next", len(sealed_VD))[1:])
    assert not sealed_VD[0].any()


def test_it_learns_through_the_encoder(living):
    random = Letters(Letters.Config(), 16, 2)
    tensors = living.members["next"].encoding.tensors
    assert set(tensors) == {"map.weight", "map.bias"}
    assert tensors["map.weight"].abs().max() > 0
    assert tensors["map.weight"].shape == random.map.weight.shape
    assert living.members["next"].record["trained"] < 16 * len(table(living, "next")) + 10_000


def test_a_step_encodes_each_item_once(living):
    Letters.encoded.clear()
    living.plan(worlds.cross(1, name="again", strategy="finetune", head={"name": "next_item", "full_softmax_up_to": 5}))
    assert max(Letters.encoded[1:]) <= len(table(living, "next")) - 1


def test_newcomers_have_vectors_at_once_and_nothing_moves(living):
    before = living.answering("next").net.state_dict()
    living.add_task(worlds.wider(1))
    known = len(before["items.weight"])
    grown_VD = table(living, "wider_1")
    assert len(grown_VD) > known
    torch.testing.assert_close(grown_VD[known:], made_of(living, "wider_1", len(grown_VD))[known:])
    assert living.verify().ok


@pytest.mark.parametrize(
    "strategy",
    ["conure", "finetune", *(pytest.param(name, marks=pytest.mark.slow) for name in ("peterrec", "probe", "scratch"))],
)
def test_strategies_grow_on_it(living, cache, strategy):
    living.add_task(worlds.label(0))
    added = living.add_task(worlds.wider(1, strategy=strategy))
    assert set(added.changed.values()) == {0}
    trains = strategy in ("finetune", "scratch")
    assert (living.members["wider_1"].encoding is not None) == trains
    same = torch.equal(table(living, "wider_1")[: len(table(living, "next"))], table(living, "next"))
    assert same != trains
    again = LivingModel.open(living.store.path, cache=cache)
    assert again.verify().ok
    assert torch.equal(table(again, "wider_1"), table(living, "wider_1"))


def test_a_task_of_labels_reads_the_vectors_as_they_are(living):
    added = living.add_task(worlds.label(0))
    assert living.members["label_0"].encoding is None
    assert added.stored_bytes < 60_000


def test_fields_are_named(living, cache):
    data = {**worlds.first()["data"], "text": ["colour"]}
    with pytest.raises(DataError, match=r"items of synthetic have no 'colour'"):
        LivingModel.pretrain(living.store.path.parent / "other", first(data=data), cache=cache)


def test_only_the_first_task_chooses(living):
    with pytest.raises(ConfigError, match="items: chosen by a model's first task"):
        living.add_task({**worlds.label(0), "items": SPEC})


def test_a_table_that_was_touched_is_noticed(living):
    """The fault: a later task that writes a sealed vector."""
    bank = living.bank
    bank.values[ITEM_TABLE][3, 0] += 1e-6
    from lifelong.keeping.verification import changed_weights

    assert changed_weights(dataclasses.replace(_loaded(living)), living.version.body) == ["next"]


def _loaded(model):
    from lifelong.keeping.checkpoint import Loaded

    return Loaded(model.design, model.bank, model.members)


def newcomers(*letters, known=()):
    import pyarrow as pa

    ids = [*(f"new-{n}" for n in range(len(letters))), *known]
    return pa.table({"id": ids, "domain": [*letters, *("x" for _ in known)]})


def test_newcomers_by_their_content_alone(living, cache):
    before = living.recommend([list(living.members["next"].catalogue[:3])], "next", k=5)
    told = living.add_items(
        "next", newcomers("domain_0", "quite other", "", known=living.members["next"].catalogue[:2]), "more"
    )
    assert (told.added, told.known_before, told.without_content) == (2, 2, 1)
    assert told.catalogue == len(living.members["next"].catalogue) + 2
    assert set(told.changed.values()) == {0}
    again = LivingModel.open(living.store.path, cache=cache)
    assert again.verify().ok
    assert again.recommend([list(living.members["next"].catalogue[:3])], "next", k=5) == before
    (found,) = again.recommend([["new-0", "new-1"]], "more", k=told.catalogue)
    assert {"new-0", "new-1"} <= set(found.items)
    with pytest.raises(DataError):
        again.recommend([["new-0"]], "next")
    assert table(again, "more")[-2:].norm(dim=1).min() > 0


def test_a_plan_of_newcomers_commits_nothing(living):
    told = living.add_items("next", newcomers("domain_0"), "more", dry_run=True)
    assert told.version == 0
    assert list(living.members) == ["next"]
    assert list(told.neighbours) == ["new-0"]
    assert len(told.neighbours["new-0"]) == 3


def test_newcomers_of_a_task_with_a_table_of_its_own(living, cache):
    living.add_task(worlds.wider(1, strategy="finetune"))
    living.add_items("wider_1", newcomers("domain_1"), "wider_2")
    again = LivingModel.open(living.store.path, cache=cache)
    assert again.verify().ok
    own = nearest_map(again, "wider_1")
    assert torch.allclose(table(again, "wider_2")[-1], own("domain_1"), atol=1e-6)
    assert not torch.allclose(table(again, "wider_2")[-1], nearest_map(again, "next")("domain_1"), atol=1e-4)


def nearest_map(model, task):
    from lifelong.model.member import nearest_encoding

    tensors = nearest_encoding(model.members, task).tensors
    counts = torch.zeros(32)
    return lambda text: (
        torch.stack([counts.index_add_(0, torch.tensor([ord(c) % 32]), torch.ones(1)) for c in text])[-1]
        @ tensors["map.weight"].T
        + tensors["map.bias"]
    )


@pytest.mark.parametrize(
    ("items", "name", "error", "said"),
    [
        (newcomers(), "more", DataError, "knows all 0"),
        (newcomers("a", "b").rename_columns(["code", "domain"]), "more", DataError, "no column 'id'"),
        (newcomers(""), "more", DataError, "nothing|anything"),
        (newcomers("a"), "next", UsageError, "there already"),
        (newcomers("a"), "No name", ConfigError, "name"),
    ],
)
def test_newcomers_that_cannot_come(living, items, name, error, said):
    with pytest.raises(error, match=said):
        living.add_items("next", items, name)


def test_a_model_of_ids_says_what_to_do(tmp_path, cache):
    model = LivingModel.pretrain(tmp_path / "ids", worlds.first(), cache=cache)
    with pytest.raises(UsageError, match="items: text"):
        model.add_items("next", newcomers("a"), "more")


def test_an_item_without_any_text_takes_no_other_items_text():
    task = as_task(first(data={**worlds.first()["data"], "text": ["title", "brand"]}))
    fields = {"title": ["milk", None, "bread", "", "pie"], "brand": [None, None, "Own", None, ""]}
    items = pa.table({"id": list("abcde"), **fields})
    contents = contents_of(task, items, np.arange(1, 6), "the shop")
    assert contents.texts == ["milk", None, "bread, Own", None, "pie"]
    nothing = pa.table({"id": list("ab"), **{name: pa.nulls(2, pa.string()) for name in fields}})
    assert contents_of(task, nothing, np.arange(1, 3), "the shop").texts == [None, None]
    with pytest.raises(ValueError, match="3 items have 2 texts"):
        Contents(np.arange(1, 4), ["milk", "bread"])
