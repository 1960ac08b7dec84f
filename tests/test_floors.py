"""Imports go down: doors (3) > the living model (2) > stations (1), which do not know each other, > the ground (0)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lifelong"
DOORS = {"", "__main__", "cli", "serving"}  # "" is lifelong/__init__.py
STATIONS = {"data", "items", "encoders", "objectives", "continual", "heads", "metrics", "store", "reports", "parallel"}
ROOMS = (
    "model",
    "asking",
    "keeping",
    "growing",
    "living",
    "privacy",
    "forgetting",
    "profiling",
    "transferring",
    "audit",
    "batch",
)
"""Of floor 2, the lowest first; adding.py and opened.py are storeys of living.py."""
STOREYS = {"adding": "living", "opened": "living"}
ANYWHERE = {("lifelong", "__version__")}


def test_imports_go_down():
    assert broken_rules(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("store/store.py", "from lifelong.data.prepare import prepare", "station store imports station data"),
        ("data/feeds.py", "import lifelong.living", "data (floor 1) imports living (floor 2)"),
        ("core/slot.py", "from lifelong.continual import view", "core (floor 0) imports continual (floor 1)"),
        ("living.py", "from lifelong.cli import main", "living (floor 2) imports cli (floor 3)"),
        ("living.py", "from lifelong import Task", "living (floor 2) imports lifelong (floor 3)"),
        ("heads/base.py", "from ..metrics.parse import parse", "station heads imports station metrics"),
        ("heads/base.py", "def f():\n    from lifelong.metrics import parse", "station heads imports station metrics"),
        ("testing/store.py", "import lifelong.serving.app", "testing (floor 2) imports serving (floor 3)"),
        ("model/task.py", "from lifelong.testing import store", "model imports testing"),
        (
            "model/cases.py",
            "from lifelong.asking import answers",
            "room model imports room asking, which lies above it",
        ),
        (
            "growing/growth.py",
            "from lifelong.living import LivingModel",
            "room growing imports room living, which lies above it",
        ),
        ("opened.py", "import lifelong.batch.tables", "room living imports room batch, which lies above it"),
    ],
)
def test_a_planted_fault_is_named(tmp_path, file, line, rule):
    plant(tmp_path, file, line)
    (found,) = broken_rules(tmp_path / "lifelong")
    assert found.endswith(rule)
    assert found.startswith(f"lifelong/{file}:{1 + line.count(chr(10))}: ")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("store/store.py", "from lifelong import __version__"),
        ("store/store.py", "from lifelong.store import folder as layout"),
        ("store/store.py", "from . import folder"),
        ("living.py", "from lifelong import task"),
        ("living.py", "from lifelong.adding import Adding"),
        ("opened.py", "from lifelong.adding import Adding"),
        ("growing/growth.py", "from lifelong.model.task import Task"),
        ("batch/tables.py", "from lifelong.living import LivingModel"),
        ("living.py", "from lifelong.data.prepare import prepare"),
        ("cli/commands/growing.py", "from lifelong.living import LivingModel"),
        ("cli/commands/growing.py", "from lifelong import LivingModel"),
        ("testing/store.py", "from lifelong.living import LivingModel"),
        ("core/slot.py", "import torch"),
    ],
)
def test_what_is_allowed_passes(tmp_path, file, line):
    plant(tmp_path, file, line)
    plant(tmp_path, "task.py", "")
    assert broken_rules(tmp_path / "lifelong") == []


def plant(folder, file, text):
    path = folder / "lifelong" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def broken_rules(root):
    """`file:line: rule` for every import that goes up, or from one station to another."""
    broken = []
    for path in sorted(root.rglob("*.py")):
        module = module_of(path, root)
        for line, target in imports(path, module, root):
            rule = broken_rule(place(module), place(target))
            if rule:
                broken.append(f"lifelong/{path.relative_to(root).as_posix()}:{line}: {rule}")
    return broken


def broken_rule(importer, imported):
    above, below = floor(importer), floor(imported)
    if below > above:
        return f"{importer} (floor {above}) imports {imported or 'lifelong'} (floor {below})"
    if importer in STATIONS and imported in STATIONS and importer != imported:
        return f"station {importer} imports station {imported}"
    if imported == "testing" != importer:
        return f"{importer} imports testing"
    one, other = (STOREYS.get(name, name) for name in (importer, imported))
    if one in ROOMS and other in ROOMS and ROOMS.index(one) < ROOMS.index(other):
        return f"room {one} imports room {other}, which lies above it"
    return None


def test_every_part_of_floor_2_is_a_room():
    places = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert places - DOORS - STATIONS - STOREYS.keys() - {"__init__", "core", "testing"} == set(ROOMS)


def floor(name):
    if name in DOORS:
        return 3
    return 0 if name == "core" else 1 if name in STATIONS else 2


def place(module):
    """The file or package directly below lifelong that a module belongs to."""
    return module.partition(".")[2].partition(".")[0]


def module_of(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(["lifelong", *(p for p in parts if p != "__init__")])


def imports(path, module, root):
    """(line, module) of every import of ours, also within functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = absolute(node, module, path)
            targets = [
                f"{package}.{alias.name}" if is_module(f"{package}.{alias.name}", root) else package
                for alias in node.names
                if (package, alias.name) not in ANYWHERE
            ]
        else:
            continue
        yield from ((node.lineno, t) for t in dict.fromkeys(targets) if t.split(".")[0] == "lifelong")


def absolute(node, module, path):
    if not node.level:
        return node.module
    parts = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def is_module(name, root):
    path = root.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
