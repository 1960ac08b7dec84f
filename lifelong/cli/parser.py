"""The parser: one subcommand for each function that a module of commands/ declares, near misses suggested."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NoReturn

from lifelong import __version__
from lifelong.core.config import suggest

MODULES = ("growing", "measuring", "asking", "keeping", "looking", "data")


@dataclass(frozen=True)
class Command:
    """One subcommand: its name, what it does, an example, its arguments, and the function that runs it."""

    name: str
    summary: str
    example: str
    run: Callable[[argparse.Namespace], int]
    arguments: Sequence[tuple[tuple[str, ...], dict[str, Any]]] = field(default_factory=tuple)


def argument(*names: str, **options: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What argparse's add_argument takes."""
    return names, options


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what was probably meant."""

    known: dict[str, "Parser"]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"there is no command {value!r}{suggest(str(value), self.known)}")
        self.error(f"{value!r} is no {action.metavar or action.dest}{suggest(str(value), map(str, action.choices))}")

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with 2."""
        self.exit(2, f"UsageError: {message}; see `{self.prog} --help`\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all, or refuse an unknown option with the nearest known one."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            known = [o for a in getattr(options, "parser", self)._actions for o in a.option_strings]
            near = suggest(word, known) if word.startswith("-") else ""
            hint = near if "did you mean" in near else ""
            self.error(f"there is no argument {word!r} here{hint}")
        return options


def make_parser() -> Parser:
    """The whole command line. Imports no torch: commands do, when they run."""
    parser = Parser(
        prog="lifelong",
        description="One user encoder that learns task after task for years, and never forgets.",
        epilog="Every command shows an example with --help and takes --json.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lifelong {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    by_name = {}
    for module in MODULES:
        for command in import_module(f"lifelong.cli.commands.{module}").COMMANDS:
            by_name[command.name] = _add(commands, command)
    parser.known = by_name
    parser.set_defaults(run=lambda options: parser.print_help() or 0, debug=False)
    return parser


def _add(commands: Any, command: Command) -> Parser:
    parser: Parser = commands.add_parser(
        command.name,
        help=command.summary,
        description=(command.summary[0].upper() + command.summary[1:] + ".").replace("%%", "%"),
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for names, options in command.arguments:
        parser.add_argument(*names, **options)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show a traceback when it fails")
    parser.set_defaults(run=command.run, parser=parser)
    return parser

