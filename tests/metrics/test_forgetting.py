import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import lifelong.metrics
from lifelong.metrics.forgetting import (
    average,
    average_by_metric,
    backward_transfer,
    forgetting,
    forgetting_per_task,
    forward_gain,
    intransigence,
    mean_by_metric,
)

NAN = np.nan
FALLS = [[0.6, NAN, NAN], [0.7, 0.5, NAN], [0.4, 0.3, 0.9]]
modules = [m.name for m in pkgutil.walk_packages(lifelong.metrics.__path__, "lifelong.metrics.")]


@pytest.mark.parametrize("name", modules)
def test_doctests(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


def test_there_are_doctests():
    module = importlib.import_module("lifelong.metrics.forgetting")
    assert sum(len(t.examples) for t in doctest.DocTestFinder().find(module)) >= 9


def test_by_hand():
    assert average(FALLS) == pytest.approx((0.4 + 0.3 + 0.9) / 3)
    assert backward_transfer(FALLS) == pytest.approx(((0.4 - 0.6) + (0.3 - 0.5)) / 2)
    assert forgetting_per_task(FALLS) == pytest.approx(
        [0.7 - 0.4, 0.5 - 0.3, 0]
    )  # the best earlier value, not the first
    assert forgetting(FALLS) == pytest.approx(0.25)
    assert forward_gain(FALLS, [0.5, NAN, 0.8]) == pytest.approx((0.1 + 0.1) / 2)
    assert intransigence(FALLS, [0.6, 0.6, 0.6]) == pytest.approx([0.0, 0.1, -0.3])


def test_bit_equal_columns_are_exactly_zero():
    column_values = np.random.default_rng(0).random(9)
    matrix = np.where(np.tri(9, dtype=bool), column_values, NAN)
    assert backward_transfer(matrix) == 0.0
    assert forgetting(matrix) == 0.0
    assert (forgetting_per_task(matrix) == 0.0).all()


def test_one_bit_is_seen():
    """The planted fault: the last bit of one final value."""
    matrix = np.where(np.tri(3, dtype=bool), [0.3, 0.6, 0.9], NAN)
    matrix[2, 0] = np.nextafter(0.3, 0)
    assert backward_transfer(matrix) < 0.0
    assert forgetting(matrix) > 0.0


def test_one_task_forgets_nothing():
    assert forgetting([[0.5]]) == backward_transfer([[0.5]]) == 0.0
    assert forgetting_per_task([[0.5]]).tolist() == [0.0]


def test_json_nulls_are_not_learned_yet():
    assert forgetting([[0.6, None], [0.5, 0.9]]) == pytest.approx(0.1)


def test_scales_are_kept_apart():
    assert average_by_metric(FALLS, ["auc", "ndcg@10", "auc"]) == pytest.approx({"auc": 0.65, "ndcg@10": 0.3})
    assert mean_by_metric([0.2, 0.3, 0.6], ["auc", "ndcg@10", "auc"]) == pytest.approx({"auc": 0.4, "ndcg@10": 0.3})
    assert mean_by_metric([], []) == {}


@pytest.mark.parametrize("shape", [(2, 3), (0, 0), (3,)])
def test_shape_is_checked(shape):
    with pytest.raises(ValueError, match="one row and one column per task"):
        forgetting(np.zeros(shape))
