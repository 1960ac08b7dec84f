"""Profile prediction: who may be asked, folds, honest figures, and a baseline that finds what was planted."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import worlds
from sklearn.metrics import f1_score, roc_auc_score

from lifelong.core.errors import UsageError
from lifelong.core.progress import Silent
from lifelong.profiling import Settings, profile
from lifelong.profiling.compare import ask, tabled
from lifelong.profiling.features import Features
from lifelong.profiling.folds import Fold, folds_of, sealed_fold, spread_out
from lifelong.profiling.methods import baselines, majority, probe
from lifelong.profiling.people import People, _categories, people_of
from lifelong.profiling.scoring import Answers, by_repeat, differences, drawn, measures
from lifelong.profiling.trained import places, vectors_of


def people(size=120, classes=3, items=40, seen=0.0, seed=0):
    """Users whose class is what most of their items say; `seen` of them were trained on."""
    random = np.random.default_rng(seed)
    targets_P = random.integers(0, classes, size)
    liked = np.arange(items) % classes
    counts = (random.random((size, items)) < np.where(liked == targets_P[:, None], 0.5, 0.15)).astype(np.float32)
    return People(
        task="label",
        classes=tuple("abc"[:classes]),
        users_P=np.arange(size),
        ids_P=np.array([f"u{n}" for n in range(size)], object),
        targets_P=targets_P,
        seen_P=random.random(size) < seen,
        parts_P=random.integers(0, 3, size).astype(np.int8),
        counts_UV=sp.csr_matrix(counts),
        categories_VG=sp.csr_matrix(np.eye(classes, dtype=np.float32)[liked]),
        field="kind",
    )


def test_every_unseen_user_is_asked_once_a_repeat_and_never_trained_on():
    some = people(seen=0.6)
    folds = folds_of(some, 5, 2, seed=0, seen=False)
    for repeat in (0, 1):
        asked = np.concatenate([fold.test_n for fold in folds if fold.repeat == repeat])
        np.testing.assert_array_equal(np.sort(asked), np.flatnonzero(~some.seen_P))
    for fold in folds:
        parts = [set(part.tolist()) for part in (fold.train_n, fold.valid_n, fold.test_n)]
        assert sum(map(len, parts)) == len(set().union(*parts))
    assert not np.array_equal(folds[0].test_n, folds[5].test_n)


def test_seen_users_are_asked_when_that_is_wanted():
    some = people(seen=0.6)
    assert len(np.concatenate([f.test_n for f in folds_of(some, 5, 1, 0, seen=True)])) == len(some)
    everybody = replace(some, seen_P=np.ones(len(some), bool))
    with pytest.raises(UsageError, match="--seen"):
        folds_of(everybody, 5, 1, 0, seen=False)
    fold = sealed_fold(some, seen=False)
    assert not some.seen_P[fold.test_n].any()
    assert len(sealed_fold(some, seen=True).test_n) > len(fold.test_n)


def test_folds_are_stratified():
    stratum = np.repeat([0, 1, 2], [50, 25, 5])
    part = spread_out(stratum, 5, np.random.default_rng(0))
    for value, count in ((0, 10), (1, 5), (2, 1)):
        assert np.bincount(part[stratum == value], minlength=5).tolist() == [count] * 5


def test_a_planted_label_is_found_and_the_majority_is_chance():
    some = people()
    folds = folds_of(some, 2, 1, seed=0, seen=False)
    methods = {name: baselines()[name] for name in ("majority", "LR TF-IDF", "LR SVD64")}
    told = ask(some, folds, {**methods, "ours": probe(np.eye(3)[some.targets_P])}, 0, Silent())
    table = tabled(some, told, ["ours"], ["macro_f1", "auc"], 0)
    figures = {name: m["metrics"] for name, m in table["methods"].items()}
    assert figures["ours"]["macro_f1"]["value"] == 1.0  # the label itself as user vector
    assert figures["LR TF-IDF"]["macro_f1"]["value"] > 0.6
    assert figures["majority"]["macro_f1"]["value"] < 0.3
    assert figures["majority"]["auc"]["value"] == 0.5
    assert table["differences"]["ours"]["majority"]["macro_f1"]["low"] > 0.4
    assert np.sum(table["methods"]["ours"]["confusion"]) == len(some)
    assert set(table["differences"]) == {"ours"}


def test_features_do_not_know_who_is_asked():
    """The planted fault: an item that only test users have would get a direction of its own."""
    some = people()
    fold = folds_of(some, 4, 1, seed=0, seen=False)[0]
    counts = some.counts_UV.tolil()
    counts[fold.test_n, 0] = 50.0
    changed = replace(some, counts_UV=counts.tocsr())
    plain, planted = (Features(p, fold, 0).svd_PD[fold.train_n] for p in (some, changed))
    np.testing.assert_allclose(np.abs(plain), np.abs(planted), atol=1e-5)


def test_a_class_that_training_lacks_has_no_probability():
    some = people(classes=3)
    fold = Fold(0, np.flatnonzero(some.targets_P < 2)[:40], np.arange(100, 110), np.arange(110, 120))
    found, _ = baselines()["LR SVD64"](Features(some, fold, 0))
    assert found.shape == (10, 3)
    assert (found[:, 2] == 0).all()
    assert majority(Features(some, fold, 0))[0][0, 2] == 0


def answers(targets, repeats, folds):
    everybody = np.arange(len(targets))
    return Answers(np.array(targets), [everybody] * len(repeats), repeats, folds)


def test_f1_is_pooled_and_auc_is_averaged_over_folds():
    random = np.random.default_rng(0)
    targets, fold = random.integers(0, 2, 60), np.arange(60) % 3
    scores = random.random(60)
    scores[fold == 1] = 0.5 * scores[fold == 1]  # another fit, another scale
    told = answers(targets, [np.stack([1 - scores, scores], 1)], [fold])
    by_fold = [roc_auc_score(targets[fold == f], scores[fold == f]) for f in range(3)]
    assert by_repeat(told, "auc")[0] == pytest.approx(np.mean(by_fold))
    assert by_repeat(told, "macro_f1")[0] == pytest.approx(f1_score(targets, scores > 0.5, average="macro"))


def test_paired_differences_are_exact_for_equal_answers():
    told = answers([0, 1, 1, 0], [np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])], [np.zeros(4, int)])
    figures = drawn(told, ["accuracy"], seed=0)
    assert measures(figures, 4)["accuracy"].value == 0.75
    found = differences(figures, {"same": drawn(told, ["accuracy"], seed=0)}, 4)["same"]["accuracy"]
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_repeats_may_ask_different_users():
    """As given splits do; a user's weight counts in every repeat that asks her."""
    right = np.array([[0.9, 0.1], [0.1, 0.9]])
    told = Answers(
        np.array([0, 1, 0, 1]), [np.array([0, 1]), np.array([2, 3])], [right, right[::-1]], [np.zeros(2, int)] * 2
    )
    assert by_repeat(told, "accuracy") == [1.0, 0.0]
    assert drawn(told, ["accuracy"], 0)["accuracy"][0] == 0.5


def test_places():
    assert places(np.array([7, 3, 5]), np.array([3, 4, 7, 9])).tolist() == [1, -1, 0, -1]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, born, cache):
    import shutil

    from lifelong import LivingModel

    path = shutil.copytree(born, tmp_path_factory.mktemp("labelled") / "model")
    model = LivingModel.open(path, cache=cache)
    model.add_task(worlds.label(0))
    return model


def test_users_held_out_of_pretraining_are_unseen(labelled):
    member = labelled.members["label_0"]
    some = people_of(labelled, member.task, labelled.cases("label_0"), [member.parent], Silent())
    assert not some.seen_P[some.parts_P == 2].any()
    assert 0 <= (~some.seen_P).sum() - (some.parts_P == 2).sum() < 5  # and few who did nothing before the cut
    assert len(some) == 240
    assert some.field == "category"
    vectors = vectors_of(labelled, member.task, some)
    assert vectors.shape == (240, 16)
    history = worlds_history(labelled, some, 3)
    np.testing.assert_array_equal(vectors[3], labelled.represent([history], "next")[0])


def worlds_history(model, some, place):
    prepared = model.prepare(model.members["label_0"].task)
    user = some.users_P[place]
    items = prepared.items["id"].to_pylist()
    return [items[i] for i in prepared.items_E[prepared.offsets_U1[user] : prepared.offsets_U1[user + 1]]]


@pytest.mark.slow
def test_the_whole_document(labelled):
    document = profile(labelled, None, Settings(folds=3, repeats=2, seen=True, scratch=True))
    task = document["tasks"]["label_0"]
    assert set(task["folds"]["methods"]) == {*baselines(), "from scratch", "frozen vector + probe"}
    assert "the task as sealed" in task["sealed"]["methods"]
    assert task["folds"]["users"] == 240
    own = labelled.evaluate(["label_0"])["label_0"]
    sealed = task["sealed"]["methods"]["the task as sealed"]["metrics"]
    assert sealed["accuracy"]["value"] == own["accuracy"].value
    assert task["sealed"]["seen_test_users"] == 0
    with pytest.raises(UsageError, match="predicts no class"):
        profile(labelled, ["next"])


def test_categories_of_several_words():
    import pyarrow as pa

    class Made:
        name = "made"
        items = pa.table({"id": list("12345678"), "genres": ["A B", "B", "A C", "C B"] * 2, "title": list("xyzuvwxy")})

    field, found = _categories(Made(), None)
    assert field == "genres"
    assert found.toarray().tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]] * 2
    assert _categories(Made(), "title")[1].shape == (8, 6)  # a field of one value an item, only because it is asked for


def test_users_whose_labels_made_the_vectors_are_not_asked(tmp_path, cache):
    """A model whose first task is the label itself: its training users are seen, whatever their events were read for."""
    from lifelong import LivingModel

    own = {**worlds.label(0), "encoder": worlds.first()["encoder"], "length": 12}
    model = LivingModel.pretrain(tmp_path / "model", own, cache=cache)
    member, cases = model.members["label_0"], model.cases("label_0")
    read = people_of(model, member.task, cases, [member.parent, "label_0"], Silent())
    assert read.seen_P[read.parts_P == 0].all()
    assert not read.seen_P[read.parts_P == 2].any()
    leaking = people_of(model, member.task, cases, [member.parent], Silent())
    assert not leaking.seen_P.any(), "the vectors' own task must count"
    asked = profile(model, None, Settings(folds=2, repeats=1))["tasks"]["label_0"]
    assert asked["unseen"] == (~read.seen_P).sum() < len(read)
    with pytest.raises(UsageError, match="limit is 0"):
        profile(model, None, Settings(limit=0))
    with pytest.raises(UsageError, match="has no task 'nxt'"):
        profile(model, None, Settings(vectors="nxt"))
    with pytest.raises(UsageError, match="made with the labels that are asked, by task 'label_0'"):
        profile(model, None, Settings(folds=2, repeats=1, seen=True))


def test_more_folds_than_users_say_so():
    some = people(seen=0.9)
    with pytest.raises(UsageError, match=f"{(~some.seen_P).sum()} users may be asked, folds is 99; take fewer"):
        folds_of(some, 99, 1, 0, seen=False)
