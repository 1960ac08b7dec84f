import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import lifelong.reports
from lifelong.reports.format import change, clean, is_number, relative, shorten, signed_percent

modules = [m.name for m in pkgutil.iter_modules(lifelong.reports.__path__, "lifelong.reports.")]


@pytest.mark.parametrize("name", modules)
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("tiny", [5e-324, 1e-17, -2e-9, 4.9e-5])
def test_only_an_exact_zero_is_written_as_zero(tiny):
    """The planted fault: a change too small for four decimals must not look like none."""
    for text in (change(tiny), signed_percent(tiny)):
        assert text.lstrip("+-")[0] in "123456789"
        assert "e-" in text
    assert (change(0.0), change(-0.0), signed_percent(0.0)) == ("0", "0", "0 %")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.5", True])
def test_missing_is_shown_as_missing(value):
    assert not is_number(value)
    assert change(value) == "–"
    assert relative(value, 1.0) is None


def test_numpy_numbers_are_numbers():
    assert is_number(np.float64(0.5))


def test_control_and_direction_characters_are_disarmed():
    assert clean("a\x1b[2Jb\x00\u202ec\ud800") == "a\ufffd[2Jb\ufffd\ufffdc\ufffd"
    assert clean("Größe 年 🙂") == "Größe 年 🙂"
    assert shorten("one\ntwo   three", 8) == "one two…"
