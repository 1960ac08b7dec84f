"""From columns of the users to what a head is trained on: classes, several labels, or a number; with the catalogue of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError

NOT_A_LABEL = ("nan", "none", "null", "n/a", "<na>", "")
HOLDS = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
"""What a column of one label says, in any case."""
OTHER_SEPARATORS = ("|", ";", ",", " ")
"""What files have between labels."""
LESS = re.compile(r"^\s*(<|≤|under|below|up to|less)", re.IGNORECASE)
SHOWN = 8
"""Classes that an error names."""
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Targets:
    """What is right for each user: class index int64 (U,), labels float32 (U, C), or numbers float32 (U,); any value where the
    user has none. catalogue: the classes, the labels, or the number's name."""

    values_U: np.ndarray
    catalogue: tuple[str, ...]


def read_targets(
    answers: str, options: Any, columns: Mapping[str, pa.Array], kept_U: np.ndarray, train_U: np.ndarray, where: str
) -> Targets:
    """Targets for a head that answers "classes", "labels" or "number", with the head's options, out of columns of text.

    kept_U, bool: the users that take part; they have a value in every column. train_U: those that are trained on; classes and
    labels are those that occur among them. Raises DataError, which begins with `where`.
    """
    for name, column in columns.items():
        _no_placeholders(column.filter(pa.array(kept_U)), f"{where}: label {name!r}")
    read: dict[str, Callable[..., Targets]] = {"classes": _classes, "labels": _labels, "number": _number}
    return read[answers](options, columns, kept_U, train_U, where)


def natural_order(classes: Sequence[str], where: str) -> list[str]:
    """Classes by the first number in each; one that says `<` or `under` comes before its number, as one with `+` does after.

    Raises DataError where a class has no number, or two have the same place.

    >>> natural_order(["25-34", "<18", "65+", "18-24"], "")
    ['<18', '18-24', '25-34', '65+']
    """
    numbers = [NUMBER.search(name) for name in classes]
    if not all(numbers):
        wrong = next(name for name, number in zip(classes, numbers, strict=True) if number is None)
        raise DataError(f"{where}: class {wrong!r} holds no number to go by; give head.order, from least to greatest")
    place = {
        name: (float(found[0]), -1 if LESS.search(name) else int(name.rstrip().endswith("+")))
        for name, found in zip(classes, numbers, strict=True)
        if found
    }
    if len(set(place.values())) < len(place):
        shown = ", ".join(map(repr, sorted(classes)[:SHOWN])) + (
            f" and {len(classes) - SHOWN:,} more" * (len(classes) > SHOWN)
        )
        raise DataError(
            f"{where}: the order of {shown} is not plain; give head.order, from least to greatest, or take head: regression"
        )
    return sorted(place, key=lambda name: place[name])


def _classes(
    options: Any, columns: Mapping[str, pa.Array], kept_U: np.ndarray, train_U: np.ndarray, where: str
) -> Targets:
    ((name, column),) = columns.items()
    if not kept_U.any():
        raise DataError(f"{where}: nobody has both a value of {name!r} and a history that may be read")
    classes = sorted(column.filter(pa.array(kept_U & train_U)).unique().to_pylist())
    if hasattr(options, "order"):
        classes = _ordered(classes, options.order, f"{where}: label {name!r}")
    index_U = pc.index_in(column, value_set=pa.array(classes, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
    unseen = column.filter(pa.array(kept_U & (index_U < 0))).unique().to_pylist()
    if unseen:
        raise DataError(
            f"{where}: class {unseen[0]!r} of {name!r} never occurs among the training users; merge rare classes in your file, "
            "or change data.split.salt"
        )
    if not classes:
        raise DataError(f"{where}: no training user who can be read has a value of {name!r}")
    if len(classes) < 2:
        raise DataError(f"{where}: {name!r} has one class only ({classes}); there is nothing to learn")
    return Targets(index_U.astype(np.int64), tuple(classes))


def _ordered(classes: list[str], order: list[str] | None, where: str) -> list[str]:
    if order is None:
        return natural_order(classes, where)
    missing = sorted(set(classes) - set(order))
    if missing:
        raise DataError(f"{where}: class {missing[0]!r} is not in head.order; put it where it belongs")
    return [name for name in order if name in classes]


def _labels(
    options: Any, columns: Mapping[str, pa.Array], kept_U: np.ndarray, train_U: np.ndarray, where: str
) -> Targets:
    if len(columns) > 1:
        sides = [_holds(column, kept_U, f"{where}: label {name!r}") for name, column in columns.items()]
        return _not_all_alike(Targets(np.stack(sides, axis=1), tuple(columns)), kept_U & train_U, where)
    ((name, column),) = columns.items()
    lists = pc.split_pattern(column, options.separator)
    _need_separator(column.filter(pa.array(kept_U)), options.separator, f"{where}: label {name!r}")
    tags, user_n = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    inside_n = (kept_U & train_U)[user_n]
    labels = sorted(tag for tag in tags.filter(pa.array(inside_n)).unique().to_pylist() if tag)
    index_n = pc.index_in(tags, value_set=pa.array(labels, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
    values_UC = np.zeros((len(column), len(labels)), np.float32)
    values_UC[user_n[index_n >= 0], index_n[index_n >= 0]] = 1.0
    return _not_all_alike(Targets(values_UC, tuple(labels)), kept_U & train_U, where)


def _holds(column: pa.Array, kept_U: np.ndarray, where: str) -> np.ndarray:
    """1.0 or 0.0 of each user (U,), float32."""
    lower = pc.utf8_lower(column)
    index = pc.index_in(lower, value_set=pa.array(HOLDS))
    wrong = column.filter(pa.array(kept_U & ~index.is_valid().to_numpy(zero_copy_only=False)))
    if len(wrong):
        raise DataError(
            f"{where} holds {wrong[0].as_py()!r}; a column of several says yes or no, 1 or 0, true or false"
        )
    found: np.ndarray = np.array(list(HOLDS.values()), np.float32)[index.fill_null(1).to_numpy(zero_copy_only=False)]
    return found


def _not_all_alike(targets: Targets, train_U: np.ndarray, where: str) -> Targets:
    """The same without the labels that all training users have or none has: those cannot be learnt."""
    share_C = targets.values_U[train_U].mean(0) if train_U.any() else np.zeros(len(targets.catalogue))
    kept_C = (share_C > 0) & (share_C < 1)
    if not kept_C.any():
        raise DataError(f"{where}: every label is held by all training users, or by none; there is nothing to learn")
    names = tuple(name for name, kept in zip(targets.catalogue, kept_C, strict=True) if kept)
    return Targets(np.ascontiguousarray(targets.values_U[:, kept_C]), names)


def _number(
    options: Any, columns: Mapping[str, pa.Array], kept_U: np.ndarray, train_U: np.ndarray, where: str
) -> Targets:
    ((name, column),) = columns.items()
    numbers = _as_numbers(column.filter(pa.array(kept_U)), f"{where}: label {name!r}")
    values_U = np.zeros(len(column), np.float32)
    values_U[kept_U] = numbers
    if not np.ptp(values_U[kept_U & train_U]) > 0:
        raise DataError(f"{where}: {name!r} is the same number for every training user; there is nothing to learn")
    return Targets(values_U, (name,))


def _as_numbers(column: pa.Array, where: str) -> np.ndarray:
    """The texts as float32; raises DataError naming one that is no finite number."""
    plain = pc.match_substring_regex(pc.utf8_trim_whitespace(column), r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    wrong = column.filter(pc.invert(plain))
    if len(wrong):
        raise DataError(f"{where} holds {wrong[0].as_py()!r}, which is no number; leave the cell empty where unknown")
    with np.errstate(over="ignore"):
        numbers = pc.utf8_trim_whitespace(column).cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
    if not np.isfinite(numbers).all():
        wrong = column.filter(pa.array(~np.isfinite(numbers)))
        raise DataError(f"{where} holds {wrong[0].as_py()!r}; that is too large")
    return numbers


def _no_placeholders(column: pa.Array, where: str) -> None:
    """Raises DataError for a text that stands for no label."""
    for value in column.unique().to_pylist():
        if value is not None and value.strip().lower() in NOT_A_LABEL:
            raise DataError(f"{where} holds {value!r}; leave the cell empty where unknown")


def _need_separator(column: pa.Array, separator: str, where: str) -> None:
    """Raises DataError where nobody has two labels, and a cell looks like several with another separator."""
    if pc.any(pc.match_substring(column, separator)).as_py():
        return
    for other in OTHER_SEPARATORS:
        found = column.filter(pc.match_substring(column, other))
        if len(found):
            raise DataError(
                f"{where}: {found[0].as_py()!r} looks like several labels, and none has two by the separator {separator!r}; "
                f"set head.separator to {other!r}, or take head: classification where each cell is one class"
            )
