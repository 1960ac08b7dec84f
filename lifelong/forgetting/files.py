"""Files of a forgetting run that are there as a whole or not at all, wherever its process is killed."""

import os
from pathlib import Path

PARTIAL = ".partial"


def write_whole(path: Path, text: str) -> None:
    """Write the text aside, then put it in place of what may be there."""
    aside = path.with_name(path.name + PARTIAL)
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves a whole name for half a file
    os.replace(aside, path)
