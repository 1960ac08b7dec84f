"""What the rows of a log say of users or items again and again, such as an age: told once, null where they contradict."""

import numpy as np
import pyarrow as pa

from lifelong.data.vocabulary import Vocabulary

UNKNOWN = -1


class Known:
    """Fields of ids, gathered block by block; memory grows with the ids, not with the rows."""

    def __init__(self, fields: list[str], contradictions: bool) -> None:
        """contradictions: an id with two values of a field has none; otherwise the first one counts."""
        self._ids, self._contradictions = Vocabulary(), contradictions
        self._values = {field: Vocabulary() for field in fields}
        self._found = {field: np.empty(0, np.int32) for field in fields}
        self._torn = {field: np.empty(0, bool) for field in fields}

    def add(self, ids_N: pa.Array, values: dict[str, pa.Array]) -> None:
        """Some rows: text ids, and for each field text, null where nothing is known."""
        code_N = self._ids.codes([self._ids.compact(ids_N)]) if len(ids_N) else np.empty(0, np.int32)
        for field in self._values:
            self._grow(field)
        for field, column in values.items():
            said = column.is_valid()
            if said.true_count:
                value_n = self._values[field].codes([self._values[field].compact(column.filter(said))])
                self._tell(field, code_N[said.to_numpy(zero_copy_only=False)], value_n)

    def table(self) -> pa.Table:
        """id, sorted, and the fields, all text."""
        ids, place = self._ids.ranked()
        by_place = np.empty(len(place), np.int64)
        by_place[place] = np.arange(len(place))
        columns = {"id": ids}
        for field, vocabulary in self._values.items():
            values, rank = vocabulary.ranked()
            code_I = self._found[field][by_place]
            known_I = (code_I != UNKNOWN) & ~self._torn[field][by_place]
            index = np.append(rank, 0)[np.where(known_I, code_I, len(rank))]
            columns[field] = values.take(pa.array(index, mask=~known_I)).cast(pa.string())
        return pa.table(columns)

    def _grow(self, field: str) -> None:
        more = len(self._ids) - len(self._found[field])
        self._found[field] = np.append(self._found[field], np.full(more, UNKNOWN, np.int32))
        self._torn[field] = np.append(self._torn[field], np.zeros(more, bool))

    def _tell(self, field: str, code_n: np.ndarray, value_n: np.ndarray) -> None:
        found, fresh_n = self._found[field], self._found[field][code_n] == UNKNOWN
        found[code_n[fresh_n][::-1]] = value_n[fresh_n][::-1]  # the last write stays, which is the first row
        if self._contradictions:
            self._torn[field][code_n[found[code_n] != value_n]] = True
