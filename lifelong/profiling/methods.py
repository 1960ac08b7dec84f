"""What answers for a fold: the majority, logistic regressions, boosting on category shares; options chosen on inner validation.

Every one of them gets the same treatment: a grid of options, each fitted on the fold's training users, the best by macro-F1
plus AUC of its validation users asked once; where two are equally good, the one with the smaller log loss. Validation users
are not trained on afterwards.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lifelong.core.types import Classified
from lifelong.metrics.parse import parse
from lifelong.profiling.features import Features, standardised
from lifelong.profiling.folds import Fold
from lifelong.profiling.people import People

STRENGTHS = (0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Grid of C."""
ROUNDS = (40, 100)
"""Grid of boosting rounds."""
ITERATIONS = 200
"""Of each step along the grid of C, which starts where the one before ended."""

Method = Callable[[Features], tuple[np.ndarray, str]]
"""Features of a fold -> probabilities of its test users (n, C) float64, and the options that were chosen, in words."""


@dataclass(frozen=True)
class Chosen:
    """The best option so far: its scores on validation users, its probabilities of test users."""

    scores: tuple[float, float]
    probabilities_NC: np.ndarray
    said: str


def baselines() -> dict[str, Method]:
    """The honest ones, by name."""
    return {
        "majority": majority,
        "LR TF-IDF": lambda features: regression(features.tfidf_PV, features),
        "LR SVD64": lambda features: regression(features.svd_PD, features),
        "GBDT categories": boosting,
    }


def probe(vectors_PD: np.ndarray) -> Method:
    """A linear probe on frozen user vectors, which every fold shares."""
    return lambda features: regression(standardised(vectors_PD, features.fold.train_n), features)


def majority(features: Features) -> tuple[np.ndarray, str]:
    """The class shares of the training users, whoever is asked."""
    people, fold = features.people, features.fold
    share_C = np.bincount(people.targets_P[fold.train_n], minlength=len(people.classes)) / len(fold.train_n)
    return np.tile(share_C, (len(fold.test_n), 1)), people.classes[int(share_C.argmax())]


def regression(values_PD: Any, features: Features) -> tuple[np.ndarray, str]:
    """Logistic regression, C and class weights chosen."""

    def options() -> Iterator[tuple[Any, str]]:
        for balanced in (None, "balanced"):
            classifier = LogisticRegression(class_weight=balanced, max_iter=ITERATIONS, warm_start=True)
            for strength in STRENGTHS:
                yield classifier.set_params(C=strength), f"C {strength:g}{', balanced' if balanced else ''}"

    return _best(values_PD, features, options())


def boosting(features: Features) -> tuple[np.ndarray, str]:
    """Histogram gradient boosting on category shares, rounds chosen."""

    def options() -> Iterator[tuple[Any, str]]:
        for rounds in ROUNDS:
            yield (
                HistGradientBoostingClassifier(
                    max_iter=rounds,
                    learning_rate=0.05,
                    max_leaf_nodes=8,
                    min_samples_leaf=10,
                    l2_regularization=1.0,
                    early_stopping=False,
                    random_state=features.seed,
                ),
                f"{rounds} rounds",
            )

    return _best(features.shares_PG, features, options())


def _best(values_PD: Any, features: Features, options: Iterator[tuple[Any, str]]) -> tuple[np.ndarray, str]:
    people, fold = features.people, features.fold
    best: Chosen | None = None
    for classifier, said in options:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # weak regularisation: the validation users decide
            classifier.fit(values_PD[fold.train_n], people.targets_P[fold.train_n])
        scores = _scores(_probabilities(classifier, values_PD, fold.valid_n, people), people, fold)
        if best is None or scores > best.scores:
            best = Chosen(scores, _probabilities(classifier, values_PD, fold.test_n, people), said)
    assert best is not None
    return best.probabilities_NC, best.said


def _scores(probabilities_NC: np.ndarray, people: People, fold: Fold) -> tuple[float, float]:
    """Of the validation users, macro-F1 plus AUC: F1 alone moves with a handful of them, and takes fits too weakly penalised.
    Then minus the log loss, for ties: neither of the two sees how sure a fit is."""
    outcome = Classified(probabilities_NC, people.targets_P[fold.valid_n])
    macro_f1, auc, log_loss = (float(parse(metric).value(outcome)[0]) for metric in ("macro_f1", "auc", "log_loss"))
    return float(np.nan_to_num(macro_f1) + np.nan_to_num(auc)), -float(np.nan_to_num(log_loss, nan=np.inf))


def _probabilities(classifier: Any, values_PD: Any, places_n: np.ndarray, people: People) -> np.ndarray:
    """Over all classes of the task; 0 for one that no training user has."""
    found_NC = np.zeros((len(places_n), len(people.classes)))
    if len(places_n):
        found_NC[:, classifier.classes_] = classifier.predict_proba(values_PD[places_n])
    return found_NC
