"""Text from outside made safe to print: nothing in it can steer a terminal or begin another line."""


def one_line(error: BaseException) -> str:
    r"""`ClassName: message`, on one line whatever the message holds.

    >>> one_line(ValueError("a\nb\x1b[31m"))
    'ValueError: a\\nb\\x1b[31m'
    """
    return visible(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def visible(text: str) -> str:
    """Characters that do not print as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
