"""Tables of events in, tables of answers out: the bits of LivingModel, however users are spread over tables."""

import numpy as np
import pyarrow as pa
import pytest
import worlds

from lifelong import LivingModel
from lifelong.batch.tables import Asked, BatchAnswerer, Question, answer_batch
from lifelong.core.errors import DataError, UsageError
from lifelong.data.columns import Columns


@pytest.fixture(scope="module")
def model(born, cache, tmp_path_factory):
    """A model with a task of items and one of classes."""
    import shutil

    folder = tmp_path_factory.mktemp("asked") / "model"
    shutil.copytree(born, folder)
    living = LivingModel.open(folder, cache=cache)
    living.add_task(worlds.label())
    return living


@pytest.fixture(scope="module")
def histories(model):
    """100 users of different length, some with items that nobody knows."""
    random = np.random.default_rng(0)
    items = [*model.members["next"].catalogue, "nobody-knows"]
    drawn = [random.choice(items, random.integers(1, 30)).tolist() for _ in range(100)]
    return {f"u{n:03}": [items[0], *history] for n, history in enumerate(drawn)}


def events(histories):
    """One row an event, in no order."""
    rows = [(user, item, 1_600_000_000 + n) for user, items in histories.items() for n, item in enumerate(items)]
    order = np.random.default_rng(1).permutation(len(rows))
    user, item, time = zip(*[rows[n] for n in order], strict=True)
    return pa.table({"user": user, "item": item, "time": time})


def ask(model, histories, **question):
    return answer_batch(events(histories), Asked(model, Question(**question)))


@pytest.mark.parametrize("repeats", [None, False])
@pytest.mark.parametrize("k", [5, 1000])
def test_recommend_gives_what_the_model_gives(model, histories, k, repeats):
    found = ask(model, histories, answer="recommend", k=k, repeats=repeats).to_pylist()
    expected = model.recommend(list(histories.values()), k=k, repeats=repeats)
    rows = [
        {"user": user, "rank": rank, "item": item, "score": score}
        for user, one in zip(histories, expected, strict=True)
        for rank, (item, score) in enumerate(zip(one.items, one.scores, strict=True), 1)
    ]
    assert found == rows
    if repeats is False:
        assert all(row["item"] not in histories[row["user"]] for row in found)


def test_represent_and_predict_give_what_the_model_gives(model, histories):
    vectors = ask(model, histories, answer="represent")
    assert vectors["user"].to_pylist() == list(histories)
    assert np.array_equal(np.stack(vectors["vector"].to_numpy()), model.represent(list(histories.values())))
    said = ask(model, histories, answer="predict", task="label_0").to_pylist()
    expected = model.predict(list(histories.values()), "label_0")
    for user, one in zip(histories, expected, strict=True):
        mine = [row for row in said if row["user"] == user]
        assert mine[0]["class"] == one.label
        assert {row["class"]: row["probability"] for row in mine} == one.probabilities
        assert [row["rank"] for row in mine] == list(range(1, 1 + len(mine)))


@pytest.mark.parametrize("answer", ["represent", "recommend"])
def test_users_may_be_spread_over_tables(model, histories, answer):
    asked = Asked(model, Question(answer=answer))
    whole = answer_batch(events(histories), asked)
    users = list(histories)
    parts = [answer_batch(events({u: histories[u] for u in users[a : a + 7]}), asked) for a in range(0, len(users), 7)]
    assert pa.concat_tables(parts).combine_chunks().equals(whole.combine_chunks())


def test_a_row_may_be_a_user_with_a_list(model, histories):
    lists = pa.table({"id": list(histories), "bought": list(histories.values())})
    columns = Columns(user="id", item="bought", time=None)
    found = answer_batch(lists, Asked(model, Question(answer="recommend", columns=columns)))
    assert found.equals(ask(model, histories, answer="recommend"))


def test_unknown_items_alone(model):
    given = {"a": ["nobody-knows"], "b": [model.members["next"].catalogue[0]]}
    with pytest.raises(DataError, match="1 of 2 users have no item that task 'next' knows"):
        ask(model, given, answer="represent")
    cold = ask(model, given, answer="represent", unknown="cold").to_pylist()
    assert [row["user"] for row in cold] == ["a", "b"]
    assert not any(cold[0]["vector"])
    assert [row["user"] for row in ask(model, given, answer="represent", unknown="skip").to_pylist()] == ["b"]
    asked = Asked(model, Question(answer="recommend", unknown="cold", repeats=False))
    assert len(answer_batch(events({"a": ["nobody-knows"]}), asked)) == 10
    counts = Asked(model, Question(answer="represent", unknown="skip")).read(events(given)).counts
    assert (counts["users"], counts["users_answered"], counts["users_skipped"]) == (2, 1, 1)
    assert (counts["events"], counts["events_unknown"]) == (2, 1)


def test_what_cannot_be_asked(model):
    with pytest.raises(UsageError, match="answers items, not classes"):
        Asked(model, Question(answer="predict"))
    with pytest.raises(UsageError, match="answers classes, not items"):
        Asked(model, Question(answer="recommend", task="label_0"))
    with pytest.raises(UsageError, match="no task 'lable_0'; did you mean 'label_0'"):
        Asked(model, Question(answer="predict", task="lable_0"))
    with pytest.raises(UsageError, match="k is 0"):
        Asked(model, Question(answer="recommend", k=0))


def test_an_actor_answers_the_same(model, histories):
    actor = BatchAnswerer(str(model.store.path), Question(answer="recommend"))
    assert actor(events(histories)).equals(ask(model, histories, answer="recommend"))
    assert actor(events(histories).slice(0, 0)).num_rows == 0


def test_an_approximate_index_is_measured(model, histories):
    pytest.importorskip("faiss", reason="the extra 'faiss' is not installed")
    asked = Asked(model, Question(answer="recommend", index="ann", repeats=False))
    found, exact = answer_batch(events(histories), asked), ask(model, histories, answer="recommend", repeats=False)
    assert asked.index.recall >= 0.95
    assert asked.index.searched == 1.0  # one list: all is found
    assert found.drop_columns(["score"]).equals(exact.drop_columns(["score"]))
    assert np.allclose(found["score"].to_numpy(), exact["score"].to_numpy(), rtol=1e-5, atol=1e-6)


def test_an_approximate_index_without_faiss_names_the_extra(model, histories, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match=r"pip install 'lifelong\[faiss\]'"):
        ask(model, histories, answer="recommend", index="ann")
