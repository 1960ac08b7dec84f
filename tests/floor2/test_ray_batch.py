"""The example that answers through Ray Data, where Ray is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_ray_gives_the_bits_of_the_model():
    pytest.importorskip("ray", reason="ray is not installed; `pip install 'ray[data]'` into an environment of its own")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "examples.ray_batch"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "200 users in 4 partitions, 1000 answers, the model's own bit for bit: True" in done.stdout
