"""Options of heads that cannot be are refused where they are read, and named with their value."""

import pytest

from lifelong.core import registry
from lifelong.core.errors import ConfigError

WITH_DROPOUT = ("classification", "multi_label", "ordinal", "regression")


@pytest.mark.parametrize(
    ("head", "options"),
    [
        *((head, {"dropout": value}) for head in WITH_DROPOUT for value in (5.0, 1.0, -1.0)),
        *(("classification", {"label_smoothing": value}) for value in (7.0, 1.0, -0.1)),
        *(("next_item", {"rho": value}) for value in (0.0, 1.5, -1.0)),
        *(("next_item", {option: -1}) for option in ("negatives", "in_batch", "full_softmax_up_to")),
        *(("next_item", {option: 0}) for option in ("drawn", "rank", "copy_past", "negatives")),
    ],
)
def test_out_of_range(head, options):
    ((option, value),) = options.items()
    with pytest.raises(ConfigError, match=f"^head {head}: {option} is {value}, it must ") as error:
        registry.make_config("heads", {"name": head, **options}, "head")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("head", "options"),
    [
        *((head, {"dropout": 0.0}) for head in WITH_DROPOUT),
        ("next_item", {"negatives": 0, "in_batch": 1024, "full_softmax_up_to": 0}),
    ],
)
def test_at_the_edge(head, options):
    registry.make_config("heads", {"name": head, **options}, "head")
