import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "store", HERE.parent / "floor2"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # the small model and the small worlds, whatever way pytest imports

MEMORY = Path("/dev/shm")


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A folder in memory where the system has a place for that, and no waiting for a disk: nobody cuts the power here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path
        return
    folder = tempfile.mkdtemp(dir=MEMORY, prefix="lifelong-")
    yield Path(folder)
    shutil.rmtree(folder)
