"""From columns of text to classes, labels and numbers; every message names the label, the value and the way out."""

import numpy as np
import pyarrow as pa
import pytest

from lifelong.core.errors import DataError
from lifelong.heads.classification import Classification
from lifelong.heads.multi_label import MultiLabel
from lifelong.heads.ordinal import Ordinal
from lifelong.heads.regression import Regression
from lifelong.model.targets import natural_order, read_targets

AGES = ["18-24", "<18", None, "56+", "18-24", "25-34", "56+", "<18", "25-34"]


def read(head, columns, train=None, **options):
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    kept = np.all([a.is_valid().to_numpy(zero_copy_only=False) for a in arrays.values()], axis=0)
    train = np.ones(len(kept), bool) if train is None else np.array(train)
    return read_targets(head.answers, head.Config(**options), arrays, kept, train, "task 'x'"), kept


def test_classes_are_sorted_by_name_and_ordinal_ones_by_number():
    plain, kept = read(Classification, {"age": AGES})
    assert plain.catalogue == ("18-24", "25-34", "56+", "<18")
    ordered, _ = read(Ordinal, {"age": AGES})
    assert ordered.catalogue == ("<18", "18-24", "25-34", "56+")
    assert ordered.values_U[kept].tolist() == [1, 0, 3, 1, 2, 3, 0, 2]
    assert ordered.values_U.dtype == np.int64


def test_a_given_order_is_taken_and_its_unused_classes_left_out():
    found, _ = read(Ordinal, {"size": ["s", "l", "m", "s"]}, order=["xs", "s", "m", "l", "xl"])
    assert found.catalogue == ("s", "m", "l")
    assert found.values_U.tolist() == [0, 2, 1, 0]


@pytest.mark.parametrize(
    "classes",
    [
        ["Under 15K", "15-24K", "25-34K", "100-124K", "250K+"],
        ["1", "2", "3", "4", "5+"],
        ["< 1.5", "1.5", "2", "10"],
        ["<18", "18-24", "25-34", "56+"],
    ],
)
def test_natural_order(classes):
    assert natural_order(classes[::-1], "") == classes


@pytest.mark.parametrize(
    ("head", "columns", "options", "says"),
    [
        (Classification, {"g": ["a", "nan", "b"]}, {}, r"'g' holds 'nan'; leave the cell empty"),
        (Classification, {"g": ["a", " ", "b"]}, {}, r"'g' holds ' '; leave"),
        (Classification, {"g": ["a", "a", None]}, {}, r"one class only \(\['a'\]\)"),
        (Ordinal, {"g": ["young", "7"]}, {}, r"'young' holds no number to go by; give head.order"),
        (Ordinal, {"g": ["1-2", "1-3"]}, {}, r"of '1-2', '1-3' is not plain; give head.order"),
        (
            Ordinal,
            {"g": [f"{n}.5" for n in range(90)] + ["1.50"]},
            {},
            r"and 83 more is not .* or take head: regression",
        ),
        (Ordinal, {"g": ["a", "b"]}, {"order": ["a", "c"]}, r"class 'b' is not in head.order"),
        (
            MultiLabel,
            {"a": ["1", "0"], "b": ["1", "maybe"]},
            {},
            r"'b' holds 'maybe'; a column of several says yes or no",
        ),
        (MultiLabel, {"a": ["1", "1"], "b": ["0", "0"]}, {}, r"held by all training users, or by none"),
        (
            MultiLabel,
            {"t": ["red|blue", "green"]},
            {},
            r"'red|blue' looks like several labels.*set head.separator to '|'",
        ),
        (MultiLabel, {"t": ["red blue", "green"]}, {"separator": ","}, r"set head.separator to ' '"),
        (Regression, {"n": ["1", "many"]}, {}, r"'n' holds 'many', which is no number"),
        (Regression, {"n": ["1", "inf"]}, {}, r"'n' holds 'inf', which is no number"),
        (Regression, {"n": ["1", "1e99"]}, {}, r"'n' holds '1e99'; that is too large"),
        (Regression, {"n": ["2", "2.0"]}, {}, r"'n' is the same number for every training user"),
    ],
)
def test_errors_name_the_value_and_the_way_out(head, columns, options, says):
    with pytest.raises(DataError, match=says) as caught:
        read(head, columns, **options)
    assert str(caught.value).startswith("task 'x': ")
    assert "\n" not in str(caught.value)


def test_classes_that_only_others_have_are_refused():
    with pytest.raises(DataError, match="class 'c' of 'g' never occurs among the training users"):
        read(Classification, {"g": ["a", "b", "c"]}, train=[True, True, False])


def test_several_columns_are_labels_in_their_order():
    found, kept = read(MultiLabel, {"z": ["1", "0", None, "true"], "a": ["No", "YES", "1", "0.0"], "c": ["1"] * 4})
    assert found.catalogue == ("z", "a")  # all have c
    assert found.values_U[kept].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert found.values_U.dtype == np.float32


def test_one_column_is_split_and_knows_what_training_knows():
    columns = {"tags": ["b a", "a", None, "c d  b", "a"]}
    found, kept = read(MultiLabel, columns, train=[True, True, True, False, True])
    assert found.catalogue == ("b",)  # all training users have a; c and d are unknown to training
    assert found.values_U[kept].tolist() == [[1], [0], [1], [0]]
    piped, _ = read(MultiLabel, {"tags": ["x y|z", "z", "w"]}, separator="|")
    assert piped.catalogue == ("w", "x y", "z")


def test_numbers_are_read_as_they_are_written():
    found, kept = read(Regression, {"n": ["1", " 2.5 ", "-3e2", None, ".5", "+7."]})
    assert found.values_U[kept].tolist() == [1.0, 2.5, -300.0, 0.5, 7.0]
    assert found.catalogue == ("n",)
