"""Heads fitted to fixed vectors: as scikit-learn and by hand, on raw vectors, chosen by validation users alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lifelong.heads.layers.fitting import STRENGTHS, solve_classes, solve_labels, solve_number

WIDTH = 6


def drawn(users, seed, classes=3, noise=1.0):
    """Vectors of very different scales, and the class that a fixed linear rule and noise give."""
    random = np.random.default_rng(seed)
    rule = np.random.default_rng(0).normal(size=(WIDTH, classes))
    plain = random.normal(size=(users, WIDTH))
    targets = (plain @ rule + noise * random.normal(size=(users, classes))).argmax(1)
    vectors = plain * 10.0 ** np.arange(-2, WIDTH - 2) + 5
    return torch.from_numpy(vectors).float(), torch.from_numpy(targets)


def logits(solved, vectors):
    return F.linear(vectors, solved.weight_CW, solved.bias_C)


def right(solved, vectors, targets):
    return float((logits(solved, vectors).argmax(1) == targets).float().mean())


@pytest.mark.parametrize("weighting", ["none", "balanced"])
@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learns_fit_with_the_standardisation_folded_in(classes, weighting):
    train, valid = drawn(200, 1, classes), drawn(60, 2, classes)
    solved = solve_classes(*train, *valid, classes, weighting=weighting, strengths=[0.1])
    scaler = StandardScaler().fit(train[0].double())
    model = LogisticRegression(C=0.1, class_weight=None if weighting == "none" else "balanced", max_iter=400)
    model.fit(scaler.transform(train[0].double()), train[1])
    wanted = model.predict_proba(scaler.transform(valid[0].double()))
    assert logits(solved, valid[0]).softmax(1).numpy() == pytest.approx(wanted, abs=2e-3)
    assert solved.weight_CW.dtype == solved.bias_C.dtype == torch.float32
    assert solved.c == 0.1


def test_the_strength_is_the_one_that_serves_validation_best():
    train, valid = drawn(60, 1), drawn(60, 2)
    solved = solve_classes(*train, *valid, 3)
    losses = {}
    for strength in STRENGTHS:
        one = solve_classes(*train, *valid, 3, strengths=[strength])
        losses[strength] = float(F.cross_entropy(logits(one, valid[0]), valid[1]))
        assert one.score == pytest.approx(-losses[strength], abs=1e-4)
    assert losses[solved.c] == pytest.approx(min(losses.values()), abs=1e-4)


def test_what_is_told_of_the_training_users_does_not_choose():
    """A rule that holds for training users alone: the right choice is a great penalty, the leaky one the least."""
    train, (other, _) = drawn(60, 1, noise=0.0), drawn(60, 2)
    unrelated = torch.from_numpy(np.random.default_rng(5).integers(0, 3, 60))
    assert solve_classes(*train, other, unrelated, 3).c < 0.01
    assert solve_classes(*train, *train, 3).c == max(STRENGTHS), "choosing on what was fitted is caught by this test"


def test_it_learns_what_is_there_to_learn():
    train, valid, test = drawn(400, 1, noise=0.3), drawn(100, 2, noise=0.3), drawn(400, 3, noise=0.3)
    assert right(solve_classes(*train, *valid, 3), *test) > 0.8
    mixed = train[1][torch.randperm(400, generator=torch.Generator().manual_seed(0))]
    assert right(solve_classes(train[0], mixed, *valid, 3), *test) < 0.6, "the check can fail"


def test_balanced_finds_more_of_a_rare_class():
    vectors, targets = drawn(600, 1, classes=2, noise=3.0)
    kept = torch.cat([(targets == 0).nonzero()[:, 0], (targets == 1).nonzero()[:30, 0]])
    train, valid, test = kept[0::3], kept[1::3], kept[2::3]
    found = {}
    for weighting in ("none", "balanced"):
        parts = vectors[train], targets[train], vectors[valid], targets[valid]
        answers = logits(solve_classes(*parts, 2, weighting=weighting), vectors[test]).argmax(1)
        found[weighting] = float((answers[targets[test] == 1] == 1).float().mean())
    assert found["balanced"] > found["none"]


def test_twice_gives_the_same_bits():
    train, valid = drawn(80, 1), drawn(40, 2)
    first, second = (solve_classes(*train, *valid, 3) for _ in range(2))
    assert torch.equal(first.weight_CW, second.weight_CW)
    assert torch.equal(first.bias_C, second.bias_C)


def test_a_column_that_does_not_vary_is_not_used():
    train, valid = drawn(80, 1), drawn(40, 2)
    for vectors in (train[0], valid[0]):
        vectors[:, 2] = 7.3
    solved = solve_classes(*train, *valid, 3)
    assert not solved.weight_CW[:, 2].any()
    assert torch.isfinite(solved.weight_CW).all()
    valid[0][:, 2] = 1e6
    assert right(solved, *valid) > 0.5, "a user with another value there is answered all the same"


@pytest.mark.parametrize("weighting", ["none", "balanced"])
def test_a_class_without_training_users_is_last(weighting):
    train, valid = drawn(80, 1), drawn(40, 2)
    solved = solve_classes(*train, valid[0], valid[1].clone().fill_(3), 5, weighting=weighting)
    assert solved.weight_CW.shape == (5, WIDTH)
    assert not solved.weight_CW[3:].any()
    assert np.isfinite(solved.score)
    middle = logits(solved, train[0]).mean(0)
    assert middle[3:].max() < middle[:3].min()


def test_one_class_alone_is_always_the_answer():
    train, valid = drawn(20, 1), drawn(10, 2)
    solved = solve_classes(train[0], torch.ones(20, dtype=torch.long), *valid, 3)
    assert right(solved, valid[0], torch.ones(10, dtype=torch.long)) == 1.0


def test_without_validation_users_the_greatest_penalty_is_taken():
    train = drawn(40, 1)
    assert solve_classes(*train, train[0][:0], train[1][:0], 3).c == min(STRENGTHS)


def test_no_training_user_is_refused():
    none = torch.empty(0, WIDTH)
    with pytest.raises(ValueError, match="no training user"):
        solve_classes(none, torch.empty(0, dtype=torch.long), none, torch.empty(0, dtype=torch.long), 3)


def test_a_label_is_two_classes():
    train, valid = drawn(120, 1, classes=2), drawn(60, 2, classes=2)
    marks = [torch.stack([t, 1 - t, torch.zeros_like(t)], 1).float() for _, t in (train, valid)]
    solved = solve_labels(train[0], marks[0], valid[0], marks[1])
    two = solve_classes(*train, *valid, 2)
    margin = logits(two, valid[0])
    assert torch.allclose(logits(solved, valid[0])[:, 0], margin[:, 1] - margin[:, 0], atol=1e-4)
    assert torch.allclose(logits(solved, valid[0])[:, 0], -logits(solved, valid[0])[:, 1], atol=1e-2)
    assert (logits(solved, valid[0])[:, 2] < -3).all(), "a label that nobody has"


def test_a_number_is_ridge_regression():
    train, valid = drawn(100, 1), drawn(50, 2)
    rule = torch.tensor([30.0, -2.0, 0.5, 0.0, 0.01, 0.0])
    numbers = [vectors @ rule + 4 for vectors in (train[0], valid[0])]
    solved = solve_number(train[0], numbers[0], valid[0], numbers[1])
    assert logits(solved, valid[0])[:, 0].numpy() == pytest.approx(numbers[1].numpy(), abs=0.02)
    assert solved.c == 1e-4

    penalty = 0.1
    one = solve_number(train[0], numbers[0], valid[0], numbers[1], penalties=[penalty])
    scaler = StandardScaler().fit(train[0].double())
    columns, centred = scaler.transform(train[0].double()), (numbers[0] - numbers[0].mean()).double().numpy()
    weights = np.linalg.solve(columns.T @ columns + 100 * penalty * np.eye(WIDTH), columns.T @ centred)
    wanted = scaler.transform(valid[0].double()) @ weights + float(numbers[0].double().mean())
    assert logits(one, valid[0])[:, 0].numpy() == pytest.approx(wanted, rel=1e-3, abs=1e-2)
    assert one.score == pytest.approx(-float(np.mean((wanted - numbers[1].numpy()) ** 2)), rel=1e-2)
