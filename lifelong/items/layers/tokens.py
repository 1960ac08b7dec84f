"""Texts as tokens: ids and lengths of each distinct text, and blocks of them that are padded to one of a few lengths."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.core.errors import DataError
from lifelong.core.torchvision_bridge import ensure_torchvision

ensure_torchvision()

from transformers import AutoTokenizer  # noqa: E402

STEP = 8
"""Lengths are multiples of it."""


@dataclass(frozen=True)
class Tokens:
    """n texts: ids of all, one behind the other, where each begins, how many tokens it has."""

    ids: np.ndarray
    starts_n: np.ndarray
    counts_n: np.ndarray
    pad: int
    most: int
    """No text has more."""

    @property
    def lengths_n(self) -> np.ndarray:
        """The length to which each is padded: it depends on the text alone."""
        return padded_length(self.counts_n)

    def block(self, which_u: np.ndarray, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """ids_UL and mask_UL (int64) of texts by number, padded to `length`."""
        place_L = np.arange(length)
        real_UL = place_L < self.counts_n[which_u, None]
        ids_UL = np.full(real_UL.shape, self.pad, np.int64)
        ids_UL[real_UL] = self.ids[(self.starts_n[which_u, None] + place_L)[real_UL]]
        return torch.from_numpy(ids_UL).to(device), torch.from_numpy(real_UL.astype(np.int64)).to(device)


def padded_length(tokens: Any) -> Any:
    """The length to which a text of so many tokens is padded (a number, or an array of them); there is room for one pad."""
    return (tokens // STEP + 1) * STEP


def with_words_missing(text: str, share: float) -> str:
    """The text without some of its words, each left out with this probability; at least one stays.

    Words are what spaces part. Which ones go is a matter of the text alone: the random numbers are its hash.

    >>> with_words_missing("soft white bread of dark rye", 0.4)
    'white bread of dark'
    """
    words = text.split()
    hashed = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(4 * len(words))
    drawn_w = np.frombuffer(hashed, "<u4") / 2**32
    kept_w = drawn_w >= min(share, drawn_w.max(initial=0.0))
    return text if kept_w.all() else " ".join(compress(words, kept_w))


def load_tokenizer(folder: Path, name: str) -> Any:
    """The folder's tokenizer. Raises DataError where there is none."""
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"items: text: the tokenizer of {name!r} cannot be read: {reason:.160}") from None


def tokenize(tokenizer: Any, texts: Sequence[str], most: int) -> Tokens:
    """Tokens of texts, at most `most` of each, the special ones included; the tokenizer decides about letters' case."""
    ids = tokenizer(list(texts), truncation=True, max_length=most, padding=False)["input_ids"] if texts else []
    counts_n = np.array([len(i) for i in ids], np.int64)
    flat = np.fromiter((token for text in ids for token in text), np.int32, int(counts_n.sum()))
    pad = tokenizer.pad_token_id
    return Tokens(flat, counts_n.cumsum() - counts_n, counts_n, 0 if pad is None else int(pad), most)
