"""YAML to dataclasses: nothing unknown, nothing of the wrong type, nothing twice gets through."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from lifelong.core.config import build, need, override, plain, read_yaml, suggest
from lifelong.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    keep: float = 0.3

    def __post_init__(self):
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep is {self.keep}, it must lie in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    epochs: int = 5
    inner: Inner = field(default_factory=Inner)
    tags: list[str] | None = None
    spec: Any = None
    where: dict[str, Any] | None = None
    most: float | None = None


def test_round_trip():
    made = build(Outer, {"name": "a", "inner": {"keep": 1}, "tags": ["x"]}, "f.yaml")
    assert made == Outer(name="a", inner=Inner(keep=1.0), tags=["x"])
    assert build(Outer, plain(made), "f.yaml") == made


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "a", "epoch": 1}, "did you mean 'epochs'"),
        ({}, "'name' is missing"),
        ({"name": "a", "epochs": "5"}, "expected a whole number"),
        ({"name": "a", "epochs": True}, "expected a whole number"),
        ({"name": 7}, "expected text"),
        ({"name": "a", "inner": {"keep": 2}}, "it must lie in"),
        ({"name": "a", "inner": []}, "expected a mapping"),
        ({"name": "a", "tags": "x"}, "expected a list"),
        ({"name": "a", "tags": [1]}, "expected text"),
        ({"name": "a", "most": math.inf}, "most is inf; write a finite number"),
        ({"name": "a", "most": -math.inf}, "most is -inf"),
        ({"name": "a", "most": "nan"}, "most is nan"),
        ({"name": "a", "most": 10**400}, "too large"),
        ({"name": "a", "inner": {"keep": math.nan}}, "inner: keep is nan"),
        ({"name": "a", "spec": {"name": "ewc", "strength": math.inf}}, "spec.strength is inf"),
        ({"name": "a", "spec": [1.0, math.nan]}, r"spec\[1\] is nan"),
        ({"name": "a", "where": {"price": [math.inf]}}, r"where.price\[0\] is inf"),
    ],
)
def test_what_is_wrong_is_named(values, says):
    with pytest.raises(ConfigError, match=says) as error:
        build(Outer, values, "f.yaml")
    assert str(error.value).startswith("f.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 2", "a: &x [1]\nb: *x", "1: a", "- a", "a: [", "a: !!python/object/apply:os.system ['true']", ""],
)
def test_yaml_that_could_surprise_is_refused(tmp_path, text):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"t\.yaml"):
        read_yaml(path)


def test_settings_lie_over_a_file_and_leave_it_alone():
    values = {"fit": {"epochs": 3}, "head": "next_item"}
    assert override(values, ["fit.epochs=1", "head.repeats=false", "a.b=[1, 2]"]) == {
        "fit": {"epochs": 1},
        "head": {"name": "next_item", "repeats": False},
        "a": {"b": [1, 2]},
    }
    assert values == {"fit": {"epochs": 3}, "head": "next_item"}


def test_a_number_without_a_dot_is_a_number():
    assert build(Inner, {"keep": "1e-3"}, "x").keep == 1e-3


def test_an_option_that_does_not_fit_is_named_with_its_value():
    need(Inner(), "keep", True, "be above 0")
    with pytest.raises(ValueError, match=r"^keep is 0\.3, it must be above 1$"):
        need(Inner(), "keep", False, "be above 1")


def test_suggestion():
    assert suggest("conur", ["conure", "probe"]) == "; did you mean 'conure'?"
    assert suggest("zzz", ["b", "a"]) == "; there is: a, b"
