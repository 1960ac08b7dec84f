"""Text that wants to be more than text: on pages, in tables, in CSV, in errors, and as names.

50 payloads stand in for every text of every report: the page must have the same elements and attributes as one of harmless
words, a table the same lines, and no terminal is steered.
"""

import csv
import io
import json
import re
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attacked import ENCODER, FIT, files_of, untrained_model
from rich.console import Console as Rich

sys.path.insert(0, str(Path(__file__).parent.parent / "reports"))

import made_up

from lifelong import LivingModel
from lifelong.cli import main
from lifelong.cli.console import Console, columns, pairs
from lifelong.cli.progress import Bars, Lines
from lifelong.cli.text import one_line
from lifelong.core.errors import ConfigError, DataError
from lifelong.reports import csv as report_csv
from lifelong.reports import element, format, html, profile, tables
from lifelong.reports.profile_table import profile_table
from lifelong.store.names import check_name

PAYLOADS = [
    # HTML, SVG, style
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" style="background:url(//evil)"',
    "</style><svg onload=alert(1)>",
    "</title><base href=//evil>",
    "<svg><animate onbegin=alert(1)>",
    "<iframe srcdoc='<b>'>",
    "<!--",
    "]]>--><![CDATA[",
    "<meta http-equiv=refresh content=0;url=//evil>",
    "<form action=//evil><input name=x>",
    "javascript:alert(1)",
    "data:text/html,<b>x</b>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "<scr\0ipt>",
    "\u2028<b>\u2029",
    "＜script＞",
    # formulas of spreadsheets
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+HYPERLINK(1)",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    '=HYPERLINK("//evil";"x")',
    "＝1+1",
    # terminals
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;//evil\x07link",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "a\rb",
    "a\bb",
    "a\nforged row   1.0000",
    "a\tb\tc",
    "\x00",
    "\x7f\x80\x9f",
    # Unicode
    "abc\u202edef\u202c",
    "\u2066x\u2069",
    "zero\u200bwidth\ufeff",
    "аge",  # with a Cyrillic a
    "\ud800",
    "e" + "\u0301" * 40,
    # templates and markup of others
    "[red]x[/red]",
    "[/]",
    "{0.__class__} %s %n ${x} {{7*7}} `id` | --- |",
]
NOT_TO_BE_PRINTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Anything but a new line that steers a terminal or the reading direction."""


def test_there_are_50():
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 50


# -- pages -------------------------------------------------------------------------------------------------------------


class Skeleton(HTMLParser):
    """The elements and the names of their attributes, in order; values that are not text of ours; the text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.bones, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.bones.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        self.bones.append(("/", tag))

    def handle_comment(self, data):
        self.bones.append(("comment",))

    def handle_decl(self, decl):
        self.bones.append(("declaration", decl))

    def unknown_decl(self, data):
        self.bones.append(("unknown",))

    def handle_pi(self, data):
        self.bones.append(("instruction",))

    def handle_data(self, data):
        self.text.append(data)


def skeleton(markup):
    reader = Skeleton()
    reader.feed(markup)
    reader.close()
    return reader


NAMES = {"tasks", "strategies", "baselines", "curves", "fingerprints", "methods", "differences", "classes", "metrics"}
"""Mappings of a document whose keys are somebody's names."""


def with_text(value, *texts, path="", number=0):
    """A document in which every text is one of these; a number tells them apart, as names do."""
    text = f"{texts[(number * 7 + len(path)) % len(texts)]} {number}"
    if isinstance(value, dict):
        named = path in NAMES and not all(key in ("value", "low", "high", "n") for key in value)
        keys = {key: with_text(key, *texts, path=path, number=n) if named else key for n, key in enumerate(value)}
        return {keys[key]: with_text(child, *texts, path=key, number=n) for n, (key, child) in enumerate(value.items())}
    if isinstance(value, list):
        return [with_text(child, *texts, path=path, number=n) for n, child in enumerate(value)]
    return text if isinstance(value, str) else value


def rotations(times):
    """All payloads in one document, each in another place every time."""
    return [PAYLOADS[shift:] + PAYLOADS[:shift] for shift in range(0, 50, 50 // times)]


def alone():
    return [[payload] for payload in PAYLOADS]


SLOWLY = pytest.param(alone(), marks=pytest.mark.slow)
ALL = pytest.mark.parametrize("given", [rotations(5), SLOWLY], ids=["mixed", "alone"])


PAGES = {
    "forgetting": (html.page, made_up.document),
    "many runs": (html.page, made_up.many_runs),
    "profile": (profile.page, made_up.profile),
}


@ALL
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_has_the_same_bones_whatever_stands_in_it(kind, given, tmp_path):
    page, document = PAGES[kind]
    harmless = skeleton(page(with_text(document(), "word")))
    for payloads in given:
        markup = page(with_text(document(), *payloads))
        found = skeleton(markup)
        assert found.bones == harmless.bones, payloads[0]
        assert not NOT_TO_BE_PRINTED.search("".join(found.text).replace("\t", " ")), payloads[0]
        assert "default-src 'none'" in markup
        (tmp_path / "page.html").write_text(markup, encoding="utf-8", errors="strict")


def test_a_page_that_does_not_escape_would_be_caught(monkeypatch):
    """Planted fault."""
    harmless = skeleton(html.page(with_text(made_up.document(), "word"))).bones
    monkeypatch.setattr(element, "escape", str)
    for payload in PAYLOADS[:3]:
        assert skeleton(html.page(with_text(made_up.document(), payload))).bones != harmless


def test_an_attribute_that_is_not_escaped_would_be_caught(monkeypatch):
    harmless = skeleton(html.page(with_text(made_up.document(), "word"))).bones
    monkeypatch.setattr(element, "escape", lambda value: format.clean(value).replace("<", "&lt;"))
    assert skeleton(html.page(with_text(made_up.document(), PAYLOADS[4]))).bones != harmless


# -- CSV and Markdown --------------------------------------------------------------------------------------------------


@ALL
def test_the_csv_of_a_run_is_run_by_no_spreadsheet(given, tmp_path):
    rows = _csv_rows(with_text(made_up.document(), "word"), tmp_path)
    for payload in given:
        found = _csv_rows(with_text(made_up.document(), *payload), tmp_path)
        assert len(found) == len(rows)
        assert {len(row) for row in found} == {len(rows[0])}
        for cell in (cell for row in found for cell in row):
            assert not NOT_TO_BE_PRINTED.search(cell.replace("\t", "")), payload
            number = re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell)
            assert number or not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "\t")), payload


def _csv_rows(document, folder):
    report_csv.write_csv(document, folder / "rows.csv")
    return list(csv.reader(io.StringIO((folder / "rows.csv").read_text(encoding="utf-8"))))


def test_cells_that_are_not_guarded_would_be_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(report_csv, "guarded", lambda value: value)
    with pytest.raises(AssertionError):
        test_the_csv_of_a_run_is_run_by_no_spreadsheet(alone(), tmp_path)


# -- the terminal ------------------------------------------------------------------------------------------------------


def shown(*parts, width=120, json_=False, document=None):
    """What a command prints of tables and lines."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setattr("sys.stdout", out)
        Console(json=json_, quiet=True, bars=False).show(document, *parts)
    return out.getvalue()


def test_tables_of_commands_keep_their_shape():
    for make in (
        lambda text: columns(("user", text), [("u1", text), (text, "3"), ("u3", "4")]),
        lambda text: pairs({"task": text, text: "value", "free": "3 %"}),
    ):
        lines = shown(make("word")).count("\n")
        for payload in PAYLOADS:
            printed = shown(make(payload))
            assert printed.count("\n") == lines, payload
            assert not NOT_TO_BE_PRINTED.search(printed), payload


@ALL
def test_reports_in_the_terminal_keep_their_shape(given):
    for make in (
        lambda *texts: tables.forgetting_table(with_text(made_up.document(), *texts)),
        lambda *texts: tables.inspect_table(with_text(made_up.description(), *texts)),
        lambda text, *_: tables.evaluation_table({text: {text: {text: {"value": 0.5}}}}),
        lambda *texts: profile_table(with_text(made_up.profile(), *texts)),
    ):
        lines = shown(make("word"), width=600).count("\n")
        for payloads in given:
            printed = shown(make(*payloads), width=600)
            assert not NOT_TO_BE_PRINTED.search(printed), payloads[0]
            assert printed.count("\n") == lines, payloads[0]


def test_markup_is_printed_as_it_is_spelt():
    assert "[red]x[/red]" in shown(columns(("a",), [("[red]x[/red]",)]))
    assert "[red]x[/red]" in shown("[red]x[/red]")


def test_lines_of_commands_are_lines():
    for payload in PAYLOADS:
        printed = shown(f"report: {payload}")
        assert printed.count("\n") == 1
        assert not NOT_TO_BE_PRINTED.search(printed)


def test_a_very_long_cell_does_not_fill_the_screen():
    assert shown(columns(("a", "b"), [("x" * 100_000, "y")])).count("\n") < 30


def test_a_table_that_does_not_clean_its_cells_would_be_caught(monkeypatch):
    """Planted fault."""
    monkeypatch.setattr(format, "line", str)
    with pytest.raises(AssertionError):
        test_tables_of_commands_keep_their_shape()


def test_json_is_ascii_and_says_the_same():
    for payload in PAYLOADS:
        printed = shown(json_=True, document={payload: [payload]})
        assert printed.isascii()
        assert json.loads(printed) == {payload: [payload]}


def test_errors_and_progress_are_one_line(capsys):
    for payload in PAYLOADS:
        said = one_line(DataError(f"events.csv: row 3: item {payload} is none"))
        assert not NOT_TO_BE_PRINTED.search(said)
        assert "\n" not in said
        Lines().say(payload)
        bars = Bars()
        bars.console = Rich(file=io.StringIO(), width=80)
        bars.start(payload, 3)
        bars.say(payload)
        bars.end()
        assert not NOT_TO_BE_PRINTED.search(bars.console.file.getvalue())
    assert not NOT_TO_BE_PRINTED.search(capsys.readouterr().err)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [*PAYLOADS, "", ".", "..", "a/b", "a\\b", "con", "x" * 65, "Age", "age ", "age.", "ａge"]
)
def test_a_task_cannot_be_called_so(payload):
    with pytest.raises(ConfigError) as caught:
        check_name(payload)
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)


# -- a model of hostile items and classes ------------------------------------------------------------------------------

SECRETS = {
    "env": "AKIAIOSFODNN7EXAMPLE",
    "token": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "mail": "somebody.private@example.org",
    "user": "user-7f3a9c-only-here",
}
"""An environment variable, a cell of a column that no task reads, another, and a user's id."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A model whose items and classes are payloads, beside its event file."""
    base = tmp_path_factory.mktemp("shop")
    items = [p for p in PAYLOADS if not set(p) & set("\0\n\r\u2028\u2029\x85\ud800")]  # those are refused
    name = lambda u: SECRETS["user"] if u == 3 else f"u{u}"  # noqa: E731
    places = [(u, n, items[(u * 7 + n * n) % len(items)]) for u in range(60) for n in range(12)]
    events = [{"user": name(u), "item": item, "time": 1_600_000_000 + 60 * n} for u, n, item in places]
    users = [
        {
            "user": name(u),
            "group": items[u % 3],
            "mail": SECRETS["mail"] if u == 3 else "",
            "note": SECRETS["token"] if u == 4 else "",
        }
        for u in range(60)
    ]
    for name, rows in (("events", events), ("users", users)):
        (base / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = {"dataset": {"name": "files", "events": str(base / "events.jsonl"), "users": str(base / "users.jsonl")}}
    first = {"name": "next", "encoder": ENCODER, "length": 8, "head": "next_item", "fit": FIT, "data": data}
    group = {
        "name": "group",
        "head": {"name": "classification", "solved": False},
        "fit": FIT,
        "data": {**data, "label": "group", "split": "by_user"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFELONG_TOKEN", SECRETS["env"])
        untrained_model(base / "model", base / "cache", (first, group))
    return base


def run(capsys, *arguments):
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_commands_on_hostile_items_and_classes(shop, capsys, monkeypatch):
    monkeypatch.setenv("LIFELONG_CACHE", str(shop / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    events = shop / "events.jsonl"
    for command in (
        ("recommend", shop / "model", events, "--task", "next", "-k", "40"),
        ("predict", shop / "model", events, "--task", "group"),
        ("inspect", shop / "model"),
        ("log", shop / "model"),
        ("evaluate", shop / "model"),
        ("data", "check", events),
    ):
        code, out, err = run(capsys, *command)
        assert code == 0, err
        assert not NOT_TO_BE_PRINTED.search(out + err), command
        code, out, err = run(capsys, *command, "--json", "--quiet")
        assert out.isascii()
        json.loads(out)


def test_answers_keep_ids_as_they_are(shop, tmp_path, capsys, monkeypatch):
    """Files of answers are data: what comes out must be what went in, also `=1+1`, so that it can be joined again."""
    monkeypatch.setenv("LIFELONG_CACHE", str(shop / "cache"))
    catalogue = set(LivingModel.open(shop / "model").members["next"].catalogue)
    for ending in ("csv", "jsonl"):
        out = tmp_path / f"answers.{ending}"
        asked = ("recommend", shop / "model", shop / "events.jsonl", "--task", "next", "-k", "5")
        code, _, err = run(capsys, *asked, "--out", out)
        assert code == 0, err
        if ending == "csv":
            with out.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            found = {row[f"items.{n}"] for row in rows for n in range(1, 6)}
        else:
            found = {item for row in map(json.loads, out.open(encoding="utf-8")) for item in row["items"]}
        assert found <= catalogue
        assert len(found) > 3


def test_secrets_are_nowhere_in_the_model(shop):
    for path in files_of(shop / "model"):
        data = (shop / "model" / path).read_bytes()
        for kind, secret in SECRETS.items():
            assert secret.encode() not in data, (kind, path)


def test_secrets_are_not_in_what_commands_say(shop, capsys, monkeypatch):
    monkeypatch.setenv("LIFELONG_CACHE", str(shop / "cache"))
    monkeypatch.setenv("LIFELONG_TOKEN", SECRETS["env"])
    for command in (
        ("inspect", shop / "model"),
        ("log", shop / "model"),
        ("evaluate", shop / "model"),
        ("data", "check", shop / "events.jsonl"),
    ):
        for how in ((), ("--json",)):
            code, out, err = run(capsys, *command, *how)
            assert code == 0, err
            assert not [kind for kind, secret in SECRETS.items() if secret in out + err], command


def test_a_secret_in_a_model_would_be_caught(shop, tmp_path):
    """Planted fault: a record that quotes a user."""
    import shutil

    shutil.copytree(shop / "model", tmp_path / "model")
    (tmp_path / "model" / "objects" / "record").write_text(json.dumps({"worst user": SECRETS["user"]}))
    found = [
        p for p in files_of(tmp_path / "model") if SECRETS["user"].encode() in (tmp_path / "model" / p).read_bytes()
    ]
    assert [path.name for path in found] == ["record"]


def test_every_character_that_steers_is_known():
    steering = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in steering and chr(code) not in "\n\t":
            assert format.clean(chr(code)) == "\ufffd"
