"""Which column of a file is the user, the item, the time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lifelong.core.config import suggest
from lifelong.core.errors import DataError

MAX_SHOWN = 300
"""Characters of the names of columns that an error shows."""
ROLES = ("user", "item", "time", "tie", "channel")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names that a file's columns have."""

    user: str = "user"
    """Column of the user's id."""
    item: str = "item"
    """Column of the item's id, or of the list of them where a row is a user."""
    time: str | None = "time"
    """Column of the time; null to take the order of the file."""
    tie: str | None = None
    """Column of whole numbers that order events of equal time; left out: the order of the file."""
    channel: str | None = None
    """Column that says what kind of event it is, such as click or like."""
    time_unit: Literal["auto", "seconds", "milliseconds", "microseconds", "nanoseconds"] = "auto"
    """Unit of a time given as a number; auto tells it by its size."""

    def find(self, names: Sequence[str], label: str) -> dict[str, str]:
        """Role -> column, for those that are asked for. Raises DataError where one is missing or stands twice."""
        found: dict[str, str] = {}
        for role in ROLES:
            name = getattr(self, role)
            if name is None:
                continue
            if name not in names:
                raise DataError(f"{label}: there is no column {name!r}{_near(name, names)}; {_way_out(role)}")
            if list(names).count(name) > 1:
                raise DataError(f"{label}: column {name!r} stands {list(names).count(name)} times; rename all but one")
            if name in found.values():
                raise DataError(f"{label}: column {name!r} cannot be both {_role_of(found, name)} and {role}")
            found[role] = name
        return found


def _near(name: str, names: Sequence[str]) -> str:
    """What is like it, or what there is: on one line, and not all of a thousand. A first row of data is not shown: somebody's
    id stands in it."""
    if any(re.fullmatch(r"[+-]?\d+(\.\d+)?", n.strip()) for n in names):
        return "; its first row is data, it seems; where a file has no header, say the columns with names"
    said = suggest(name, [n if n.isprintable() else ascii(n) for n in names])
    return said if len(said) <= MAX_SHOWN else f"{said[:MAX_SHOWN]} …"


def _way_out(role: str) -> str:
    flag = f" (--{role}-col)" if role in ("user", "item", "time") else ""
    way = f"say which one is the {role} with columns.{role}{flag}"
    return f"{way}, or columns.time: null for the order of the file" if role == "time" else way


def _role_of(found: dict[str, str], name: str) -> str:
    return next(role for role, n in found.items() if n == name)
