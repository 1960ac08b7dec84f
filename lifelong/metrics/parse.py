"""Metrics by the names people write: `ndcg@10`, `accuracy`."""

import dataclasses

from lifelong.core.errors import ConfigError
from lifelong.core.registry import find, make_config
from lifelong.metrics.kinds.base import Metric


def parse(spec: str) -> Metric:
    """The metric that `name` or `name@k` stands for; `package.module:Class@k` names one outside lifelong.

    Raises ConfigError for an unknown name, a cut-off that is no whole number of at least 1, or one where none is taken.

    >>> parse("ndcg@10").label
    'NDCG@10'
    """
    name, at, cut = spec.strip().partition("@")
    options: dict[str, object] = {"name": name}
    if at:
        fields = {field.name for field in dataclasses.fields(find("metrics", name).Config)}
        if "k" not in fields:
            raise ConfigError(f"metric {spec!r}: {name} has no cut-off; write {name!r}")
        if not (cut.isascii() and cut.isdigit()):
            raise ConfigError(
                f"metric {spec!r}: the cut-off {cut!r} is no whole number; write for instance '{name}@10'"
            )
        options["k"] = int(cut)
    _, cls, config = make_config("metrics", options, f"metric {spec!r}")
    return cls(config)
