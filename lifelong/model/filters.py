"""A set of user ids of which nothing can be read but whether a given id is in it: a salted Bloom filter."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lifelong.data.mixing import splitmix
from lifelong.data.splits import id_hashes

BITS_AN_ID = 24
"""3 bytes an id. With PROBES probes (1 - e^(-PROBES / BITS_AN_ID))^PROBES = 1.4e-5 of all other ids are taken for members,
which costs a training too many; that a member is not found cannot happen. A sorted list of 64-bit hashes would take 8 bytes
an id, be wrong once in 10^13, and be a row for each person, which no file of a model has."""
PROBES = 12
BLOCK = 1 << 10
"""Bytes of which there is a whole number, so that the size says little of a small set."""


@dataclass(frozen=True)
class IdFilter:
    """A Bloom filter (Bloom 1970) of ids under a salt; bits_m uint8, eight bits in each, m a multiple of BLOCK.

    The probes of an id are two hashes and their sums (Kirsch & Mitzenmacher 2008).
    """

    bits_m: np.ndarray
    salt: str

    @classmethod
    def of(cls, ids: pa.Array, salt: str) -> "IdFilter":
        """The filter of some ids; the same ids and salt give the same bits, in any order."""
        size = max(1, -(-len(ids) * BITS_AN_ID // (8 * BLOCK))) * BLOCK
        set_M = np.zeros(8 * size, bool)
        for place_U in _places(ids, salt, 8 * size):
            set_M[place_U] = True
        return cls(np.packbits(set_M), salt)

    def holds(self, ids: pa.Array) -> np.ndarray:
        """Bool (U): False for ids that are certainly not in it."""
        held_U = np.ones(len(ids), bool)
        for place_U in _places(ids, self.salt, 8 * len(self.bits_m)):
            held_U &= (self.bits_m[place_U >> 3] >> (7 - (place_U & 7)).astype(np.uint8)) & 1 == 1
        return held_U

    def as_tensor(self) -> Tensor:
        """Its bits, uint8 (m,)."""
        return torch.from_numpy(self.bits_m)


def _places(ids: pa.Array, salt: str, bits: int) -> Iterator[np.ndarray]:
    """The bit of each id, int64 (U), probe after probe."""
    first_U = id_hashes(ids, salt)
    step_U = splitmix(first_U ^ np.uint64(0x5851F42D4C957F2D)) | np.uint64(1)
    with np.errstate(over="ignore"):
        for probe in range(PROBES):
            yield ((first_U + np.uint64(probe) * step_U) % np.uint64(bits)).astype(np.int64)
