"""Which item has a picture: a folder of files that are called by the items' ids, also in folders of their own."""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


class Pictures:
    """The picture files of a folder and of all folders in it; their names without the ending are the ids of items."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def identity(self) -> dict[str, Any]:
        """Plain JSON: the folder, since items are told the paths in it, and a hash of the names."""
        names = "\n".join(self._names).encode("utf-8", "surrogateescape")
        return {"folder": str(self.folder), "files": len(self._names), "sha256": hashlib.sha256(names).hexdigest()}

    def column(self, ids: pa.Array) -> pa.Array:
        """The path of each id's picture (string), null where there is none."""
        place = pc.index_in(ids, value_set=pa.array(list(self._of_id), pa.string()))
        return pa.array([str(self.folder / name) for name in self._of_id.values()], pa.string()).take(place)

    def beside(self, items: pa.Table) -> pa.Table:
        """A table of items with the column `image`."""
        return items.append_column("image", self.column(items["id"].combine_chunks()))

    @cached_property
    def _names(self) -> list[str]:
        """Paths below the folder, sorted; names that are no text are nobody's ids."""
        names = []
        for place, folders, files in os.walk(self.folder):
            folders.sort()
            below = os.path.relpath(place, self.folder)
            here = [file for file in files if file.lower().endswith(ENDINGS) and file.isprintable()]
            names += [file if below == "." else os.path.join(below, file) for file in here]
        return sorted(names)

    @cached_property
    def _of_id(self) -> dict[str, str]:
        """Id -> path below the folder; of two the first."""
        return {Path(name).stem: name for name in reversed(self._names)}
