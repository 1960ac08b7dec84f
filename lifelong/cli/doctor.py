"""What `lifelong doctor` looks at: versions, imports that are known to break, the numeric stack, what may be added."""

import importlib
import importlib.metadata
import os
import platform
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong import __version__
from lifelong.cli.console import columns, pairs
from lifelong.cli.text import one_line
from lifelong.core.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

IMPORTED = (
    "torch",
    "numpy",
    "sklearn",
    "pyarrow",
    "safetensors",
    "yaml",
    "timm",
    "transformers.models.bert.modeling_bert",
)
"""What is really imported: of transformers a model, because `import transformers` alone imports none."""
TORCHVISION = {
    "native": "native",
    "bridged": "bridged: CUDA build on a CPU torch, its Python part only",
    "imported": "imported before it could be looked at",
    "absent": "absent",
}
_REQUIREMENT = re.compile(r"""^([\w.-]+)(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;.*extra == ['"]([\w-]+)['"].*)?$""")


@dataclass(frozen=True)
class Wanted:
    """One requirement of lifelong: distribution, versions that fit, and the extra that asks for it (None: always)."""

    name: str
    versions: str
    extra: str | None

    @property
    def version(self) -> str | None:
        """The installed version."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def problem(self) -> str | None:
        """Why it does not fit."""
        if self.version is None:
            return f"{self.name} is not installed; run pip install '{self.name}{self.versions}'"
        try:
            from packaging.specifiers import SpecifierSet
        except ImportError:  # transformers brings it; where that is missing, this is said already
            return None
        if SpecifierSet(self.versions).contains(self.version, prereleases=True):
            return None
        return f"{self.name} {self.version} does not fit; run pip install '{self.name}{self.versions}'"


def examine(progress: Progress) -> dict[str, Any]:
    """All findings as plain values; `ok` says whether everything that is required works."""
    wanted = requirements()
    problems = [w.problem for w in wanted if w.extra is None and w.problem]
    progress.say("importing what is required")
    torchvision = _torchvision()  # before timm and transformers
    problems += [problem for module in IMPORTED if (problem := _import_problem(module))]
    absent = {w.extra for w in wanted if w.extra and w.version is None}
    return {
        "ok": not problems,
        "lifelong": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} on {platform.machine()}",
        "packages": {w.name: w.version for w in wanted if w.extra is None},
        "optional": {w.name: w.version for w in wanted if w.extra},
        "torchvision": torchvision,
        **_numbers(),
        "to_add": [f"pip install 'lifelong[{extra}]'" for extra in sorted(absent - {None})],
        "problems": problems,
    }


def lines_of(report: Mapping[str, Any]) -> "list[RenderableType]":
    """The findings for a person."""
    packages = {**report["packages"], **report["optional"]}
    about = {name: str(report[name]) for name in ("lifelong", "python", "system", "device", "malloc", "torchvision")}
    missing = {name: version or "not installed" for name, version in packages.items()}
    verdict = ["everything that is required works"] if report["ok"] else [f"fault: {p}" for p in report["problems"]]
    hints = [f"{command} adds what is not installed" for command in report["to_add"]]
    return [
        pairs(about),
        "",
        columns(("package", "version"), list(missing.items())),
        "",
        _stack(report),
        "",
        *hints,
        *verdict,
    ]


def _stack(report: Mapping[str, Any]) -> "RenderableType":
    heads = ("numeric stack", "what the bits of an answer depend on")
    return columns(heads, list(report["numeric_stack"].items()))


def requirements() -> list[Wanted]:
    """What the installed distribution asks for, or the project file beside a tree that is not installed.

    Each distribution once: as required, else with the smallest extra that asks for it.
    """
    try:
        texts = importlib.metadata.requires("lifelong") or []
    except importlib.metadata.PackageNotFoundError:
        texts = _from_the_tree()
    asked = [Wanted(*match.groups()) for match in map(_REQUIREMENT.match, texts) if match]
    sizes = Counter(wanted.extra for wanted in asked)
    found: dict[str, Wanted] = {}
    for wanted in sorted(asked, key=lambda wanted: (wanted.extra is not None, sizes[wanted.extra])):
        if wanted.name != "lifelong":  # an extra of ours that names another one
            found.setdefault(wanted.name, wanted)
    return list(found.values())


def _from_the_tree() -> list[str]:
    path = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.exists() else {}
    extras = project.get("optional-dependencies", {})
    return [*project.get("dependencies", []), *(f"{t}; extra == '{extra}'" for extra in extras for t in extras[extra])]


def _torchvision() -> str:
    try:
        from lifelong.core.torchvision_bridge import ensure_torchvision

        return TORCHVISION[ensure_torchvision()]
    except (ImportError, OSError, RuntimeError) as error:
        return one_line(error)


def _import_problem(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"import {module}: {one_line(error)}"
    return None


def _numbers() -> dict[str, Any]:
    """Device, memory and numeric stack; nothing where torch does not import."""
    try:
        import torch

        from lifelong.core.fingerprint import numeric_stack
        from lifelong.core.memory import keep_freed_memory
    except (ImportError, OSError) as error:
        return {"device": one_line(error), "malloc": "unknown", "numeric_stack": {}}
    device = f"cpu, threads: {torch.get_num_threads()} of {os.cpu_count()}"
    if torch.cuda.is_available():
        device += f"; cuda, {torch.cuda.get_device_name()}"
    kept = "kept in the process while it trains" if keep_freed_memory() else "given back at once: no glibc"
    return {"device": device, "malloc": f"freed memory is {kept}", "numeric_stack": numeric_stack()}
