"""The parser: a subcommand for everything that a module of commands/ lists, near misses suggested, typos refused."""

import argparse
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from lifelong import __version__
from lifelong.cli.text import visible
from lifelong.core.config import suggest

if TYPE_CHECKING:
    from lifelong.cli.console import Console

MODULES = (
    "growing",
    "newcomers",
    "measuring",
    "transferring",
    "asking",
    "batch",
    "looking",
    "keeping",
    "proving",
    "changing",
    "tending",
    "privacy",
    "data",
)
ABOUT = "One user encoder that learns task after task for years, and never forgets."

Argument = tuple[tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True)
class Command:
    """One subcommand: its name, what it does, an example, its arguments, and how it runs.

    name: `add-task`, or `data check` for one of a group. run gets options and console and returns the exit code.
    """

    name: str
    summary: str
    example: str
    run: "Callable[[argparse.Namespace, Console], int]"
    arguments: Sequence[Argument] = field(default_factory=tuple)


def argument(*names: str, **options: Any) -> Argument:
    """What argparse's add_argument is given."""
    return names, options


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that refuses what it does not know and says what was probably meant."""

    sections: dict[str, list[Command]]
    """Title -> commands, for the help of a parser that has any."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_formatter, **options)
        self.sections = {}

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with 2."""
        self.exit(2, f"UsageError: {visible(message)}; see `{self.prog} --help`\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an unknown option before a missing argument is missed: the typo is why it is missing."""
        if args is not None:
            for word in self._own_words(args):
                self._check_option(word)
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all, or refuse what is left over."""
        options, left = self.parse_known_args(args, namespace)
        if left:
            getattr(options, "parser", self)._take(left, options)
        return options

    def _take(self, left: list[str], options: argparse.Namespace) -> None:
        """Words behind options go to the argument that takes any number, or to the one that is empty; argparse has closed both
        by then."""
        places = [a for a in self._actions if not a.option_strings]
        open_ended = [a.dest for a in places if a.nargs in ("*", "+")]
        empty = [a for a in places if a.nargs == "?" and getattr(options, a.dest) is None]
        if open_ended:
            setattr(options, open_ended[-1], [*(getattr(options, open_ended[-1]) or []), *left])
        elif len(left) == len(empty) == 1:
            self._check_value(empty[0], left[0])
            setattr(options, empty[0].dest, left[0])
        else:
            self.error(f"there is no use for {left[-1 if empty else 0]!r} here")

    def format_help(self) -> str:
        """The help; a parser with commands lists them by section."""
        if not self.sections:
            return super().format_help()
        formatter = self._get_formatter()
        formatter.add_usage(f"{self.prog} COMMAND ...", [], [])
        formatter.add_text(self.description)
        for title, commands in self.sections.items():
            formatter.start_section(title)
            formatter.add_arguments(argparse.Action([], c.name, metavar=c.name, help=c.summary) for c in commands)
            formatter.end_section()
        formatter.start_section("options of every command")
        formatter.add_arguments(a for a in self._actions if a.option_strings)
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def _own_words(self, args: Sequence[str]) -> Iterable[str]:
        """The words that this parser takes for options: all up to `--`, or to the command where there are commands."""
        for word in args:
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return
            if (
                word.startswith("-")
                and len(word) > 1
                and " " not in word
                and not self._negative_number_matcher.match(word)
            ):
                yield word

    def _check_option(self, word: str) -> None:
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if name not in self._option_string_actions:
            near = suggest(name, self._option_string_actions)
            self.error(f"there is no option {name!r}{near if 'did you mean' in near else ''}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"there is no command {value!r}{suggest(str(value), action.choices)}")
        name = "/".join(action.option_strings) or action.metavar or action.dest
        self.error(
            f"{name}: {value!r} is not one of {', '.join(map(str, action.choices))}{_near(value, action.choices)}"
        )


def make_parser() -> Parser:
    """The whole command line. It imports no torch: commands do, when they run."""
    epilog = "`lifelong COMMAND --help` shows its arguments and an example."
    parser = Parser(prog="lifelong", description=ABOUT, epilog=epilog)
    parser.add_argument("--version", action="version", version=f"lifelong {__version__}")
    _add_common(parser, False)
    groups = {"": parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)}
    for name in MODULES:
        module = import_module(f"lifelong.cli.commands.{name}")
        parser.sections.setdefault(module.TITLE, []).extend(module.COMMANDS)
        for command in module.COMMANDS:
            group, _, word = command.name.rpartition(" ")
            if group not in groups:
                groups[group] = _add_group(
                    groups[""], group, [c for c in module.COMMANDS if c.name.startswith(f"{group} ")]
                )
            _add_command(groups[group], word, command)
    _without_command(parser)
    return parser


def _add_command(commands: Any, word: str, command: Command) -> None:
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser: Parser = commands.add_parser(word, description=summary, epilog=f"example:\n  {command.example}")
    for names, options in command.arguments:
        parser.add_argument(*names, **options)
    _add_common(parser.add_argument_group("output"), argparse.SUPPRESS)
    parser.set_defaults(run=command.run, parser=parser)


def _add_group(commands: Any, name: str, members: list[Command]) -> Any:
    parser: Parser = commands.add_parser(name, description=f"Commands of `{name}`.")
    _add_common(parser, argparse.SUPPRESS)
    parser.sections["commands"] = members
    _without_command(parser)
    return parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)


def _without_command(parser: Parser) -> None:
    def run(options: argparse.Namespace, console: "Console") -> int:
        parser.exit(2, parser.format_help())

    parser.set_defaults(run=run, parser=parser)


def _add_common(parser: Any, default: Any) -> None:
    """The options that may stand before or after the command."""
    for names, text in (
        (("--json",), "print the result as one JSON document"),
        (("-q", "--quiet"), "say nothing while at work"),
        (("--no-progress",), "no progress bar, only what stays"),
        (("--debug",), "show the traceback of an error"),
    ):
        parser.add_argument(*names, action="store_true", default=default, help=text)


def _near(value: Any, choices: Iterable[Any]) -> str:
    near = suggest(str(value), map(str, choices))
    return near if "did you mean" in near else ""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Lines as they are written in an example, and no column wider than a page is read with ease."""
    width = min(100, shutil.get_terminal_size().columns - 2)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=width)
