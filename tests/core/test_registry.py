"""What there is, is what lies in the folder; nothing outside is imported because a file says so."""

import sys

import pytest

from lifelong.core import registry
from lifelong.core.errors import ConfigError


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_every_file_is_one_class_with_a_summary(kind):
    for entry in registry.entries(kind):
        cls = registry.find(kind, entry.name)
        assert cls.__module__.endswith(entry.name)
        assert len(entry.summary) > 20


def test_near_miss():
    with pytest.raises(ConfigError, match="did you mean 'conure'"):
        registry.find("strategies", "conur")


def test_stored_names_import_nothing(tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="import evil_module"):
        registry.find("heads", "evil_module:Head", outside=False)
    assert "evil_module" not in sys.modules


def test_a_class_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="no subclass"):
        registry.find("heads", "collections:OrderedDict")
