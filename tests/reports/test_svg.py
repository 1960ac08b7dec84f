import re

from lifelong.reports.svg import capacity_bar, curve, heat_map, interval_bar


def test_colour_follows_the_change_relative_to_the_diagonal():
    markup = heat_map(["a", "b", "c"], [[0.8, None, None], [0.4, 0.04, None], [0.88, 0.04, 0.5]], "m")
    assert markup.count('class="cell"') == 6
    assert markup.count('class="empty"') == 3
    assert markup.count('class="ring"') == 3
    strength = re.findall(r'<rect class="(better|worse)" fill-opacity="([\d.]+)"', markup)
    assert strength == [("worse", "1"), ("better", "0.296")]


def test_a_fall_of_the_same_share_has_the_same_colour_whatever_the_scale():
    markup = heat_map(["a", "b", "c"], [[0.8, None, None], [0.8, 0.08, None], [0.6, 0.06, 1.0]], "m")
    strengths = re.findall(r'class="worse" fill-opacity="([\d.]+)"', markup)
    assert len(strengths) == 2
    assert len(set(strengths)) == 1


def test_the_smallest_change_is_coloured_and_written():
    """The planted fault: one unit in the last place must not look like "the same number"."""
    markup = heat_map(["a", "b"], [[0.8, None], [0.8 * (1 - 2**-52), 0.5]], "m")
    assert 'class="worse"' in markup
    assert ">=<" not in markup
    assert ">=<" in heat_map(["a", "b"], [[0.8, None], [0.8, 0.5]], "m")


def test_capacity_bar_is_as_wide_as_the_shares():
    markup = capacity_bar(
        [{"task": "a", "share": 0.25}, {"task": "free", "share": 0.5}, {"task": "x", "share": None}], "m", 400
    )
    assert re.findall(r'<rect x="(\d+)".*? width="(\d+)".*?class="(\w+)"', markup) == [
        ("0", "98", "hue0"),
        ("100", "198", "free"),
    ]


def test_curve_marks_the_best_epoch_and_skips_gaps():
    points = [
        {"epoch": i, "loss": v, "valid": w} for i, (v, w) in enumerate([(3, 0.1), (2, 0.4), (None, None), (1, 0.2)])
    ]
    markup = curve(points, "m", 112, 84)
    best = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', markup)
    assert abs(float(best.group(1)) - (6 + 100 / 3)) < 1e-3
    assert [len(p.split()) for p in re.findall(r'points="([^"]+)"', markup)] == [3, 3]


def test_nothing_to_draw():
    assert "polyline" not in curve([], "m")
    assert "circle" not in curve([{"epoch": 1}], "m")
    assert interval_bar(None, None, None, 1.0) == ""
    assert heat_map([], [], "m").startswith("<svg")


def test_a_flat_line_is_drawn():
    assert "nan" not in curve([{"loss": 1.0, "valid": 0.5}] * 3, "m")
