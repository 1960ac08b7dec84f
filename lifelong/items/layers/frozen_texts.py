"""What the frozen blocks of a language model make of texts: found on disk, or computed piece by piece in one shape and kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.core.fingerprint import numeric_stack
from lifelong.core.progress import Progress
from lifelong.items.layers.features import Features
from lifelong.items.layers.language import MEANT, PIECE, Language, pooled
from lifelong.items.layers.pieces import filled, pieces
from lifelong.items.layers.places import content_hash
from lifelong.items.layers.tokens import Tokens


@dataclass
class FrozenTexts:
    """The texts of a catalogue below a cut: `states` before block `cut`, or `vectors` behind the last block.

    Every text is computed among PIECE texts padded to its own length, so its bits depend on nothing but itself, and on the
    numeric stack, which is part of the name under which they are kept.
    """

    folder: Path
    name: str
    tokens: Tokens
    keys_n: np.ndarray
    pooling: str
    cache: Path
    progress: Progress
    cached: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._features: dict[int, Features] = {}
        self._vectors_nH: Tensor | None = None
        self._model: Language | None = None

    def vectors(self, blocks: int, hidden: int, device: torch.device) -> Tensor:
        """Pooled vectors (n, H) of all texts behind the last of `blocks`, on the device."""
        if self._vectors_nH is None:
            rows_n1H = self._at(blocks, blocks, hidden).rows(np.arange(len(self.keys_n)), 1)
            self._vectors_nH = torch.from_numpy(rows_n1H[:, 0])
        self._vectors_nH = self._vectors_nH.to(device)
        return self._vectors_nH

    def states(self, texts_u: np.ndarray, length: int, cut: int, blocks: int, hidden: int) -> Tensor:
        """States (U, L, H) of texts before block `cut`, 0 at padding; on the CPU."""
        if self.cached:
            return torch.from_numpy(self._at(cut, blocks, hidden).rows(texts_u, length))
        parts = [self._below(part, cut, blocks) for part in pieces(texts_u, PIECE)]
        real_UL = torch.from_numpy(np.arange(length) < self.tokens.counts_n[texts_u, None])
        return torch.where(real_UL[:, :, None], torch.cat(parts), 0.0)

    def size(self) -> int:
        """Bytes on disk of what has been asked for."""
        return sum(features.size() for features in self._features.values())

    def _at(self, cut: int, blocks: int, hidden: int) -> Features:
        if cut in self._features:
            return self._features[cut]
        features = Features(self.cache, self._identity(cut, blocks), hidden, self.dtype)
        wanted_n = self.tokens.counts_n > 0
        missing_n = features.find(self.keys_n)
        missing_n = missing_n[wanted_n[missing_n]]
        if len(missing_n):
            self.progress.start("texts", len(missing_n))
            features.add(self._computed(missing_n, cut, blocks))
            self.progress.end()
            features.find(self.keys_n)
            self._model = None
        self._features[cut] = features
        return features

    def _computed(self, texts_n: np.ndarray, cut: int, blocks: int) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        for part in alike(texts_n, self.tokens):
            rows_uLH = self._below(part, cut, blocks).numpy()
            counts = [1] * len(part) if cut == blocks else self.tokens.counts_n[part].tolist()
            yield self.keys_n[part], [rows[:count] for rows, count in zip(rows_uLH, counts, strict=True)]
            self.progress.advance(len(part))

    @torch.no_grad()
    def _below(self, texts_u: np.ndarray, cut: int, blocks: int) -> Tensor:
        """At most PIECE texts of one length: states (U, L, H) before block `cut`, or (U, 1, H) pooled behind the last."""
        if self._model is None:
            self._model = Language(self.folder, self.name, range(cut)).eval().requires_grad_(False)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        ids_UL, mask_UL = self.tokens.block(filled(texts_u, PIECE), int(self.tokens.lengths_n[texts_u[0]]), device)
        with torch.autocast(device.type, enabled=False):
            states_ULH = self._model.to(device).below(ids_UL, mask_UL, cut)
        if cut == blocks:
            states_ULH = pooled(states_ULH, mask_UL, self.pooling)[:, None]
        return states_ULH[: len(texts_u)].cpu()

    def _identity(self, cut: int, blocks: int) -> dict[str, Any]:
        frozen = cut == blocks
        return {
            "backbone": content_hash(self.folder, MEANT),
            "cut": cut,
            "pooling": self.pooling if frozen else None,
            "tokens": self.tokens.most,
            "stack": numeric_stack("cuda" if torch.cuda.is_available() else "cpu"),
        }


def alike(texts_n: np.ndarray, tokens: Tokens) -> Iterator[np.ndarray]:
    """Texts in pieces of at most PIECE that are padded to one length."""
    for length in np.unique(tokens.lengths_n[texts_n]):
        yield from pieces(texts_n[tokens.lengths_n[texts_n] == length], PIECE)
