"""A data set that is a folder as downloaded: where it is, which files are read, which pictures belong to its items."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from lifelong.core.errors import DataError
from lifelong.data.datasets.base import Source
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.filehash import file_identity


class Download(Source):
    """Base of the loaders that read an official download as it is. Nothing of it is ever copied into a model's folder."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        path: str | None = None
        """The folder; left out: what the environment variable LIFELONG_<NAME> says."""
        min_user_events: int = 5
        """Leave out users with fewer events, as the papers do."""
        on_bad_rows: Literal["error", "drop"] = "error"
        """error: refuse the file at the first row that cannot be used; drop: leave it out and count it."""

    page: ClassVar[str]
    """Where the official download is."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Any = config

    @property
    def variable(self) -> str:
        """The environment variable that names the folder."""
        return f"LIFELONG_{self.name.upper()}"

    @property
    def drops(self) -> bool:
        """Whether rows that cannot be used are left out."""
        return bool(self.options.on_bad_rows == "drop")

    @abstractmethod
    def files(self) -> dict[str, Path]:
        """Role -> file, for all that is read. Raises DataError where one is missing."""

    @cached_property
    def pictures(self) -> Pictures | None:
        """The pictures of items, where the data set has some and they are there."""
        return None

    def identity(self) -> dict[str, Any]:
        """Options and the contents of the files; where these lie matters for pictures alone."""
        found = super().identity()
        found["options"]["path"] = {role: file_identity(file) for role, file in self.files().items()}
        if "pictures" in found["options"]:
            found["options"]["pictures"] = self.pictures.identity() if self.pictures else None
        return found

    def missing_pictures(self) -> int:
        """How many of the known items have no picture; 0 where the data set has none at all."""
        items = self.items()
        return items["image"].null_count if items is not None and "image" in items.column_names else 0

    def folder(self, wanted: str) -> Path:
        """Where the download lies; `wanted` says in an error what it should hold."""
        folder = self.options.path or os.environ.get(self.variable)
        if not folder:
            raise DataError(
                f"{self.name}: where is the folder? It holds {wanted}, from {self.page}; write data: {{dataset: {{name: "
                f"{self.name}, path: …}}}}, or set {self.variable}"
            )
        if not Path(folder).is_dir():
            raise DataError(f"{folder}: is no folder; {self.name} looks there for {wanted}, from {self.page}")
        return Path(folder)

    def find(self, *names: str) -> Path:
        """The first of these files that is in the folder or in a folder of it. Raises DataError that tells them all."""
        found = self.found(*names)
        if not found:
            wanted = " or ".join(names)
            raise DataError(f"{self.folder(wanted)}: holds no {wanted}; {self.name} reads the files of {self.page}")
        return found[0]

    def found(self, *names: str) -> list[Path]:
        """All files of these names, the first name first, in the folder and then in those that lie in it."""
        folder = self.folder(" or ".join(names))
        places = [path for name in names for path in (folder / name, *sorted(folder.glob(f"*/{name}")))]
        return [path for path in places if path.is_file()]

    def picture_folder(self, asked: str | None, usual: Sequence[str]) -> Pictures | None:
        """The pictures of the folder that is asked for, or of the first usual one that is there.

        Raises DataError where a folder that was asked for is not there.
        """
        folder = self.folder("the files of the data set")
        if asked is not None:
            if not (folder / asked).is_dir():
                raise DataError(f"{folder / asked}: is no folder; pictures names the folder of the pictures")
            return Pictures(folder / asked)
        places = [path for name in usual for path in (folder / name, *sorted(folder.glob(f"*/{name}")))]
        return next((Pictures(path) for path in places if path.is_dir()), None)
