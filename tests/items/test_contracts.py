"""Every item encoder keeps the contract; encoders that break it are caught by the check meant for it."""

import pytest

from lifelong.core import registry
from lifelong.testing import items as contract

SPECS = {
    "id": lambda text, image: {"name": "id"},
    "text frozen": lambda text, image: {"name": "text", "model": text},
    "text top block": lambda text, image: {"name": "text", "model": text, "train": 1},
    "text all, moe": lambda text, image: {"name": "text", "model": text, "train": "all", "projection": "moe"},
    "image frozen": lambda text, image: {"name": "image", "model": "test_efficientnet", "weights": image, "size": 32},
    "image top stages": lambda text, image: {
        "name": "image", "model": "test_efficientnet", "weights": image, "size": 32, "train": 2
    },
    "fused": lambda text, image: {"name": "fused", "of": ["id", SPECS["text frozen"](text, image)]},
    "fused gated": lambda text, image: {
        "name": "fused", "how": "gated", "of": [SPECS["image frozen"](text, image), SPECS["text frozen"](text, image)]
    },
    "mixed": lambda text, image: {
        "name": "mixed", "of": [SPECS["text top block"](text, image), SPECS["image frozen"](text, image)]
    },
}  # fmt: skip


@pytest.fixture(params=SPECS)
def trial(request, bert, vision, contents, tmp_path):
    spec = SPECS[request.param](bert, vision)

    def make(width, rows):
        _, cls, config = registry.make_config("items", spec, "items")
        return cls(config, width, rows)

    return contract.Trial(make, contents, tmp_path)


@pytest.mark.parametrize("check", contract.ITEM_CHECKS, ids=lambda c: c.__name__)
def test_contract(trial, check):
    check(trial)


def test_every_encoder_is_here():
    assert {name.split()[0] for name in SPECS} == set(registry.names("items"))
