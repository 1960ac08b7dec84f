"""Adapters: what is trained and stored, where each stands, that a task starts as its parent, and that nothing is forgotten."""

import pytest
import torch
from torch import nn

from lifelong.continual.blocks import of_items
from lifelong.continual.site import Site
from lifelong.continual.strategies.adapters import Adapters
from lifelong.continual.view import ITEM_TABLE, render
from lifelong.core import registry
from lifelong.core.compute import Compute
from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.core.fingerprint import tensors_hash
from lifelong.core.progress import Silent
from lifelong.core.slot import Map, Opening, Slot
from lifelong.items.base import ItemEncoder
from lifelong.living import LivingModel
from lifelong.model.contents import read_contents, sit
from lifelong.model.member import known_items, nearest_encoding
from lifelong.model.task import as_task
from lifelong.testing import strategies as contract
from lifelong.testing.windows import same_bits

PARTS = ("houlsby", {"name": "houlsby", "form": "parallel"}, "pfeiffer", "lora", "compacter")


EVERYWHERE = [*(("sasrec", part) for part in PARTS), *((name, "lora") for name in registry.names("encoders"))]


@pytest.mark.parametrize(("encoder", "part"), EVERYWHERE, ids=str)
def test_every_encoder_takes_every_part(encoder, part):
    world = contract.World(encoder)
    root = world.grow(contract.make("conure", keep=0.4, min_share=0.0), None, contract.ROWS - 1)
    before = world.states(root)
    child = world.grow(contract.make("adapters", part=part), root, train=False)
    same_bits(world.states(child), before, "a fresh task is not its parent")
    trained = world.grow(contract.make("adapters", part=part, norms="all"), root)
    assert not torch.equal(world.states(trained), before)
    assert torch.equal(world.states(root), before)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_isolation_with_every_part(part):
    contract.check_isolation(contract.make("adapters", part=part, norms="all"))


def _grown(encoder="sasrec", **options):
    world = contract.grown(contract.make("adapters", **options), 1, encoder)
    return world, world.views[1]


def _ends(view):
    return sorted(slot.removeprefix("encoder.blocks.") for slot in view.parts)


def test_it_owns_nothing_of_the_bank_and_leaves_its_bytes():
    world = contract.grown(contract.make("adapters"), 0)
    values, free = tensors_hash(world.bank.values), world.bank.shares()
    view = world.grow(contract.make("adapters"), world.views[0])
    assert tensors_hash(world.bank.values) == values
    assert world.bank.shares() == free
    assert not view.private


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, ["attention_slot", "feed_forward_slot"]),
        ({"behind": "last"}, ["feed_forward_slot"]),
        ({"part": "pfeiffer"}, ["feed_forward_slot"]),
        ({"part": "pfeiffer", "behind": "each"}, ["attention_slot", "feed_forward_slot"]),
        ({"part": "compacter"}, ["attention_slot", "feed_forward_slot"]),
        ({"part": "lora"}, ["attention.query.slot", "attention.value.slot"]),
        ({"part": "lora", "maps": ["output", "feed_forward.0"]}, ["attention.output.slot", "feed_forward.0.slot"]),
    ],
)
def test_where_each_part_stands(options, ends):
    assert _ends(_grown(**options)[1]) == [f"{block}.{end}" for block in (0, 1) for end in ends]


def test_lora_takes_all_maps_where_there_is_no_query():
    assert {slot.split(".", 3)[3] for slot in _grown("nextitnet", part="lora")[1].parts} == {"conv1.slot", "conv2.slot"}
    assert list(_grown("gru4rec", part="lora")[1].parts) == ["encoder.layers.0.output.slot"]


@pytest.mark.parametrize("part", ["houlsby", "lora"])
@pytest.mark.parametrize(
    ("norms", "homes"), [("all", {"blocks.1.attention_norm", "blocks.1.feed_forward_norm", "norm"})]
)
def test_the_top_block_alone(part, norms, homes):
    world, view = _grown(part=part, top=1, norms=norms)
    assert {slot.split(".")[2] for slot in view.parts} == {"1"}
    assert {name.removeprefix("encoder.").rpartition(".")[0] for name in view.private} == homes
    assert not torch.equal(world.states(view), world.states(world.views[0]))


def test_all_norms():
    world, view = _grown(norms="all")
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in view.private} == {
        "attention_norm",
        "feed_forward_norm",
        "norm",
    }
    assert all(not torch.equal(value, world.views[0].private_value(name)) for name, value in view.private.items())


class Encoded(nn.Module):
    """Names and shapes of a text encoder of two blocks, as a site would tell of it."""

    def __init__(self):
        super().__init__()
        self.first = nn.LayerNorm(12)
        self.layer = nn.ModuleList(
            nn.ModuleDict({"query": nn.Linear(12, 12), "norm": nn.LayerNorm(12)}) for _ in range(2)
        )


ITEM_SLOTS = {
    f"items.text.layer.{block}.{end}": Opening(kind, 12, 12)
    for block in (0, 1)
    for end, kind in (
        ("attention.slot", "sublayer"),
        ("query.slot", "map"),
        ("value_slot", "map"),
        ("key.slot", "map"),
        ("output.slot", "sublayer"),
    )
}
PARAMETERS = {f"items.text.{name}": value for name, value in Encoded().named_parameters()}


def _site(world, items=True):
    site = world.site(world.views[0])
    return Site(**{**vars(site), "slots": {**site.slots, **(ITEM_SLOTS if items else {})}})


def _opened(**options):
    world = contract.grown(contract.make("adapters"), 0)
    strategy, site = contract.make("adapters", **options), _site(world)
    view = next(strategy.grow(site, "task")).view
    return strategy, site, view


def test_both_encoders_by_default_one_where_the_task_says_so():
    _, _, both = _opened()
    assert {of_items(slot) for slot in both.parts} == {True, False}
    assert {slot.partition(".")[2] for slot in both.parts if of_items(slot)} == {
        f"text.layer.{block}.{end}" for block in (0, 1) for end in ("attention.slot", "output.slot")
    }
    for side in ("items", "users"):
        strategy, _, view = _opened(encoders=[side], norms="all")
        assert {of_items(slot) for slot in view.parts} == {side == "items"}
        assert bool(view.private) == (side == "users")
        assert strategy.trains_items == (side == "items")


def test_items_can_have_another_part():
    _, _, view = _opened(part={"name": "houlsby", "share": 2}, items_part={"name": "lora", "rank": 12}, top=1)
    users = {f"encoder.blocks.1.{end}_slot": "Houlsby" for end in ("attention", "feed_forward")}
    assert _names(view, of_items=False) == users
    assert _names(view, of_items=True) == {f"items.text.layer.1.{m}slot": "LoRA" for m in ("query.", "value_")}
    assert {part.down.weight.shape[0] for slot, part in view.parts.items() if slot.startswith("items")} == {12}


def _names(view, of_items):
    return {s: type(p).__name__ for s, p in view.parts.items() if s.startswith("items.") == of_items}


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ({}, set()),
        ({"norms": "all"}, {"layer.0.norm", "layer.1.norm"}),
        ({"norms": "all", "top": 1}, {"layer.1.norm"}),
        ({"norms": "all", "encoders": ["users"]}, set()),
    ],
)
def test_of_an_item_encoder_norms_alone_are_opened(options, opened):
    strategy, site, _ = _opened(**options)
    found = strategy.opens_of_items(site, PARAMETERS)
    assert {name.removeprefix("items.text.").rpartition(".")[0] for name in found} == opened
    assert contract.make("finetune").opens_of_items(site, PARAMETERS) == list(PARAMETERS)


def test_methods_for_user_encoders_leave_item_encoders_alone():
    world = contract.grown(contract.make("adapters"), 0)
    for name in ("peterrec", "teracon", "examples.patch_strategy:PatchStrategy"):
        view = next(contract.make(name).grow(_site(world), "task")).view
        assert view.parts
        assert not any(of_items(slot) or slot.endswith(".slot") for slot in view.parts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoders": ["items"]}, "no encoder of items"),
        ({"part": "lora", "maps": ["kwery"]}, "maps are called 0, 2, key, output, query, value"),
    ],
)
def test_what_is_not_there_is_refused(options, said):
    world = contract.grown(contract.make("adapters"), 0)
    with pytest.raises(ConfigError, match=said):
        next(contract.make("adapters", **options).grow(_site(world, items=False), "task"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"part": "hulsby"},
        {"part": {"name": "lora", "rank": 0}},
        {"items_part": {"name": "lora", "rnk": 2}},
        {"encoders": []},
        {"encoders": ["user"]},
        {"top": 0},
        {"norms": "second"},
        {"behind": "first"},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(Adapters.Config, wrong, "strategy adapters")


class FreshBase(Adapters):
    """Fault D2: the pretrained maps that LoRA stands behind are replaced by fresh ones, which stay frozen."""

    def grow(self, site, task):
        phases = super().grow(site, task)
        phase = next(phases)
        maps = [f"{slot.removesuffix('.slot')}.weight" for slot in phase.view.parts]
        fresh = site.initial(site.rows)
        phase.view.private |= {name: fresh[name] for name in maps}
        yield phase
        return phase.view


class Opened(Adapters):
    """Trains the maps that LoRA stands behind in their place in the bank."""

    def grow(self, site, task):
        phases = super().grow(site, task)
        phase = next(phases)
        for name in site.bank.prunable:
            site.claims[name] = torch.ones_like(site.bank.owners[name], dtype=torch.bool)
        yield phase
        return phase.view


@pytest.mark.parametrize(("broken", "check"), [(FreshBase, contract.check_start), (Opened, contract.check_isolation)])
def test_a_broken_one_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(broken(Adapters.Config(part="lora")))


DATA = {"name": "synthetic", "users": 60, "items": 24, "events_per_user": 10}
FIRST = {
    "name": "next",
    "encoder": {"name": "sasrec", "width": 8, "blocks": 1},
    "length": 6,
    "head": "next_item",
    "data": {"dataset": DATA},
    "fit": {"epochs": 1},
}


def _label(number, **options):
    data = {"dataset": DATA, "label": f"label_{number}", "split": "by_user"}
    strategy = {"name": "adapters", **options}
    return {
        "name": f"label_{number}",
        "head": "classification",
        "data": data,
        "strategy": strategy,
        "fit": {"epochs": 1},
    }


NUMBERS = {
    "houlsby": 2 * (2 * 8 * 2 + 2 + 8),
    "pfeiffer": 2 * 8 * 2 + 2 + 8 + 2 * 8,
    "lora": 2 * 4 * (8 + 8),
    "compacter": 2 * (4**3 + 2 * (8 + 4) + 4 + 8),
}
"""What one block of width 8 gets."""
TASKS = [_label(n, part=part) for n, part in enumerate(PARTS)]


def _grow(path, cache, tasks):
    model = LivingModel.pretrain(path, FIRST, cache=cache)
    return model, [model.add_task(task) for task in tasks]


def test_adapters_of_every_sort_one_after_another_and_not_one_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.committing.check_candidate", lambda store, body, before: {})
    model, added = _grow(tmp_path / "m", tmp_path, [*TASKS, _label(5, part="lora", norms="all", top=1)])
    log = [version.body["tasks"] for version in model.store.log()]
    assert all(entry == log[-1][name] for tasks in log for name, entry in tasks.items())
    for name, member in model.members.items():
        trunk = set(model.answering(name).net.trunk_names())
        if name != "next":
            assert not set(member.view.private) & set(model.bank.values)
            assert all(n.startswith("head.") or ".part." in n for n in member.own)
            assert set(member.own).isdisjoint(trunk)
    _counted(model, added)
    opened = LivingModel.open(tmp_path / "m", cache=tmp_path)
    for name in model.members:
        bits, again = (m.answering(name).net.state_dict() for m in (model, opened))
        assert all(torch.equal(value, again[key]) for key, value in bits.items())


def _counted(model, added):
    """What is told to be trained is what is stored: the part's numbers and the head's."""
    for addition, task in zip(added, TASKS, strict=False):
        own = model.members[task["name"]].own
        stored = {n: v.numel() for n, v in own.items() if ".part." in n}
        part = task["strategy"]["part"]
        assert addition.trained == sum(stored.values()) + sum(
            v.numel() for n, v in own.items() if n.startswith("head.")
        )
        name = part if isinstance(part, str) else part["name"]
        assert sum(stored.values()) == NUMBERS[name]


class SlottedBlock(nn.Module):
    """A map in a residual block, with the slots of both sorts."""

    def __init__(self, width):
        super().__init__()
        self.query, self.slot, self.norm = Map(width, width), Slot(width), nn.LayerNorm(width)

    def forward(self, states_UH):
        return self.norm(states_UH + self.slot(self.query(states_UH), states_UH))


class Slotted(ItemEncoder):
    """An item encoder of two blocks over the letters of a text."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.layer = nn.ModuleList(SlottedBlock(LETTERS) for _ in range(2))
        self.projection = nn.Linear(LETTERS, width)

    def read(self, contents, cache, progress):
        counts_VF = torch.zeros(self.rows, LETTERS)
        for row, text in zip(contents.rows_n, contents.texts, strict=True):
            for letter in text or "":
                counts_VF[row, ord(letter) % LETTERS] += 1.0
        self.register_buffer("counts_VF", counts_VF, persistent=False)
        return counts_VF.any(dim=1)

    def encode(self, rows_U):
        states_UH = self.counts_VF[rows_U]
        for block in self.layer:
            states_UH = block(states_UH)
        return self.projection(states_UH)


LETTERS = 16
BY_CONTENT = {**FIRST, "items": f"{__name__}:Slotted", "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}}}


def _wider(name, **changes):
    inputs = {"domain": ["domain_0", "domain_1"]}
    data = {"dataset": DATA, "inputs": inputs, "targets": {"domain": "domain_1"}}
    return {"name": name, "head": "next_item", "data": data, "fit": {"epochs": 1}, **changes}


@pytest.fixture
def by_content(tmp_path, monkeypatch):
    monkeypatch.setattr("lifelong.keeping.committing.check_candidate", lambda store, body, before: {})
    return LivingModel.pretrain(tmp_path / "m", BY_CONTENT, cache=tmp_path)


def _table(view, bank):
    return render(bank, view, [ITEM_TABLE])[ITEM_TABLE]


def _table_of(model, name):
    return _table(model.members[name].view, model.bank)


@pytest.mark.parametrize("part", ["houlsby", "lora"])
def test_adapters_in_the_item_encoder_start_as_the_parent(by_content, part):
    growth = by_content._growth(as_task(_label(0, part=part)), 0, Compute(), Silent())
    phase = growth.first_phase()
    opened = {name for name, p in growth.net.named_parameters() if p.requires_grad and of_items(name)}
    assert all(name in opened for name in growth.net.own_tensors() if ".part." in name and of_items(name))
    assert opened
    assert all(".part." in name for name in opened)
    assert all(slot.startswith(("items.layer.", "encoder.blocks.")) for slot in phase.view.parts)
    before = by_content.answering("next").net.items.weight
    same_bits(growth.net.content.settle(), before, "fresh adapters move the vectors of items")


def test_only_adapters_of_the_item_encoder_are_trained_and_stored(by_content):
    added = by_content.add_task(_label(0, part="lora", norms="all", top=1))
    member = by_content.members["label_0"]
    homes = {"layer.1.query.slot.part.down", "layer.1.query.slot.part.up", "layer.1.norm"}
    assert {name.rpartition(".")[0] for name in member.encoding.tensors} == homes
    assert member.encoding.parts == {"items.layer.1.query.slot": {"name": "lora", "rank": 4, "alpha": 4.0}}
    assert not any(of_items(slot) for slot in member.parts)
    own = [*member.own.values(), *member.encoding.tensors.values()]
    assert added.trained == sum(v.numel() for v in own) + sum(
        v.numel() for n, v in member.view.private.items() if "norm" in n
    )
    assert not torch.equal(_table_of(by_content, "label_0"), _table_of(by_content, "next"))


def test_item_encoders_are_left_alone_where_the_task_says_so(by_content):
    by_content.add_task(_label(0, encoders=["users"]))
    member = by_content.members["label_0"]
    assert member.encoding is None
    assert torch.equal(_table_of(by_content, "label_0"), _table_of(by_content, "next"))
    assert member.parts


def test_children_read_newcomers_through_their_parents_adapters(by_content, tmp_path):
    by_content.add_task(_label(0, part="houlsby", encoders=["items"]))
    by_content.add_task(_wider("reading", parent="label_0", strategy="probe"))
    by_content.add_task(_wider("going_on", parent="label_0", strategy={"name": "adapters", "part": "houlsby"}))
    made, known = nearest_encoding(by_content.members, "reading"), len(_table_of(by_content, "label_0"))
    assert set(made.parts) == {f"items.layer.{n}.slot" for n in (0, 1)}
    assert "projection.weight" in made.tensors
    assert by_content.members["reading"].encoding is None
    assert _table_of(by_content, "reading")[known:].any()
    _as_parents_encode(by_content, "reading", known)
    gone_on = by_content.members["going_on"]
    assert all(".part." in name for name in gone_on.encoding.tensors)
    assert set(gone_on.encoding.parts) == set(made.parts)
    assert {of_items(slot) for slot in gone_on.parts} == {False}
    opened = LivingModel.open(tmp_path / "m", cache=tmp_path)
    for name in by_content.members:
        assert torch.equal(_table_of(opened, name), _table_of(by_content, name))


@torch.no_grad()
def _as_parents_encode(model, name, known):
    """Newcomers have the vectors that the parent's encoder, adapters included, gives them."""
    table_VD, made = _table_of(model, name), nearest_encoding(model.members, name)
    encoder = Slotted(Slotted.Config(), table_VD.shape[1], len(table_VD))
    sit(encoder, made.parts)
    encoder.load_state_dict(dict(made.tensors))
    task = model.members[name].task
    contents = read_contents(task, model.prepare(task), known_items(model.members, name))
    encoder.open(contents, None, None, None)
    torch.testing.assert_close(encoder.eval().encode(torch.arange(known, len(table_VD))), table_VD[known:])


@pytest.mark.slow
def test_adapters_of_every_sort_as_a_fresh_process_sees_them(tmp_path):
    model, added = _grow(tmp_path / "m", tmp_path, TASKS)
    assert [sum(addition.changed.values()) for addition in added] == [0] * len(TASKS)
    assert all(len(addition.changed) == n + 1 for n, addition in enumerate(added))
    assert model.verify().ok
