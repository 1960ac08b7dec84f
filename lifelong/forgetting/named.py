"""Strategies of a run by what people call them: a bare name, or the name and the options that it was given."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifelong.core.config import parse_setting
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.fingerprint import json_hash

Named = Mapping[str, Any]
"""Label -> a strategy as a task names it: its name, or {name: …, option: …}."""
PLAIN = re.compile(r"[\w.:+=, -]{1,80}")
"""Labels that a file can be called by."""


def named(strategies: Sequence[Any]) -> Named:
    """The strategies by their labels. Raises UsageError where two are the same."""
    found = {label(spec): spec for spec in strategies}
    if len(found) != len(strategies):
        raise UsageError("two of the strategies are the same; name each once, or with other options")
    return found


def read(text: str) -> list[Any]:
    """Strategies as a command names them: `conure,{name: conure, keep: 0.5}`. Raises UsageError.

    >>> read("conure, {name: conure, keep: 0.5}")
    ['conure', {'name': 'conure', 'keep': 0.5}]
    """
    try:
        return list(parse_setting(f"strategies=[{text}]")[1])
    except (ConfigError, TypeError):
        raise UsageError(
            f"--strategies {text!r}: write names with commas, or {{name: conure, keep: 0.5}} for one with options"
        ) from None


def label(spec: Any) -> str:
    """What a strategy is called in reports and files; options that no file can be called by become a number.

    >>> label("conure"), label({"name": "conure", "keep": 0.5}), label({"name": "auto", "plan": {"tasks": 6}})
    ('conure', 'conure keep=0.5', 'auto plan.tasks=6')
    """
    if not isinstance(spec, Mapping):
        return str(spec)
    options = {key: value for key, value in spec.items() if key != "name"}
    made = " ".join([str(spec.get("name")), *_said(options)])
    return made if PLAIN.fullmatch(made) else f"{spec.get('name')} {json_hash(options)[:8]}"


def _said(options: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for key, value in sorted(options.items()):
        if isinstance(value, Mapping):
            yield from _said(value, f"{within}{key}.")
        else:
            yield f"{within}{key}={_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value)
