"""MovieLens as Conure's ML: films a user rated otherwise are the history, four and five stars two sets of targets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.datasets.movielens import Movielens
from lifelong.data.mixing import Ties

CLICK, FOUR, FIVE = "click", "four_stars", "five_stars"
DOMAINS = (CLICK, FOUR, FIVE)
AFTER = 1 << 33
"""Seconds added to the times of targets that come after the whole history: 272 years."""


class Movielens25m(Movielens):
    """One film is three items: `12` where a user gave it neither four nor five stars, `four_stars-12`, `five_stars-12`.

    Conure's tasks on ML-25M: T1 is the next click, T2 the films of exactly four stars, T3 those of exactly five, each with
    a vocabulary of its own, read from clicks alone; so no history holds what another task asks about. 3.5 and 4.5 stars
    are clicks. The folder is as downloaded from GroupLens (ml-25m.zip); any other release of it works, too.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Movielens.Config):
        """Options of the data set."""

        min_user_events: int = 5
        """Leave out users with fewer ratings."""
        ties: Ties = "mixed"
        """The hash of (user, film) that orders ratings of the same second; the quick one, for 25 million."""
        history: Literal["before", "whole"] = "before"
        """What a target is predicted from. before: the clicks before it in time. whole: all clicks of the user, also later
        ones, as in Conure; for comparison with the paper, with split: by_user."""

    variable = "LIFELONG_MOVIELENS25M"

    def items(self) -> pa.Table:
        """Those of MovieLens for each domain: title, genres, year, domain."""
        films = super().items()
        tables = []
        for domain in DOMAINS:
            table = films.set_column(films.column_names.index("id"), "id", _named(films["id"].combine_chunks(), domain))
            tables.append(table.append_column("domain", pa.repeat(domain, len(films))))
        return pa.concat_tables(tables).combine_chunks()

    def _placed(self, table: pa.Table, stars_N: np.ndarray) -> pa.Table:
        """With the item of its domain for each rating, and targets behind everything else if so asked."""
        domain_N = np.select([stars_N == 4, stars_N == 5], [1, 2], 0)
        films = table["item"].combine_chunks().dictionary_encode()
        index = films.indices.to_numpy() + domain_N * len(films.dictionary)
        names = pa.concat_arrays([_named(films.dictionary, domain) for domain in DOMAINS])
        item = pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names)
        table = table.set_column(table.column_names.index("item"), "item", item)
        if self.config.history == "before":
            return table
        time_N = table["time"].to_numpy() + np.where(domain_N > 0, AFTER, 0)
        return table.set_column(table.column_names.index("time"), "time", pa.array(time_N))


def _named(films: pa.Array, domain: str) -> pa.Array:
    return films if domain == CLICK else pc.binary_join_element_wise(domain, films, "-")
