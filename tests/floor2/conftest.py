import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import worlds

from lifelong import LivingModel


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def born(tmp_path_factory, cache):
    """The folder of a model that has learnt its first task."""
    path = tmp_path_factory.mktemp("born") / "model"
    LivingModel.pretrain(path, worlds.first(), cache=cache)
    return path


@pytest.fixture
def living(born, tmp_path, cache):
    """A fresh copy of it, open."""
    shutil.copytree(born, tmp_path / "model")
    return LivingModel.open(tmp_path / "model", cache=cache)
