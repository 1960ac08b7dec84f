"""What an event carries besides its item, and what lies beyond the window: read alike in training, asking and batches."""

import numpy as np
import pyarrow as pa
import pytest

from lifelong import LivingModel
from lifelong.batch.tables import Asked, Question, answer_batch
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.types import Event
from lifelong.data.columns import Columns
from lifelong.encoders.layers.joining import turn

ACTIONS = ["view", "cart", "buy"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A file of 60 users whose bought items are their viewed ones, days apart."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        (f"u{user}", f"i{random.integers(20)}", 1_600_000_000 + 90_000 * n + int(random.integers(5)), ACTIONS[n % 3])
        for user in range(60)
        for n in range(25)
    ]
    lines = [",".join(map(str, row)) for row in rows]
    (folder / "events.csv").write_text("\n".join(["user,item,time,kind", *lines]) + "\n")
    users = [f"u{user},{'ab'[user % 2]}" for user in range(60)]
    (folder / "users.csv").write_text("\n".join(["user,letter", *users]) + "\n")
    return folder


def data(shop, **options):
    files = {"events": str(shop / "events.csv"), "users": str(shop / "users.csv"), "columns": {"channel": "kind"}}
    return {"dataset": {"name": "files", **files}, **options}


def first(shop, **changes):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
        "length": 6,
        "past": 15,
        "actions": ACTIONS,
        "gaps": True,
        "longterm": {"width": 8, "start": "svd"},
        "head": {"name": "next_item", "copy": True},
        "data": data(shop),
        "fit": {"epochs": 1, "batch_size": 32},
        **changes,
    }


def letter(shop, **changes):
    return {
        "name": "letter",
        "head": "classification",
        "data": data(shop, label="letter", split="by_user"),
        "fit": {"epochs": 1},
        **changes,
    }


@pytest.fixture(scope="module")
def model(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    made = LivingModel.pretrain(folder / "model", first(shop), cache=folder / "cache")
    made.add_task(letter(shop))
    made.add_task(letter(shop, name="again", strategy="finetune"))
    made.add_task(letter(shop, name="wide", data=data(shop, label="letter", split="by_user", inputs=None)))
    return made


def history(n=9, kind="view", gap=3600):
    return [Event(f"i{i % 20}", kind, 1_600_000_000 + gap * i) for i in range(n)]


def test_earlier_tasks_keep_their_bits_with_everything_read(model):
    assert model.last_addition.changed == {"next": 0, "letter": 0, "again": 0}
    assert model.verify().ok
    again = LivingModel.open(model.store.path, cache=model.cache)
    asked = [history(), history(3)]
    for task in model.members:
        assert np.array_equal(model.represent(asked, task), again.represent(asked, task))


def halves(vectors):
    """The state's columns and the long-term path's, turned back."""
    return np.split(vectors @ turn(24).numpy().T, [16], axis=1)


def test_kind_gap_and_past_are_read(model):
    usual = model.represent([history()], "next")
    assert usual.shape == (1, 24)
    assert not np.array_equal(usual, model.represent([history(kind="buy")], "next"))
    assert not np.array_equal(usual, model.represent([history(gap=90_000)], "next"))
    longer = [Event("i19", "view", 5), *history()]  # beyond the window of 6, within the past of 15
    (state, past), (same, other) = halves(usual), halves(model.represent([longer], "next"))
    assert np.allclose(state, same, atol=1e-6)
    assert not np.allclose(past, other, atol=1e-3)
    too_long = [Event("i19", "view", 5), *history(15)]
    assert np.array_equal(model.represent([history(15)], "next"), model.represent([too_long], "next"))


def test_the_order_of_the_past_does_not_matter_to_the_long_term_path(model):
    turned = [*history(9)[:3][::-1], *history(9)[3:]]
    both = model.represent([history(9), turned], "next")  # the turned ones lie before the window
    assert np.array_equal(both[0], both[1])


def test_a_batch_of_tables_reads_the_same(model):
    events = [(user, e.item, e.time, e.action) for user, n in (("x", 9), ("y", 4)) for e in history(n)]
    table = pa.table(dict(zip(("user", "item", "time", "kind"), map(list, zip(*events, strict=True)), strict=True)))
    question = Question(answer="represent", task="letter", columns=Columns(channel="kind", time_unit="seconds"))
    answered = np.stack(answer_batch(table, Asked(model, question))["vector"].to_pylist()).astype(np.float32)
    assert np.array_equal(answered, model.represent([history(9), history(4)], "letter"))


def test_actions_that_the_data_do_not_have_are_refused(shop, tmp_path):
    with pytest.raises(DataError, match="it has buy, cart, view"):
        LivingModel.pretrain(tmp_path / "m", first(shop, actions=["like"]), cache=tmp_path / "cache")


def test_only_the_first_task_says_what_is_read(shop, model):
    with pytest.raises(ConfigError, match="past, gaps: chosen by a model's first task"):
        model.add_task(letter(shop, name="late", past=3, gaps=True))


def test_an_action_that_is_a_near_miss_is_refused(shop, tmp_path):
    with pytest.raises(DataError, match="has no channel 'carts'; did you mean 'cart'"):
        LivingModel.pretrain(tmp_path / "m", first(shop, actions=["buy", "carts"]), cache=tmp_path / "cache")


def test_actions_of_data_without_channels_are_refused(shop, tmp_path):
    bare = {**first(shop), "data": {"dataset": {"name": "synthetic", "users": 80}}}
    with pytest.raises(DataError, match="none of the actions"):
        LivingModel.pretrain(tmp_path / "m", bare, cache=tmp_path / "cache")


def test_the_length_is_the_first_tasks(shop, model):
    with pytest.raises(ConfigError, match="length: chosen by a model's first task"):
        model.add_task(letter(shop, name="late", length=50))
