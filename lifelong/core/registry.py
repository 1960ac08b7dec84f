"""What there is of each kind, found by file name: `sasrec` in YAML is the class in lifelong/encoders/sasrec.py.

A station's folder holds `base.py` with the base class and one file a method; no list, no decorator. `package.module:Class`
names a class outside the tree. Listing reads the files as text, so it stays fast and imports nothing heavy.
"""

import ast
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from lifelong.core.config import build, suggest
from lifelong.core.errors import ConfigError

PACKAGES = {
    "datasets": ("lifelong.data.datasets", "Source"),
    "items": ("lifelong.items", "ItemEncoder"),
    "encoders": ("lifelong.encoders", "Encoder"),
    "objectives": ("lifelong.objectives", "Objective"),
    "strategies": ("lifelong.continual.strategies", "Strategy"),
    "parts": ("lifelong.continual.parts", "Part"),
    "heads": ("lifelong.heads", "Head"),
    "metrics": ("lifelong.metrics.kinds", "Metric"),
}
"""Kind -> (package, name of the base class in the package's base.py)."""


@dataclass(frozen=True)
class Entry:
    """One thing of a kind: its YAML name and the first line of its docstring."""

    name: str
    summary: str


def names(kind: str) -> list[str]:
    """The YAML names of a kind, sorted."""
    return sorted(path.stem for path in _folder(kind).glob("*.py") if path.stem not in ("__init__", "base"))


def entries(kind: str) -> list[Entry]:
    """Names with summaries, read from the files without importing them."""
    return [Entry(name, _summary(_folder(kind) / f"{name}.py")) for name in names(kind)]


def find(kind: str, name: str, *, outside: bool = True) -> type[Any]:
    """The class called `name`: a file of the station, or `package.module:Class` where `outside` allows it.

    Names that come out of a stored model are looked up with outside=False: then a class outside the tree is taken only where
    the program has imported it already, so that no file can make us import code.
    Raises ConfigError for a name that does not exist or a class that is not of this kind.
    """
    package, base_name = PACKAGES[kind]
    base = getattr(importlib.import_module(f"{package}.base"), base_name)
    if ":" in name:
        home = name.partition(":")[0]
        if not outside and home not in sys.modules:
            raise ConfigError(f"{kind}: this model uses {name!r}; `import {home}` before you open it, if you trust it")
        return _find_outside(kind, name, base)
    if name not in names(kind):
        raise ConfigError(f"{kind}: there is no {name!r}{suggest(name, names(kind))}")
    module = importlib.import_module(f"{package}.{name}")
    found = [c for c in vars(module).values() if _defines(c, base, module.__name__)]
    if len(found) != 1:
        raise ConfigError(f"{module.__name__} must define exactly one {base_name}, it defines {len(found)}")
    return found[0]


def make_config(kind: str, spec: Any, where: str, *, outside: bool = True) -> tuple[str, type[Any], Any]:
    """`name` or `{name: …, option: …}` from YAML as (name, class, its Config)."""
    if not isinstance(spec, (str, Mapping, NoneType)):
        raise ConfigError(f"{where}: {spec!r:.60} names none; there is: {', '.join(names(kind))}")
    spec = {"name": spec} if isinstance(spec, str) else dict(spec or {})
    name = spec.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: 'name' is missing; there is: {', '.join(names(kind))}")
    cls = find(kind, name, outside=outside)
    return name, cls, build(cls.Config, spec, f"{where} {name}")


def _find_outside(kind: str, name: str, base: type[Any]) -> type[Any]:
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{kind}: {name!r} cannot be imported: {error}") from None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"{kind}: {name!r} is no subclass of {base.__module__}:{base.__name__}")
    return found


def _defines(candidate: Any, base: type[Any], module: str) -> bool:
    return (
        isinstance(candidate, type)
        and issubclass(candidate, base)
        and candidate.__module__ == module
        and not candidate.__name__.startswith("_")
    )


def _folder(kind: str) -> Path:
    return Path(__file__).parent.parent.joinpath(*PACKAGES[kind][0].split(".")[1:])


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")
