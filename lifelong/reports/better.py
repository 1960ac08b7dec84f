"""Which of two values is better: more, but for metrics such as mae, of which less is."""

from collections.abc import Iterable
from typing import Any

from lifelong.core.direction import sign


def best(metric: Any, values: Iterable[float]) -> float | None:
    """The best of a metric's values, None of none.

    >>> best("auc", [.1, .5]), best("mae", [.1, .5])
    (0.5, 0.1)
    """
    return max(values, key=lambda value: sign(metric) * value, default=None)


def shade(metric: Any, moved: Any) -> str:
    """The class of a change: "up" where it is for the better, "down" for the worse.

    >>> shade("auc", .1), shade("mae", .1), shade("mae", 0)
    ('up', 'down', '')
    """
    return "" if not moved else "up" if sign(metric) * moved > 0 else "down"
