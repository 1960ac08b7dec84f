import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.core.errors import ConfigError
from lifelong.store import names
from lifelong.store.names import check_name

TRAPS = [
    *(
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a.b",
        "a.",
        " a",
        "a ",
        "a\n",
        "\na",
        "a\0",
        "A",
        "Click",
        "-a",
        "_a",
        "é",
        "аge",
    ),
    *(
        "%2e%2e",
        "%252e",
        "a" * 65,
        "a" * 300,
        "<script>",
        "$(id)",
        "a;b",
        "~",
        "c:",
        "con",
        "nul",
        "com1",
        "lpt9",
        "aux",
        "prn",
    ),
    *(None, 5, b"a", ["a"], "\ud800", "a\u200b", "１"),
]


@pytest.mark.parametrize("name", TRAPS, ids=ascii)
def test_a_trap_is_refused_in_one_line_of_ascii(name):
    with pytest.raises(ConfigError) as caught:
        check_name(name)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("name", ["a", "0", "a" * 64, "age_band-2", "console", "com", "com10", "nul-", "0" * 64])
def test_a_plain_name_is_returned(name):
    assert check_name(name) == name


@given(st.text(max_size=80) | st.text("ab09_-.A/\\\n", min_size=1, max_size=70))
def test_what_is_accepted_is_a_harmless_file_name(name):
    try:
        check_name(name)
    except ConfigError:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 1 <= len(name) <= 64
    assert name[0] not in "_-"


def test_a_rule_with_match_in_place_of_fullmatch_would_be_found(monkeypatch):
    class Sloppy:
        def fullmatch(self, name):
            return names.re.match(r"[a-z0-9][a-z0-9_-]{0,63}$", name)

    monkeypatch.setattr(names, "_NAME", Sloppy())
    with pytest.raises(pytest.fail.Exception):
        test_a_trap_is_refused_in_one_line_of_ascii("a\n")
