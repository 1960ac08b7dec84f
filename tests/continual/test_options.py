"""Options of strategies out of range: one error each, naming the option and its value."""

import math

import pytest

from lifelong.core import registry
from lifelong.core.errors import ConfigError


@pytest.mark.parametrize(
    ("strategy", "option", "value"),
    [
        ("auto", "level", 1.0),
        ("auto", "margin", -0.5),
        ("auto", "first", 0.0),
        ("conure", "retrain", -1.0),
        ("conure", "min_share", 1.0),
        ("ewc", "strength", 0.0),
        ("ewc", "users", 0),
        ("lwf", "strength", 0.0),
        ("lwf", "temperature", -2.0),
        ("replay", "budget_kb", 0.0),
        ("replay", "strength", -1.0),
        ("ewc", "strength", math.inf),
        ("auto", "margin", math.nan),
    ],
)
def test_out_of_range(strategy, option, value):
    with pytest.raises(ConfigError, match=f"^strategy {strategy}: {option} is {value}[,;]"):
        registry.make_config("strategies", {"name": strategy, option: value}, "strategy")


@pytest.mark.parametrize(("option", "value"), [("expected_tasks", 0), ("reserve", 1.0)])
def test_out_of_range_in_a_plan(option, value):
    plan = {"expected_tasks": 3, option: value}
    with pytest.raises(ConfigError, match=f"plan: {option} is {value}, it must"):
        registry.make_config("strategies", {"name": "conure", "plan": plan}, "strategy")
