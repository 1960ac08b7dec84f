import pytest

from lifelong.core.errors import ConfigError
from lifelong.metrics.parse import parse


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("ndcg@10", "NDCG@10"),
        ("hr@5", "HR@5"),
        ("mrr", "MRR@10"),
        ("accuracy", "Accuracy"),
        (" macro_f1 ", "Macro-F1"),
        ("lifelong.metrics.kinds.hr:HitRate@3", "HR@3"),
    ],
)
def test_label(spec, label):
    assert parse(spec).label == label


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("ndgc@10", "did you mean 'ndcg'"),
        ("accuracy@5", "has no cut-off; write 'accuracy'"),
        ("ndcg@ten", "'ten' is no whole number"),
        ("ndcg@", "is no whole number"),
        ("ndcg@0", "1 or more"),
        ("ndcg@-3", "'-3' is no whole number"),
        ("", "there is no ''"),
        ("os:getcwd@1", "no subclass"),
    ],
)
def test_errors_name_the_value_and_the_way_out(spec, says):
    with pytest.raises(ConfigError, match=says) as caught:
        parse(spec)
    assert "\n" not in str(caught.value)
