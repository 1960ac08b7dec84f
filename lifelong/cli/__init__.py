"""The command line: arguments in, one call into the library, a table or one JSON document out.

Exit codes: 0 done, 1 failed, 2 the input or the call is at fault (nothing was changed), 130 interrupted. Results go to
stdout, progress and errors to stderr; a traceback is shown only with --debug.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from lifelong.cli.parser import make_parser
from lifelong.cli.text import one_line
from lifelong.cli.together import AlreadySaid
from lifelong.core.errors import LifelongError

THREADS = """Threads that wait for each other spin: at width 64 on 2 cores the second one gains 15 % on a quiet machine
and costs a factor of 30 on a busy one. So a command takes half the cores, unless OMP_NUM_THREADS says otherwise."""
INTERRUPTED = "interrupted; every committed version stands, and a training goes on where it was when started again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` are those of the process where none are given."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))  # before torch, see THREADS
    if "RANK" in os.environ:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # or every rank remarks on how the others are waited for
    if arguments is None:
        _be_the_program()
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where a reader that has gone can still be met
    except SystemExit as stop:  # argparse, after it has printed help or the error
        code = int(stop.code or 0)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it leaves
        code = 0
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = make_parser().parse_args(arguments)
    if options.debug:
        sys.excepthook = sys.__excepthook__
    from lifelong.cli.console import Console

    console = Console(json=options.json, quiet=options.quiet, bars=not options.no_progress)
    try:
        return options.run(options, console)
    except BrokenPipeError:
        raise
    except (LifelongError, OSError) as error:
        console.close()
        if options.debug:
            traceback.print_exc()
        elif not isinstance(error, AlreadySaid):
            print(one_line(error), file=sys.stderr)
        return error.exit_code if isinstance(error, LifelongError) else 1
    finally:
        console.close()


def _be_the_program() -> None:
    """Say an unforeseen error in one line too, and print what the terminal's encoding lacks as an escape."""
    sys.excepthook = _unforeseen
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(f"{one_line(error)} (not foreseen; run it again with --debug to see where)", file=sys.stderr)
