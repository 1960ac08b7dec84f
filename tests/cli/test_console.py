"""Progress, errors and exit codes."""

import io
import json
import math

import pytest
from rich.console import Console as Rich

from lifelong.cli import doctor, progress
from lifelong.cli.commands import looking
from lifelong.cli.console import Console
from lifelong.cli.text import one_line
from lifelong.core.errors import Conflict, DataError
from lifelong.core.progress import Silent


def failing(error):
    def fail(kind):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("no\nrows \x1b[2J"), 2, r"DataError: no\nrows \x1b[2J"),
        (Conflict("too late"), 1, "Conflict: too late"),
        (PermissionError(13, "Permission denied", "x"), 1, "PermissionError: [Errno 13] Permission denied: 'x'"),
    ],
)
def test_an_error_is_one_line(run, monkeypatch, error, code, line):
    monkeypatch.setattr(looking, "entries", failing(error))
    done = run("list", "heads")
    assert (done.code, done.out, done.err) == (code, "", line + "\n")
    done = run("list", "heads", "--debug")
    assert done.code == code
    assert "Traceback" in done.err


def test_interrupted_is_130(run, monkeypatch):
    monkeypatch.setattr(looking, "entries", failing(KeyboardInterrupt()))
    done = run("list", "heads")
    assert (done.code, done.out) == (130, "")
    assert done.err.startswith("interrupted")


def test_one_line_of_an_error_that_says_nothing():
    assert one_line(MemoryError()) == "MemoryError"


def test_json_has_no_nan(capsys):
    Console(json=True, quiet=True, bars=False).show({"a": math.nan, "b": [math.inf, 1.5], 3: (True, None)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "3": [True, None]}


def test_who_is_told(capsys, monkeypatch):
    assert isinstance(Console(json=False, quiet=True, bars=True).progress, Silent)
    assert type(Console(json=False, quiet=False, bars=False).progress) is progress.Spoken
    assert type(Console(json=False, quiet=False, bars=True).progress) is progress.Lines
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert type(Console(json=False, quiet=False, bars=True).progress) is progress.Bars


def test_lines_come_seldom_and_tell_rate_and_time_left(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    lines = progress.Lines()
    lines.start("train", 100)
    for _ in range(44):
        clock[0] += 0.25
        lines.advance(loss=1.23456)
    lines.end()
    lines.say("done\x1b")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "train: 20/100, 4.0/s, 20 s left, loss 1.235",
        "train: 40/100, 4.0/s, 15 s left, loss 1.235",
        r"done\x1b",
    ]


def test_bars_leave_only_what_is_said(capsys):
    bars = progress.Bars()
    bars.console = Rich(file=io.StringIO(), force_terminal=True, width=80)
    bars.advance()  # before any stage
    bars.start("train [red]", 10)
    bars.advance(4, loss=0.5)
    bars.say("epoch [1]")
    bars.start("next", 0)
    bars.end()
    bars.end()
    shown = bars.console.file.getvalue()
    assert "train [red]" in shown
    assert "4/10" in shown
    assert "epoch [1]" in shown
    assert capsys.readouterr() == ("", "")


def test_doctor_names_the_smallest_extra(monkeypatch):
    texts = [
        "torch<2.14,>=2.8",
        "pandas>=2.2; extra == 'dev'",
        "ruff; extra == 'dev'",
        "pandas>=2.2; extra == 'frames'",
    ]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: texts)
    found = {(wanted.name, wanted.versions, wanted.extra) for wanted in doctor.requirements()}
    assert found == {("torch", "<2.14,>=2.8", None), ("pandas", ">=2.2", "frames"), ("ruff", "", "dev")}


def test_doctor_reads_the_tree_where_nothing_is_installed(monkeypatch):
    def absent(name):
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "requires", absent)
    assert {"torch", "timm"} <= {wanted.name for wanted in doctor.requirements() if wanted.extra is None}


def test_doctor_tells_a_version_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "2.15.0")
    assert doctor.Wanted("torch", ">=2.8,<2.14", None).problem == (
        "torch 2.15.0 does not fit; run pip install 'torch>=2.8,<2.14'"
    )
    assert doctor.Wanted("torch", ">=2.8", None).problem is None
