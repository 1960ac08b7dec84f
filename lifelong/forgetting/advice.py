"""Which strategy to take for each task: of those that leave earlier tasks alone, the cheapest that none clearly beats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from lifelong.forgetting.statistics import Scores, paired

Across = Mapping[tuple[int, int], Scores]
Cost = Callable[[str], Mapping[str, float]]
"""Name of a strategy -> its mean bytes, seconds, … for a task."""


class Advice(TypedDict):
    """What to take for a task, by its first metric on validation cases, so that test figures stay untouched by the choice."""

    use: str
    bytes: float
    """Stored for the task."""
    best: str
    """The strategy with the best mean."""
    behind: dict[str, Any] | None
    """By how much the best is better than the one to use, with its interval; nothing where they are one."""
    cheaper: list[str]
    """What stores less, and is clearly worse than the best."""


def advise(across: Mapping[str, Across], cost: Cost) -> Advice | None:
    """Of several strategies, by their scores on the same validation cases; nothing where fewer than two were scored.

    Clearly below the best is one whose paired interval (statistics.paired: over users and, with several, over seeds) lies
    below zero as a whole. Of all others the one that stores least, the quickest of equals.
    """
    means = {name: _mean(found) for name, found in across.items() if found}
    means = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    if len(means) < 2:
        return None
    best = max(means, key=lambda name: means[name])
    behind = {name: paired(across[best], across[name]) for name in means if name != best}
    clear = [name for name, gap in behind.items() if gap and gap["low"] > 0]
    by_cost: Sequence[str] = sorted(means, key=lambda name: (cost(name)["bytes"], cost(name)["seconds"]))
    use = next(name for name in by_cost if name not in clear)
    cheaper = list(by_cost[: by_cost.index(use)])
    return {"use": use, "bytes": cost(use)["bytes"], "best": best, "behind": behind.get(use), "cheaper": cheaper}


def _mean(found: Across) -> float:
    return float(np.mean([scores.value for scores in found.values()]))
