"""A living model whose first task copies: it reads beyond the window, in the same bits whoever is asked, and keeps them."""

import numpy as np
import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.asking.inference import last_points
from lifelong.core.errors import UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory, cache):
    copying = worlds.first(
        past=20, gaps=True, head={"name": "next_item", "copy": True, "copy_past": 20}, fit={"epochs": 1}
    )
    made = LivingModel.pretrain(tmp_path_factory.mktemp("copying") / "model", copying, cache=cache)
    made.add_task(worlds.label())
    return made


def scores(model, histories):
    answering, sequences = model._asked(model.members["next"], histories, "error")
    history = answering.history(sequences, last_points(sequences))
    return torch.cat(list(answering.scores(answering.users(history), history)))


def test_it_is_kept_when_a_task_is_added_and_opened_again(model):
    assert model.last_addition.changed == {"next": 0}
    assert model.verify().ok
    again = LivingModel.open(model.store.path, cache=model.cache)
    items = model.members["next"].catalogue
    asked = [list(items[:15]), list(items[5:8]), list(items[:15][::-1])]
    assert torch.equal(scores(model, asked), scores(again, asked))


def test_what_lies_beyond_the_window_changes_its_own_score_alone(model):
    items = model.members["next"].catalogue
    recent, old = list(items[:12]), items[14]
    plain, longer = scores(model, [recent])[0], scores(model, [[old, *recent]])[0]
    assert longer[14] > plain[14]
    others = np.delete(np.arange(len(items)), [14])
    assert torch.equal(plain[others], longer[others])
    assert torch.equal(longer, scores(model, [[old, *recent], recent, list(items[3:9])])[0])


def test_recommendations_and_ranks_are_of_the_same_scores(model):
    items = model.members["next"].catalogue
    histories = [list(items[:12]), [items[3]] * 9]
    best = model.recommend(histories, "next", k=5)
    found = scores(model, histories)
    for row, answer in zip(found, best, strict=True):
        assert answer.scores == row.sort(descending=True).values[:5].tolist()


def test_an_approximate_index_is_refused(model):
    from lifelong.asking.approximate import ApproximateIndex

    with pytest.raises(UsageError, match="without copy"):
        ApproximateIndex(model.answering("next"), torch.zeros(4, 16), 3)
