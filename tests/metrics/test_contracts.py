import numpy as np
import pytest

from lifelong.core.registry import names
from lifelong.core.types import Classified
from lifelong.metrics.kinds.accuracy import Accuracy
from lifelong.metrics.kinds.hr import HitRate
from lifelong.metrics.parse import parse
from lifelong.testing.metrics import CHECKS, check_metric


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", names("metrics"))
def test_contract(name, check):
    check(parse(name))


class _Planted:
    """Metrics with a fault each; the contract must see every one of them."""

    class TopClassIsOne(Accuracy):
        def cases(self, outcome):
            return (outcome.targets_N == 1).astype(float)

    class ForgetsWeights(Accuracy):
        def value(self, outcome, weights_RN=None):
            return np.repeat(super().value(outcome), 1 if weights_RN is None else len(weights_RN))

    class OffByOne(HitRate):
        def gain(self, ranks_N):
            return ranks_N - 1.0

    class WeightsTwice(Accuracy):
        def value(self, outcome, weights_RN=None):
            return super().value(outcome, None if weights_RN is None else weights_RN**2)

    class LooksAtOrder(Accuracy):
        def cases(self, outcome):
            first = slice(0, max(1, len(outcome.targets_N) // 2))
            return super().cases(Classified(outcome.probabilities_NC[first], outcome.targets_N[first]))


@pytest.mark.parametrize("fault", [v for v in vars(_Planted).values() if isinstance(v, type)], ids=lambda f: f.__name__)
def test_contract_catches(fault):
    with pytest.raises((AssertionError, ValueError)):
        check_metric(fault())
