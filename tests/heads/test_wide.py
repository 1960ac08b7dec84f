"""The wide path: TF-IDF worked by hand, fitted with the head, blind to neighbours, and of use where a vector knows nothing."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer

from lifelong.core.tfidf import idf_of, tfidf
from lifelong.core.types import Seen
from lifelong.heads.base import Known
from lifelong.heads.classification import Classification
from lifelong.heads.layers.wide import Wide
from lifelong.heads.layers.wide_fitting import bags_of
from lifelong.testing import heads as contract

ROWS, WIDTH = 12, 4


def seen_of(rows_NS):
    users_N = torch.arange(len(rows_NS))
    return Seen(rows_NS, None, users_N, torch.full_like(users_N, rows_NS.shape[1]))


def made(width=WIDTH, catalogue=("no", "yes"), rows_C=None, rows=ROWS, **options):
    head = Classification(Classification.Config(wide=True, dropout=0.0, **options), width, catalogue, rows_C)
    head.widen(rows)
    return head.eval()


def users(count, seed, telling=7):
    """Vectors of noise, and a past in which one item tells the answer."""
    random = torch.Generator().manual_seed(seed)
    rows_NS = torch.randint(1, telling, (count, 5), generator=random)
    targets_N = torch.randint(2, (count,), generator=random)
    rows_NS[:, 0] = torch.where(targets_N == 1, telling, 0)
    return Known(torch.randn(count, WIDTH, generator=random), targets_N, seen_of(rows_NS))


def test_scores_by_hand():
    wide = Wide(4, 2)
    wide.take(torch.tensor([0.0, 3.0, 4.0, 0.0]), torch.tensor([[9.0, 1.0, 2.0, 9.0], [9.0, -1.0, 0.5, 9.0]]))
    scores = wide(seen_of(torch.tensor([[0, 1, 2, 1], [0, 0, 0, 1], [0, 0, 3, 3], [0, 0, 0, 0]])))
    expected = [[(3 * 1 + 4 * 2) / 5, (-3 * 1 + 4 * 0.5) / 5], [1.0, -1.0], [0.0, 0.0], [0.0, 0.0]]
    assert torch.allclose(scores, torch.tensor(expected))


def test_tfidf_is_scikit_learns_but_for_rare_items():
    bags = bags_of(users(50, 0).seen, ROWS)
    often = np.flatnonzero(np.bincount(bags.indices, minlength=ROWS) >= 3)
    theirs = TfidfTransformer().fit_transform(bags[:, often])
    assert np.allclose(tfidf(bags, idf_of(bags))[:, often].todense(), theirs.todense())
    rare = bags_of(seen_of(torch.tensor([[1, 2], [1, 2], [1, 3]])), ROWS)
    assert idf_of(rare)[[2, 3]].tolist() == [0.0, 0.0]


def test_it_knows_what_the_vector_does_not():
    right, answers = [], users(200, 2)
    for head in (made(), Classification(Classification.Config(dropout=0.0), WIDTH, ("no", "yes"), None).eval()):
        head.solve(users(200, 0), users(80, 1))
        scores = head.scores(answers.users_NW, None, answers.seen if head.needs_seen else None)
        right.append(float((scores.argmax(1) == answers.targets_N).float().mean()))
    assert right[0] == 1.0
    assert right[1] < 0.7


def test_noise_gets_a_strong_penalty():
    lying = [users(100, n) for n in range(2)]
    lying = [
        Known(k.users_NW, torch.randint(2, (100,), generator=torch.Generator().manual_seed(n)), k.seen)
        for n, k in enumerate(lying)
    ]
    head = made()
    head.solve(*lying)
    asked = users(100, 3)
    assert head.scores(asked.users_NW, None, asked.seen).softmax(1)[:, 1].sub(0.5).abs().max() < 0.2


def test_what_is_fitted_is_not_trained():
    head, known = made(), users(100, 0)
    head.solve(known, users(50, 1))
    before = head.wide.table_VC1.clone()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    head.loss(known.users_NW, known.targets_N, None, None, known.seen).backward()
    optimizer.step()
    assert torch.equal(head.wide.table_VC1, before)
    assert before.abs().sum() > 0


def test_the_neighbours_change_no_bit():
    head, asked = made(), users(67, 3)
    head.solve(users(100, 0), users(50, 1))
    whole = head.wide(asked.seen)
    for size in (1, 7, 16, 33):
        parts = torch.cat([head.wide(seen_of(rows)) for rows in asked.seen.rows_BS.split(size)])
        assert torch.equal(parts, whole)
    padded = torch.nn.functional.pad(asked.seen.rows_BS, (40, 0))
    assert torch.equal(head.wide(seen_of(padded)), whole)


@pytest.mark.parametrize("check", contract.HEAD_CHECKS, ids=lambda c: c.__name__)
def test_contract(check):
    check(lambda width, catalogue, rows_C: made(width, catalogue, rows_C, rows=len(catalogue) + 1))


def test_a_class_without_users_and_nobody_at_all():
    head = made(catalogue=("no", "yes", "perhaps"))
    head.solve(users(100, 0), users(50, 1))
    asked = users(10, 2)
    assert torch.isfinite(head.scores(asked.users_NW, None, asked.seen)).all()
    nobody = Known(
        torch.zeros(0, WIDTH), torch.zeros(0, dtype=torch.long), seen_of(torch.zeros(0, 5, dtype=torch.long))
    )
    with pytest.raises(ValueError, match="no training user"):
        head.solve(nobody, users(50, 1))


def test_one_class_alone_is_said_of_everybody():
    head, known = made(), users(30, 0)
    head.solve(Known(known.users_NW, torch.ones(30, dtype=torch.long), known.seen), users(10, 1))
    asked = users(10, 2)
    assert (head.scores(asked.users_NW, None, asked.seen).argmax(1) == 1).all()


def test_without_solving_there_is_nothing_to_fit_it():
    with pytest.raises(ValueError, match="wide without solved"):
        Classification.Config(wide=True, solved=False)
