"""An item encoder for tests: a map of the letters of an item's text."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from lifelong.items.base import ItemEncoder

LETTERS = 32


class Letters(ItemEncoder):
    """How often each letter stands in the text, through one linear map."""

    @dataclass(frozen=True, kw_only=True)
    class Config(ItemEncoder.Config):
        """Options."""

        bias: bool = True

    encoded: ClassVar[list[int]] = []
    """How many items each call has encoded."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.map = nn.Linear(LETTERS, width, bias=config.bias)

    def read(self, contents, cache, progress):
        counts_VF = torch.zeros(self.rows, LETTERS)
        for row, text in zip(contents.rows_n, contents.texts, strict=True):
            for letter in text or "":
                counts_VF[row, ord(letter) % LETTERS] += 1.0
        self.register_buffer("counts_VF", counts_VF, persistent=False)
        return counts_VF.any(dim=1)

    def encode(self, rows_U):
        Letters.encoded.append(len(rows_U))
        return self.map(self.counts_VF[rows_U])


SPEC = "toy_items:Letters"
