"""What may be a seed: numpy takes none below 0, and torch none of more than 64 bits."""

from lifelong.core.errors import UsageError


def check_seed(seed: int) -> None:
    """Raises UsageError for a seed that could not be drawn from.

    >>> check_seed(0), check_seed(2**63 - 1)
    (None, None)
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed}; it must be at least 0 and below 2**63, take another")
