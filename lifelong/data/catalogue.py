"""The items of a data set with their fields: which there are, which match, and what text describes each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import suggest
from lifelong.core.errors import DataError


@dataclass(frozen=True)
class Catalogue:
    """V items: a table of an "id" and nullable string fields, such as the `items` of a prepared data set."""

    table: pa.Table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """The external ids, in the order of the table."""
        return self.table["id"].to_pylist()

    @property
    def fields(self) -> list[str]:
        """The names of what is known of an item."""
        return [name for name in self.table.column_names if name != "id"]

    def matching(self, where: Mapping[str, Any]) -> np.ndarray:
        """Bool (V): the items that have, in every field of `where`, its value or one of its list of values.

        Raises DataError for a field that does not exist.
        """
        matching_V = np.ones(len(self), bool)
        for name, wanted in where.items():
            self._check(name)
            values = pa.array([str(v) for v in (wanted if isinstance(wanted, list) else [wanted])], pa.string())
            matching_V &= pc.is_in(self.table[name], value_set=values).to_numpy()
        return matching_V

    def texts(self, fields: Sequence[str] | None = None, separator: str = " ; ") -> list[str]:
        """One text an item: its fields (left out: all) that are not null, in that order; empty where it has none.

        Raises DataError for a field that does not exist.
        """
        chosen = self.fields if fields is None else list(fields)
        for name in chosen:
            self._check(name)
        if not chosen:
            return [""] * len(self)
        columns = [self.table[name].combine_chunks() for name in chosen]
        return pc.binary_join_element_wise(*columns, separator, null_handling="skip").to_pylist()

    def _check(self, field: str) -> None:
        if field not in self.fields:
            raise DataError(f"the items have no field {field!r}{suggest(field, self.fields)}")
