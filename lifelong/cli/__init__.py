"""The command line: arguments in, one call into the library, a table or one JSON document out.

Exit codes: 0 done, 1 failed, 2 the input or the call is at fault (nothing was changed), 130 interrupted. Results go to stdout,
progress and errors to stderr; a traceback is shown only with --debug.
"""

import os
import sys
from collections.abc import Sequence

from lifelong.core.errors import LifelongError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Before torch is imported. Threads that wait for each other spin: with d = 64 on 2 cores a second thread gains 15 % on a
    # quiet machine and costs a factor of 30 on a busy one.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))
    from lifelong.cli.parser import make_parser

    try:
        options = make_parser().parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("interrupted; what was committed stays, an unfinished training goes on where it was", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (LifelongError, OSError) as error:
        if options.debug:
            raise
        print(_one_line(error), file=sys.stderr)
        return error.exit_code if isinstance(error, LifelongError) else 1


def _one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
