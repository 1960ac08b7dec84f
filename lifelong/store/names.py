"""What a task, a job or an operation may be called: safe as a file name on every system and in every report."""

import re
from typing import Any

from lifelong.core.errors import ConfigError

RULE = "1 to 64 of a-z 0-9 _ -, beginning with a letter or a digit"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}


def check_name(name: Any) -> str:
    """`name` as it is; raises ConfigError, the value escaped, for one that breaks the rule or is a Windows device."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{name!a:.80} is no name: write {RULE}")
    if name in _DEVICES:
        raise ConfigError(f"{name!r} is no name: Windows keeps it for a device; choose another")
    return name


def is_name(name: Any) -> bool:
    """Whether check_name would let it pass."""
    try:
        check_name(name)
    except ConfigError:
        return False
    return True
