"""Plain documents as JSON, and files that are there as a whole or not at all, wherever a process is killed."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelong.core.errors import UsageError

PARTIAL = ".partial"


def as_json(document: Any) -> str:
    """A document as text; JSON knows no NaN and no infinity: null says that there is no number.

    >>> as_json({"auc": float("nan"), 1: (0.5,)})
    '{\\n "auc": null,\\n "1": [\\n  0.5\\n ]\\n}'
    """
    return json.dumps(finite(document), indent=1, allow_nan=False)


def finite(value: Any) -> Any:
    """A plain value with None for every number that is none."""
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def need_folder(out: str | Path) -> Path:
    """The path, if a folder is there or can be made. Raises UsageError where something else is in its place or above it."""
    path = Path(out)
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    if os.path.lexists(there) and not there.is_dir():
        raise UsageError(f"{path}: {'' if there == path else f'{there} '}is no folder; choose another place")
    return path


def need_file(out: str | Path) -> Path:
    """The path, if a file can be put there. Raises UsageError where it is a folder, or lies in none."""
    path = Path(out)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {str(path.parent)!r}; make it first")
    return path


def write_whole(path: Path, text: str) -> None:
    """Write the text aside, then put it in place of what may be there."""
    aside = path.with_name(path.name + PARTIAL)
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves a whole name for half a file
    os.replace(aside, path)
