"""Whether more of a metric is better; for statistics and for pages, which may not import each other."""

import re
from typing import Any

from lifelong.core.errors import ConfigError
from lifelong.core.registry import find


def sign(metric: Any) -> float:
    """What values are multiplied by where more has to be better: -1.0 for a metric of which less is, else 1.0, also for a name
    that nothing is known of.

    >>> sign("ndcg@10"), sign("mae"), sign("no such metric")
    (1.0, -1.0, 1.0)
    """
    name = re.split("[@/]", str(metric))[0]
    try:
        return 1.0 if find("metrics", name, outside=False).higher_is_better else -1.0
    except ConfigError:
        return 1.0
