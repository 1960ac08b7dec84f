"""Outcomes of test cases on disk, so that two strategies can be compared user by user after both have run."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.core import types
from lifelong.core.errors import DataError
from lifelong.core.types import Outcome

KIND = "kind"


def keep(outcome: Outcome, path: Path) -> None:
    """Write the arrays of an outcome and the name of its type, as .npz."""
    found = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    arrays: dict[str, Any] = {KIND: np.asarray(type(outcome).__name__)}
    arrays |= {name: np.asarray(value) for name, value in found.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def kept(path: Path) -> Outcome:
    """What `keep` wrote. Raises DataError for a file that holds something else."""
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    cls = getattr(types, str(found.pop(KIND, "")), None)
    if not isinstance(cls, type) or set(found) - {field.name for field in fields(cls)}:
        raise DataError(f"{path}: holds no outcome of test cases; start the run over with --force")
    outcome: Outcome = cls(**found)
    return outcome
