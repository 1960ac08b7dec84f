import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the made-up sources, whatever way pytest imports


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A folder of prepared data for all tests that only read what is prepared."""
    return tmp_path_factory.mktemp("prepared")
