"""Nobody cuts the power in these tests, so they run in memory where the system has a place for that and never wait."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the small model, whatever way pytest imports
MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path):
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path
        return
    folder = tempfile.mkdtemp(dir=MEMORY, prefix="lifelong-")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
