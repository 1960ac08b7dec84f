"""Every error a user can meet: it names the thing, the value, and the way out.

The command line prints `<class name>: <message>` on one line and leaves with `exit_code`: 2 where the input is at fault,
1 where a run failed. A traceback is shown only with --debug.
"""


class LifelongError(Exception):
    """A run failed. Base of every error raised on purpose."""

    exit_code = 1


class UsageError(LifelongError):
    """What was asked for is not possible; nothing was changed."""

    exit_code = 2


class ConfigError(UsageError):
    """A YAML file, an option or a name is wrong: unknown key, wrong type, value out of range."""


class DataError(UsageError):
    """The data cannot be used as they are; the message names file, row, column and reason."""


class CapacityError(UsageError):
    """Too few weights of the encoder are free for another task that claims some."""


class ModelCorrupt(LifelongError):
    """A file of a model is missing or not what its name says; the message names it."""


class Conflict(LifelongError):
    """Another process committed a version first; nothing was lost, try again."""


class Unsupported(LifelongError):
    """The folder was written in a format that this release cannot read."""


class Diverged(LifelongError):
    """A loss or a weight stopped being a finite number while a task was trained; nothing was committed."""


class ForgettingError(LifelongError):
    """An earlier task would have changed, so the commit was refused."""
