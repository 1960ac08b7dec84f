"""MovieLens: ratings of films, from a folder as downloaded from GroupLens (100k, 1M, latest-small, 25M)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import CodedBatch, EventBatch, Source
from lifelong.data.events import read_events, read_table
from lifelong.data.filehash import file_identity
from lifelong.data.formats.base import explained
from lifelong.data.mixing import Ties, tied

VARIABLE = "LIFELONG_MOVIELENS"
FILES = {
    "100k": ("u.data", "u.item", "u.user"),
    "1m": ("ratings.dat", "movies.dat", "users.dat"),
    "csv": ("ratings.csv", "movies.csv"),
}
"""Layout -> its files: ratings, films and, where there are, users."""
GENRES = [
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
]
"""The flags of u.item, in order."""
OCCUPATIONS = [
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
    *("unemployed", "writer"),
]
"""The numbers of users.dat."""
BANDS = ("<18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
BAND_ENDS = (18, 25, 35, 45, 50, 56)
"""MovieLens 1M gives ages in these bands; those of 100k are put into the same."""


NO_OCCUPATION = "no occupation"
"""What those say who chose "none" in 100k, which elsewhere means that nothing is known."""


class Movielens(Source):
    """A rating is an event; its stars, half ones rounded down, are its channel, '1' to '5' ('0' for half a star).

    Many ratings of a user share a second: they are ordered by a hash of (user, film), not by the file.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        path: str | None = None
        """The folder; left out: what the environment variable LIFELONG_MOVIELENS says."""
        min_rating: float | None = None
        """Leave out ratings below."""
        min_user_events: int = 5
        """Leave out users with fewer ratings."""
        ties: Ties = "blake2b"
        """The hash of (user, film) that orders ratings of the same second."""

    variable = VARIABLE
    notice = (
        "MovieLens (GroupLens Research, University of Minnesota; Harper and Konstan, ACM TiiS 5(4), 2015): for research "
        "under the licence of GroupLens, not to be redistributed without permission."
    )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Movielens.Config = config

    def identity(self) -> dict[str, Any]:
        """Options and the contents of the files; where the folder lies does not matter."""
        found = super().identity()
        found["options"]["path"] = {path.name: file_identity(path) for path in self._layout()[1]}
        return found

    def events(self) -> Iterator[EventBatch]:
        """One event a rating."""
        layout, files = self._layout()
        names, delimiter = {
            "100k": (["user", "item", "channel", "time"], "\t"),
            "1m": (COLONS, ":"),
            "csv": (None, ","),
        }[layout]
        columns = Columns(user="user", item="item", time="time", channel="channel", time_unit="seconds")
        if layout == "csv":
            columns = Columns(user="userId", item="movieId", time="timestamp", channel="rating", time_unit="seconds")
        for batch in read_events(files[0], columns, format="csv", delimiter=delimiter, names=names):
            yield self._rated(batch, files[0])

    def items(self) -> pa.Table:
        """title (with the year, as there), genres joined by a space, year."""
        layout, files = self._layout()
        if layout == "csv":
            read = read_table(files[1])
            ids, titles, genres = (read[c].to_pylist() for c in ("movieId", "title", "genres"))
        else:
            rows = _rows(files[1], *{"100k": ("|", 24), "1m": ("::", 3)}[layout])
            ids, titles = [r[0] for r in rows], [r[1] for r in rows]
            genres = [_flagged(r[5:24]) if layout == "100k" else r[2] for r in rows]
        title = pa.array(titles, pa.string())
        year = pc.struct_field(pc.extract_regex(title, r"\((?P<year>\d{4})\)\s*$"), "year")
        spaced = pa.array([_spaced(g) for g in genres], pa.string())
        return pa.table({"id": pa.array(ids, pa.string()), "title": title, "genres": spaced, "year": year})

    def users(self) -> pa.Table | None:
        """gender, age_band, occupation; 25M and latest-small have none."""
        layout, files = self._layout()
        if len(files) < 3:
            return None
        rows = _rows(files[2], *{"100k": ("|", 5), "1m": ("::", 5)}[layout])
        if layout == "100k":
            columns = [(r[0], r[2], _band(r[1], files[2]), NO_OCCUPATION if r[3] == "none" else r[3]) for r in rows]
        else:
            columns = [(r[0], r[1], _band(r[2], files[2]), _occupation(r[3], files[2])) for r in rows]
        names = ("id", "gender", "age_band", "occupation")
        return pa.table({name: pa.array([c[n] for c in columns], pa.string()) for n, name in enumerate(names)})

    def _layout(self) -> tuple[str, list[Path]]:
        """Which of the layouts the folder has, and its files. Raises DataError where it has none."""
        path = self.options.path or os.environ.get(self.variable)
        if not path:
            raise DataError(
                f"{self.name}: where is the folder? Download it from grouplens.org/datasets/movielens and write "
                f"data: {{dataset: {{name: {self.name}, path: …}}}}, or set {self.variable}"
            )
        for layout, (ratings, films, *users) in FILES.items():
            files = [Path(path) / name for name in (ratings, films, *users)]
            if all(file.is_file() for file in files[:2]):
                return layout, [file for file in files if file.is_file()]
        wanted = " or ".join(" and ".join(names[:2]) for names in FILES.values())
        raise DataError(f"{path}: is no MovieLens folder; it should hold {wanted}")

    def _rated(self, batch: EventBatch, path: Path) -> EventBatch:
        """With stars as channel, ties by hash, and without ratings that are too low."""
        table = batch.table
        try:
            stars = table["channel"].cast(pa.float64()).to_numpy()
            tie = tied(self.options.ties, *(table[c].combine_chunks().cast(pa.int64()) for c in ("user", "item")))
        except pa.ArrowInvalid:  # it says the value, which may be somebody's id
            raise DataError(f"{path}: an id or a rating is no number; in MovieLens they all are") from None
        wrong = stars[~((stars >= 0.5) & (stars <= 5))]  # not a number is neither
        if len(wrong):
            raise DataError(f"{path}: a rating of {wrong[0]:g}; ratings of MovieLens lie between 0.5 and 5")
        names = pa.array([str(n) for n in range(6)])
        table = table.set_column(table.column_names.index("tie"), "tie", pa.array(tie))
        stars_index = pa.array(np.floor(stars).astype(np.int64))
        table = table.set_column(table.column_names.index("channel"), "channel", names.take(stars_index))
        table = self._placed(table, stars)
        if self.options.min_rating is None:
            return CodedBatch(table, batch.rows_read, batch.dropped)
        kept = table.filter(pa.array(stars >= self.options.min_rating))
        low = {f"rated below {self.options.min_rating:g}": len(table) - len(kept)}
        return CodedBatch(kept, batch.rows_read, {**batch.dropped, **low})

    def _placed(self, table: pa.Table, stars_N: np.ndarray) -> pa.Table:
        """The events as they are; a data set made of this one may give them other items and times."""
        return table


COLONS = ["user", "_1", "item", "_2", "channel", "_3", "time"]
"""Columns of ratings.dat cut at single colons: between two lies an empty one."""


def _rows(path: Path, delimiter: str, columns: int) -> list[list[str]]:
    """The rows of a small text file in Latin-1. Raises DataError for one of another width."""
    with explained(path, "text"):
        lines = path.read_text(encoding="latin-1").split("\n")  # splitlines would cut at Latin-1's 0x85, too
    rows = [line.split(delimiter) for line in lines if line]
    for number, row in enumerate(rows, 1):
        if len(row) != columns:
            raise DataError(f"{path}: row {number}: {len(row)} columns instead of {columns}")
    return rows


def _flagged(flags: list[str]) -> str:
    return "|".join(genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1" and genre != "unknown")


def _spaced(genres: str | None) -> str | None:
    return None if genres in (None, "", "(no genres listed)") else genres.replace("|", " ")


def _band(age: str, path: Path) -> str:
    if not age.isdigit():
        raise DataError(f"{path}: the age {age!r} is no number")
    return BANDS[int(np.searchsorted(BAND_ENDS, int(age), side="right"))]


def _occupation(code: str, path: Path) -> str:
    if not code.isdigit() or int(code) >= len(OCCUPATIONS):
        raise DataError(f"{path}: there is no occupation {code!r}")
    return OCCUPATIONS[int(code)]
