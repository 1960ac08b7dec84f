"""Small backbones with random weights, made on the fly, and items with texts and pictures."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lifelong.core.types import Contents

sys.path.insert(0, str(Path(__file__).parent))  # the import mode of these tests adds no folder

from backbones import TEXTS, language


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    return str(language(tmp_path_factory.mktemp("bert"), "bert"))


@pytest.fixture(scope="session")
def vision(tmp_path_factory):
    """Weights of timm's test_efficientnet, random; its norms have statistics of their own."""
    import timm

    torch.manual_seed(12)
    state = timm.create_model("test_efficientnet", num_classes=0).state_dict()
    for name, value in state.items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("vision") / "weights.safetensors"
    save_file(state, path)
    return str(path)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Paths of twelve pictures; 0 and 4 are the same, the third is none at all, one is cut off, one is missing."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number in range(12):
        draw = np.random.default_rng(number)
        small = draw.integers(0, 255, (4, 4, 3), np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(small).resize((40 + number, 50), Image.Resampling.NEAREST).save(paths[-1])
    paths[4].write_bytes(paths[0].read_bytes())
    paths[6].write_bytes(paths[6].read_bytes()[:90])
    paths[7].unlink()
    return [None if number == 2 else str(path) for number, path in enumerate(paths)]


@pytest.fixture(scope="session")
def contents(pictures):
    return Contents(np.arange(1, 13), list(TEXTS), list(pictures))
