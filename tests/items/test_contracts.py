"""Every item encoder keeps the contract; encoders that break it are caught by the check meant for it."""

import numpy as np
import pytest
import torch
from torch import nn

from lifelong.core import registry
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder, first_of_each
from lifelong.testing import items as contract


def text(model, **options):
    return {"name": "text", "model": model, **options}


def image(weights, **options):
    return {"name": "image", "model": "test_efficientnet", "weights": weights, "size": 32, **options}


SPECS = {
    "id": lambda model, weights: "id",
    "text": lambda model, weights: text(model, train=1),
    "mixed": lambda model, weights: {"name": "mixed", "of": [text(model), image(weights)]},
}
MORE = {
    "image": lambda model, weights: image(weights, train=2),
    "fused": lambda model, weights: {"name": "fused", "of": ["id", text(model)]},
    "text, all of it, moe": lambda model, weights: text(model, train="all", projection="moe"),
    "text, one block with its dropout": lambda model, weights: text(model, train=1, dropout=True, slots="all"),
    "text, cls": lambda model, weights: text(model, pooling="cls", whiten=False, projection="gelu"),
    "text, with words missing": lambda model, weights: text(model, train=1, missing_words=0.4),
    "text, nothing cached": lambda model, weights: text(model, train=2, cached=False, checkpointing=True),
    "image, frozen": lambda model, weights: image(weights, projection="moe"),
    "film": lambda model, weights: {"name": "fused", "how": "film", "of": [text(model), "id"]},
    "gated": lambda model, weights: {"name": "fused", "how": "gated", "of": [image(weights), text(model, train=1)]},
    "concat": lambda model, weights: {"name": "fused", "how": "concat", "of": ["id", text(model), image(weights)]},
    "mixed, first": lambda model, weights: {
        "name": "mixed",
        "both": "first",
        "of": [image(weights, train=1), text(model, train=1)],
    },
}


def trial_of(spec, contents, folder):
    def make(width, rows):
        _, cls, config = registry.make_config("items", spec, "items")
        return cls(config, width, rows)

    return contract.Trial(make, contents, folder)


@pytest.mark.parametrize("check", contract.ITEM_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", SPECS)
def test_contract(name, check, bert, vision, contents, tmp_path):
    check(trial_of(SPECS[name](bert, vision), contents, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_contract_of_a_variant(name, bert, vision, contents, tmp_path):
    for check in contract.ITEM_CHECKS:
        folder = tmp_path / check.__name__
        folder.mkdir()
        check(trial_of(MORE[name](bert, vision), contents, folder))


def test_every_encoder_is_here():
    assert set(SPECS) | set(MORE) >= set(registry.names("items"))


class Letters(ItemEncoder):
    """How often each letter stands in a text, through a frozen map and one that is learnt: right, and small enough to break."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.backbone = nn.Linear(26, 12, bias=False)
        with torch.no_grad():
            self.backbone.weight.copy_(torch.sin(torch.arange(12 * 26.0)).view(12, 26))
        self.map = nn.Linear(12, width)
        self.give(self.backbone)
        self.learn_missing()

    def read(self, contents, cache, progress):
        texts = dict(zip(contents.rows_n.tolist(), [t or "" for t in contents.texts], strict=True))
        self.counts_VF = torch.zeros(self.rows, 26)
        for row, words in texts.items():
            for letter in words.lower():
                self.counts_VF[row, ord(letter) % 26] += letter.isalpha()
        number = {words: n for n, words in enumerate(dict.fromkeys(texts.values())) if words.strip()}
        number_V = np.array([number.get(texts.get(row, ""), -1) for row in range(self.rows)])
        self.same_V.copy_(first_of_each(number_V))
        self.left_out = {"no text": sum(not words.strip() for words in texts.values())}
        return torch.from_numpy(number_V >= 0)

    def encode(self, rows_U):
        return self.map(self.backbone(self.counts_VF[rows_U]))


class NoTable(Letters):
    """Keeps what was settled in training."""

    def train(self, mode=True):
        kept = self._settled_VD
        super().train(mode)
        self._settled_VD = kept
        return self


class Places(Letters):
    """Knows the place in the batch."""

    def encode(self, rows_U):
        return super().encode(rows_U) + torch.arange(len(rows_U))[:, None] / 100


class Each(Letters):
    """Encodes equal texts as often as they come."""

    def read(self, contents, cache, progress):
        readable_V = super().read(contents, cache, progress)
        self.same_V.copy_(torch.arange(self.rows))
        return readable_V

    def vectors(self, rows_U):
        for row in rows_U:
            if self.readable_V[row]:
                self.encode(row[None])
        return super().vectors(rows_U)


class Crowd(Letters):
    """Relative to the mean of the block."""

    def encode(self, rows_U):
        made = super().encode(rows_U)
        return made - made.mean(dim=0) if len(made) else made


class Catalogue(Letters):
    """Relative to the mean of the catalogue that was read."""

    def encode(self, rows_U):
        return super().encode(rows_U) - self.counts_VF.mean()


class Wrong(Letters):
    """Says that the first two texts are the same."""

    def read(self, contents, cache, progress):
        readable_V = super().read(contents, cache, progress)
        self.same_V[2] = 3
        return readable_V


class Idle(Letters):
    """Has a parameter that nothing uses."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.idle = nn.Parameter(torch.zeros(3))


class Leaking(Letters):
    """Lets gradients into what came frozen, and does not keep it."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.backbone.requires_grad_(True)

    def stored(self):
        return {name: value for name, value in super().stored().items() if not name.startswith("backbone")}


class Running(Letters):
    """Has a norm whose statistics go on running."""

    def __init__(self, config, width, rows):
        super().__init__(config, width, rows)
        self.norm = nn.BatchNorm1d(12)
        self.give(self.norm, (self.norm,))

    def encode(self, rows_U):
        return self.map(self.norm(self.backbone(self.counts_VF[rows_U])))


class Forgetful(Letters):
    """Does not store its map."""

    def stored(self):
        return {name: value for name, value in super().stored().items() if not name.startswith("map")}


class Orphaned(Letters):
    """Gives items without text nothing, also where the parent knows them."""

    def unreadable(self, rows_U):
        return torch.zeros(len(rows_U), self.width) + self.missing_D


class NotANumber(Letters):
    """Divides by the number of items."""

    def encode(self, rows_U):
        return (
            super().encode(rows_U) / (0 if not len(rows_U) else 1) + rows_U.float().mean() * 0 if len(rows_U) else None
        )


class Believing(Letters):
    """Reads its cache without looking at it."""

    def read(self, contents, cache, progress):
        readable_V = super().read(contents, cache, progress)
        file = cache / "counts"
        cache.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_bytes(self.counts_VF.numpy().tobytes())
        self.counts_VF = torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.float32).view(-1, 26)
        return readable_V


class Drawn(Letters):
    """Drops letters, in evaluation too."""

    def encode(self, rows_U):
        return nn.functional.dropout(super().encode(rows_U), 0.5, training=True)


class Threaded(Letters):
    """Gives other last bits with other numbers of threads."""

    def encode(self, rows_U):
        return super().encode(rows_U) * (1.0 + 1e-6 * torch.get_num_threads())


LETTERS = Contents(np.arange(1, 9), ["milk", "bread", "dark bread", "milk", None, "wine", "", "pie"])


def test_the_small_one_is_sound(tmp_path):
    for check in contract.ITEM_CHECKS:
        check(contract.Trial(lambda w, r: Letters(Letters.Config(), w, r), LETTERS, tmp_path / check.__name__))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (NoTable, contract.check_table),
        (Places, contract.check_neighbours),
        (Each, contract.check_once),
        (Crowd, contract.check_neighbours),
        (Catalogue, contract.check_neighbours),
        (Wrong, contract.check_same_content),
        (Idle, contract.check_gradients),
        (Leaking, contract.check_frozen),
        (Running, contract.check_frozen),
        (Forgetful, contract.check_stored),
        (Orphaned, contract.check_missing),
        (NotANumber, contract.check_nothing),
        (Believing, contract.check_cache),
        (Drawn, contract.check_repeatable),
        (Threaded, contract.check_threads),
    ],
)
def test_a_broken_encoder_is_caught(broken, check, tmp_path):
    with pytest.raises((AssertionError, AttributeError)):
        check(contract.Trial(lambda w, r: broken(broken.Config(), w, r), LETTERS, tmp_path))
