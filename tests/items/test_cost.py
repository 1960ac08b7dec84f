"""The estimate counts what is there: distinct texts, operations of a step, bytes on disk."""

import numpy as np
import torch
from backbones import TEXTS
from torch import nn

from lifelong.core.slot import Slot
from lifelong.core.types import Contents
from lifelong.items.layers.cost import estimate
from lifelong.items.text import Text
from lifelong.model.contents import open_alike


def cost(model, texts, **options):
    contents = Contents(np.arange(1, len(texts) + 1), texts)
    return estimate(
        lambda rows: Text(Text.Config(model=model, **options), 8, rows), contents, rows_per_step=4, steps=10
    )


def test_what_is_estimated(bert):
    texts = [*TEXTS, *TEXTS]
    frozen, top = cost(bert, texts), cost(bert, texts, train=1)
    assert frozen.items == top.items == 24
    assert frozen.contents == 9
    assert top.step_encoded == 4
    assert frozen.trained == 32 * 8 + 8 + 8
    assert top.trained > frozen.trained + 32 * 32 * 4
    assert top.step_flops > 10 * frozen.step_flops > 0
    assert top.cache_bytes > 2 * frozen.cache_bytes > 0
    assert frozen.frozen_flops > top.frozen_flops > 0
    for made in (frozen, top):
        assert made.epoch_seconds > 0
        assert "9 contents of 24 items" in made.line()
        assert "\n" not in made.line()


def test_a_line_of_a_map_has_its_operations(bert):
    """Forward and backward of (U, 32) by (32, 8): three products, or two where the input needs no gradient."""
    made = cost(bert, ["milk", "bread"], whiten=False)
    assert made.step_flops == 2 * 2 * (2 * 32 * 8)
    assert torch.is_grad_enabled()


def test_what_a_strategy_opens_is_what_is_counted(bert, tmp_path):
    """Adapters in the top block, and nothing else: their numbers, and the operations of that block in every step."""
    texts = [text for text in TEXTS if text]
    contents = Contents(np.arange(1, len(texts) + 1), texts)

    def make(rows):
        return Text(Text.Config(model=bert, slots=1), 8, rows)

    opened = make(2)
    opened.requires_grad_(False)
    slot = next(module for module in opened.modules() if isinstance(module, Slot))
    slot.part = nn.Linear(32, 32)
    plain = estimate(make, contents, 4, 10)
    told = estimate(lambda rows: open_alike(make(rows), opened), contents, 4, 10)
    assert told.trained == 32 * 32 + 32
    assert told.step_flops > 10 * plain.step_flops
    shut = estimate(lambda rows: make(rows).requires_grad_(False), contents, 4, 10)
    assert (shut.trained, shut.step_flops) == (0, 0)
