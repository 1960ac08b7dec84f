"""Lets timm and transformers import where torchvision was built for another torch.

timm needs torchvision, and PyPI's torchvision carries a CUDA build whose compiled part cannot load beside a CPU torch; then
`import timm` and every transformers model fail with "operator torchvision::nms does not exist". Nothing we use needs the
compiled operators: declaring their signatures is enough for the Python part (upstream: pytorch/vision#9085, #8985).
"""

import importlib.util
import re
import sys
from pathlib import Path

import torch

_library: torch.library.Library | None = None  # a declared operator lives as long as this reference


def ensure_torchvision() -> str:
    """Call before the first import of timm or of a transformers model.

    Returns what was found: "absent", "imported" (by somebody before us), "native" (it matches this torch), or "bridged".
    """
    global _library
    if "torchvision" in sys.modules:
        return "bridged" if _library else "imported"
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return "absent"
    folder = Path(spec.origin).parent
    if _library is None and not _loads_natively(folder):
        _library = _declare_operators(folder)
    return "bridged" if _library else "native"


def _loads_natively(folder: Path) -> bool:
    for compiled in [*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]:
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            continue
        return True
    return False


def _declare_operators(folder: Path) -> torch.library.Library:
    source = (folder / "_meta_registrations.py").read_text(encoding="utf-8")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in dict.fromkeys(re.findall(r'register_fake\(\s*"torchvision::(\w+)"', source)):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
