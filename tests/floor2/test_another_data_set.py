"""A task on another data set reads its items by statistics of their own, and seals them, also where it trains no encoder."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong import LivingModel
from lifelong.model import contents
from lifelong.model.member import nearest_encoding

sys.path.insert(0, str(Path(__file__).parents[1] / "items"))

DATA = {"name": "synthetic", "users": 120, "items": 60, "events_per_user": 20}
FIT = {"epochs": 1, "batch_size": 32}


def wider(name):
    """The next item of the other domain, whose items get rows of their own."""
    data = {"dataset": DATA, "inputs": {"domain": ["domain_0", "domain_1"]}, "targets": {"domain": "domain_1"}}
    return {"name": name, "head": "next_item", "strategy": "probe", "data": {**data, "text": ["title"]}, "fit": FIT}


@pytest.mark.slow
def test_statistics_of_another_data_set_are_sealed_with_the_task(tmp_path, monkeypatch):
    import pyarrow as pa
    from backbones import WORDS, language

    def texts(task, where, items):
        """Words that the tiny tokenizer knows, other ones for each item."""
        draws = [np.random.default_rng(list(name.encode())) for name in items["id"].to_pylist()]
        return [" ".join(draw.choice(WORDS, 4)) for draw in draws]

    monkeypatch.setattr(contents, "_texts", texts)
    monkeypatch.setattr(contents, "_data_set", lambda task: "films" if task.name in ("films", "more") else "shop")
    first = {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
        "length": 12,
        "items": {"name": "text", "model": str(language(tmp_path, "bert"))},
        "head": "next_item",
        "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}, "text": ["title"]},
        "fit": FIT,
    }
    model = LivingModel.pretrain(tmp_path / "model", first, cache=tmp_path / "cache")
    model.add_task(wider("shelves"))
    assert model.members["shelves"].encoding is None
    model.add_task(wider("films"))
    own = model.members["films"].encoding.tensors
    assert set(own) == {"statistics.mean_H", "statistics.map_HH", "statistics.of"}
    model.add_items("films", pa.table({"id": ["new"], "title": ["dark rye bread"]}), "more")
    read_by = nearest_encoding(model.members, "more").tensors
    assert torch.equal(read_by["statistics.map_HH"], own["statistics.map_HH"])
    assert LivingModel.open(tmp_path / "model", cache=tmp_path / "cache").verify().ok
