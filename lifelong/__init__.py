"""One user encoder that is pretrained once, learns task after task for years, and never forgets."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["LifelongError", "LivingModel", "Task", "__version__", "run_forgetting"]

if TYPE_CHECKING:
    from lifelong.core.errors import LifelongError
    from lifelong.forgetting import run_forgetting
    from lifelong.living import LivingModel
    from lifelong.model.task import Task

_HOMES = {
    "LifelongError": "lifelong.core.errors",
    "LivingModel": "lifelong.living",
    "Task": "lifelong.model.task",
    "run_forgetting": "lifelong.forgetting",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import lifelong` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lifelong' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
