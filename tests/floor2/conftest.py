import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import worlds
from in_process import check_here

from lifelong import LivingModel

FRESH = {"test_keeping", "test_tasks", "test_zero_forgetting"}
"""What tests the process that checks a commit, or all of adding a task as users have it."""


@pytest.fixture(scope="module", autouse=True)
def checked_in_this_process(request):
    """Commits of all other tests are checked without a new process."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] not in FRESH:
            check_here(patch)
        yield


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
