import re
from html.parser import HTMLParser

import pytest
from made_up import document

from lifelong.reports.element import Html, el
from lifelong.reports.html import page, write_report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "]]>--><!--",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "a\x00b\u202ec\x1b[31m",
]
VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Collects elements, attributes and text; fails on a tag that closes another than the open one."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(markup):
    reader = Reader()
    reader.feed(markup)
    reader.close()
    assert reader.open == []
    return reader


def hostile(value, text):
    """The document with every text and key of it replaced, numbers as they are."""
    if isinstance(value, dict):
        fixed = {
            "lifelong",
            "strategies",
            "baselines",
            "tasks",
            "metric",
            "matrix",
            "low",
            "high",
            "fingerprints",
            "curves",
        }
        fixed |= {
            "average",
            "forward_gain",
            "scratch",
            "value",
            "task",
            "share",
            "epoch",
            "loss",
            "valid",
            "n",
            "capacity",
        }
        fixed |= {
            "command",
            "machine",
            "notice",
            "dataset",
            "seed",
            "created",
            "isolates",
            "changed_bits",
            "forgetting",
        }
        return {k if k in fixed else f"{text}{i}": hostile(v, text) for i, (k, v) in enumerate(value.items())}
    if isinstance(value, list):
        return [hostile(v, text) for v in value]
    return text if isinstance(value, str) else value


def test_page_is_well_formed_and_self_contained():
    markup = page(document())
    reader = read(markup)
    assert not {"script", "link", "iframe", "object", "img", "form"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name in ("src", "href", "xlink:href") or name.startswith("on")]
    assert "url(" not in markup
    assert "@import" not in markup
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', markup)
    assert policy.group(1).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    reader = read(page(hostile(document(), text)))
    clean = read(page(document()))
    assert set(reader.tags) <= set(clean.tags)
    assert {name for name, _ in reader.attributes} <= {name for name, _ in clean.attributes}
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", "".join(reader.text))


def test_an_unescaped_name_would_be_seen():
    """The planted fault: the same check on markup that was put together by hand."""
    with pytest.raises(AssertionError):
        assert "script" not in read(f"<p>{HOSTILE[0]}</p>").tags


def test_elements_escape_text_and_attributes():
    assert el("p", '<b>&"', title='"><') == '<p title="&quot;&gt;&lt;">&lt;b&gt;&amp;&quot;</p>'
    assert el("p", el("b", "x"), None, 1.5) == "<p><b>x</b>1.5</p>"
    assert isinstance(el("p"), Html)


def test_verdict_stands_at_the_top():
    text = " ".join("".join(read(page(document())).text).split())
    assert "Kept in this run by conure and peterrec." in text
    assert "sequential and ewc changed earlier tasks, so these checks can fail." in text


def test_a_broken_promise_is_said_first():
    broken = document()
    broken["strategies"]["conure"]["changed_bits"] = 3
    markup = page(broken)
    assert "Not kept. An earlier task changed under conure." in markup
    assert 'class="outcome broken"' in markup
    assert "Kept in this run" not in markup


def test_without_control_the_page_says_so():
    alone = document()
    alone["strategies"] = {"conure": alone["strategies"]["conure"]}
    assert "No control ran" in page(alone)


def test_numbers_are_on_the_page():
    text = " ".join(read(page(document())).text)
    for number in ("0.0912", "1,482,077", "−0.0441", "148,224", "592.9 kB", "9.8 min", "−48 %", "0.1491", "30 %"):
        assert number in text


def test_the_best_attack_of_each_task_and_why_one_has_none():
    auc = {"value": 0.5172, "low": 0.48, "high": 0.55}
    best = {"value": 0.6419, "low": 0.6, "high": 0.7}
    found = {"members": 1203, "others": 400, "attacks": {"loss": best, "rank": auc}, "control": {**auc, "value": 0.5}}
    text = " ".join(
        read(page({**document(), "membership": {"age": found, "next": {"refused": "nobody was held out"}}})).text
    )
    assert "Who was learned from" not in " ".join(read(page(document())).text)
    for said in ("Who was learned from", "0.6419", "1,203", "nobody was held out", "loss"):
        assert said in text
    assert "0.5172" not in text


@pytest.mark.parametrize(
    "thin", [{}, {"strategies": {}}, {"strategies": {"x": {}}}, {"strategies": None, "baselines": None}]
)
def test_thin_documents_still_make_a_page(thin):
    read(page(thin))


def test_nulls_and_nan_make_empty_cells():
    doc = document()
    for strategy in doc["strategies"].values():
        strategy.update(
            forward_gain=None, low=None, high=None, curves=None, capacity=None, average=None, parameters=None
        )
        strategy["matrix"][5][0] = float("nan")
    doc["baselines"]["age_band"]["model"]["macro_f1"] = {"value": float("nan"), "low": None, "high": None, "n": 3}
    text = " ".join(read(page(doc)).text)
    assert "nan" not in text.lower()


def test_file_is_utf8_and_the_same_each_time(tmp_path):
    doc = document()
    doc["notice"] = "Größe \ud800"
    write_report(doc, tmp_path / "a.html")
    write_report(doc, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "Größe" in (tmp_path / "a.html").read_text(encoding="utf-8")
