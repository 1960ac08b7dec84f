"""Texts: pooling and padding against transformers' own forward, caches, blocks, slots, and what cannot be read."""

import shutil

import numpy as np
import pytest
import torch
from backbones import TEXTS, WORDS, language
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lifelong.core.config import build
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.progress import Silent
from lifelong.core.slot import Slot
from lifelong.core.types import Contents
from lifelong.items.layers.frozen_texts import FrozenTexts
from lifelong.items.layers.language import PIECE
from lifelong.items.layers.tokens import with_words_missing
from lifelong.items.text import Text

KINDS = ("bert", "roberta", "distilbert", "opt", "gpt2", "modernbert")


def many(count, seed=0):
    """Texts of four to seven words, each another: one length for a tokenizer that adds two."""
    draw = np.random.default_rng(seed)
    return list(dict.fromkeys(" ".join(draw.choice(WORDS, 5)) for _ in range(2 * count)))[:count]


def opened(folder, texts, cache, width=8, restore=None, of="", **options):
    torch.manual_seed(3)
    made = Text(build(Text.Config, {"model": str(folder), **options}, "text"), width, len(texts) + 1)
    if restore is not None:
        made.restore(restore.stored())
    made.open(Contents(np.arange(1, len(texts) + 1), list(texts), of=of), None, cache, Silent())
    return made.eval()


def direct(folder, texts, pooling, length):
    """What transformers make of texts by themselves, padded to a length, pooled by hand."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    made = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=30)["input_ids"]
        padded = torch.tensor([ids + [tokenizer.pad_token_id or 0] * (length - len(ids))])
        mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids))])
        with torch.no_grad():
            states = model(input_ids=padded, attention_mask=mask).last_hidden_state[0, : len(ids)]
        made.append({"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling])
    return torch.stack(made)


@pytest.mark.parametrize("kind", KINDS[:1] + tuple(pytest.param(k, marks=pytest.mark.slow) for k in KINDS[1:]))
@pytest.mark.parametrize("options", [{}, {"train": 1}, {"train": "all"}], ids=str)
def test_features_are_those_of_transformers(kind, options, tmp_path):
    folder, texts = (
        language(tmp_path, kind),
        ["soft white bread", "red wine", "frozen pizza with cheese , large and red wine"],
    )
    for pooling in ("mean", "last") if kind == "gpt2" else ("mean", "cls", "last"):
        made = opened(folder, texts, tmp_path / "cache", pooling=pooling, **options)._pooled(np.arange(3))
        torch.testing.assert_close(made.detach(), direct(folder, texts, pooling, 16), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS[:1] + tuple(pytest.param(k, marks=pytest.mark.slow) for k in KINDS[1:]))
def test_slots_stand_where_they_should(kind, tmp_path):
    made = opened(language(tmp_path, kind), TEXTS, tmp_path / "cache", slots=2, projection="gelu")
    slots = {name: m for name, m in made.named_modules() if isinstance(m, Slot)}
    kinds = [m.opening.kind for m in slots.values()]
    assert kinds.count("sublayer") == 4
    assert kinds.count("map") == (2 if kind == "modernbert" else 4) or kinds.count("map") == 4
    assert all(m.opening.source_width == 32 for m in slots.values())
    before_VD, seen = made.settle().clone(), []
    for name, slot in slots.items():
        slot.part = Noticing(seen)
        assert made.cut() == int(name.split(f"{made.backbone.home}.")[1].split(".")[0])
        assert not torch.equal(made.settle(), before_VD), f"what sits in {name} reaches nothing"
        slot.part = None
    assert torch.equal(made.settle(), before_VD)
    assert made.cut() == 3
    assert all(source is not None and source.shape[-1] == 32 for source in seen)


class Noticing(nn.Module):
    reads_source = True

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, states, source):
        self.seen.append(source)
        return states + torch.linspace(-1, 1, states.shape[-1]) + source.mean()


@pytest.mark.parametrize("train", [1, 2, 3])
def test_the_cached_prefix_gives_the_bits_of_the_uncached(bert, tmp_path, train):
    """Any batch, losses and gradients; and the whole table is that of one forward pass through all blocks at its shape."""
    texts = [*TEXTS, *many(70)]
    cached, uncached = (opened(bert, texts, tmp_path, train=train, cached=c) for c in (True, False))
    rows = torch.randint(0, len(texts) + 1, (90,), generator=torch.Generator().manual_seed(0))
    losses = [(made(rows) * torch.linspace(-1, 1, 8)).square().sum() for made in (cached, uncached)]
    assert torch.equal(*losses)
    for loss in losses:
        loss.backward()
    for (name, a), b in zip(cached.named_parameters(), uncached.parameters(), strict=True):
        assert (a.grad is None and b.grad is None) or torch.equal(a.grad, b.grad), name
    whole = opened(bert, texts, tmp_path, train="all")
    assert torch.equal(whole._pooled(np.arange(PIECE) + 12), cached._pooled(np.arange(PIECE) + 12))
    assert torch.equal(whole.settle(), cached.settle())


def test_a_prefix_that_is_one_block_short_is_noticed(bert, tmp_path, monkeypatch):
    right = opened(bert, TEXTS, tmp_path / "right", train=1)
    below = FrozenTexts._below
    monkeypatch.setattr(FrozenTexts, "_below", lambda self, texts, cut, blocks: below(self, texts, cut - 1, blocks))
    wrong = opened(bert, TEXTS, tmp_path / "wrong", train=1, restore=right)
    assert not torch.allclose(right.settle(), wrong.settle(), atol=1e-3)


def test_only_top_blocks_are_trained_and_stored(bert, tmp_path):
    made = opened(bert, TEXTS, tmp_path, train=1)
    trained = {name for name, p in made.named_parameters() if p.requires_grad}
    home = "backbone.model.encoder.layer"
    assert all(n.startswith((f"{home}.2.", "projection", "missing")) for n in trained)
    assert set(made.rates()) >= {n for n in trained if n.startswith("backbone.")}
    assert {rate for n, rate in made.rates().items() if n.startswith("backbone.")} == {0.05}
    assert made.rates()["projection.weight"] == 1 / made.hidden
    assert not [n for n in made.stored() if n.startswith(f"{home}.1.") or "embeddings" in n]
    assert made.cut() == 2
    made.requires_grad_(False)
    assert made.cut() == 2


def test_nothing_frozen_is_loaded_where_the_cache_has_it(bert, tmp_path, monkeypatch):
    first = opened(bert, TEXTS, tmp_path).settle()
    monkeypatch.setattr("lifelong.items.layers.frozen_texts.Language", None)
    again = opened(bert, TEXTS[3:8], tmp_path)
    assert torch.equal(again._pooled(np.arange(2)), opened(bert, TEXTS, tmp_path)._pooled(np.array([2, 3])))
    assert first.shape == (13, 8)


def test_a_part_in_a_slot_moves_the_cut_and_is_stored(bert, tmp_path):
    made = opened(bert, TEXTS, tmp_path, slots="all")
    before_VD = made.settle().clone()
    slot = next(m for n, m in made.named_modules() if n.endswith("layer.1.block.attention.output.dense.slot"))
    slot.part = nn.Linear(32, 32)
    nn.init.eye_(slot.part.weight)
    nn.init.zeros_(slot.part.bias)
    assert made.cut() == 1
    torch.testing.assert_close(made.settle(), before_VD, rtol=1e-4, atol=1e-5)
    assert sum(n.endswith(("slot.part.weight", "slot.part.bias")) for n in made.stored()) == 2


def test_threads_and_neighbours_in_a_full_block(bert, tmp_path):
    texts, tables = many(PIECE + 9), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            tables.append(opened(bert, texts, tmp_path / str(threads), train=1, whiten=False).settle())
    finally:
        torch.set_num_threads(1)
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[0], tables[2])
    first = opened(bert, texts, tmp_path / "1", train=1, whiten=False)
    turned = opened(bert, texts[::-1], tmp_path / "turned", train=1, restore=first, whiten=False)
    assert torch.equal(turned.settle()[1:].flip(0), tables[0][1:])


def test_whitening(bert, tmp_path):
    made = opened(bert, many(60), tmp_path, whiten=True)
    features = made.statistics(made._pooled(np.arange(60)))
    assert features.mean(0).abs().max() < 1e-4
    spread = torch.linalg.eigvalsh(torch.cov(features.T))
    assert spread.max() < 1.0 + 1e-4
    assert spread.median() > 0.9
    assert torch.allclose(made.statistics.map_HH, made.statistics.map_HH.T, atol=1e-5), "the axes are no longer its own"
    plain = opened(bert, many(60), tmp_path, whiten=False)
    assert abs(float(plain.statistics(plain._pooled(np.arange(60))).square().mean()) - 1) < 1e-5
    other = opened(bert, many(30, seed=9), tmp_path, whiten=True, restore=made)
    assert torch.equal(other.statistics.map_HH, made.statistics.map_HH)


def test_another_data_set_is_whitened_by_its_own_statistics(bert, tmp_path):
    shop = opened(bert, many(60), tmp_path, whiten=True, of="shop")
    films, one = many(60, seed=9), opened(bert, ["milk"], tmp_path, whiten=True, restore=shop, of="films")
    own = opened(bert, films, tmp_path, whiten=True, restore=shop, of="films")
    more = opened(bert, films[:30], tmp_path, whiten=True, restore=own, of="films")
    assert own.statistics(own._pooled(np.arange(60))).mean(0).abs().max() < 1e-4
    assert shop.statistics(own._pooled(np.arange(60))).mean(0).abs().max() > 1e-2  # the fault: by those of another
    assert torch.equal(more.statistics.map_HH, own.statistics.map_HH)
    assert torch.equal(one.statistics.map_HH, shop.statistics.map_HH)  # of one item there are none


def test_vectors_begin_about_as_long_as_fresh_ids(bert, tmp_path):
    for projection in ("linear", "moe"):
        made = opened(bert, many(60), tmp_path, width=64, projection=projection)
        assert 0.3 < made.settle()[1:].norm(dim=1).mean() < 1.5


def test_what_is_told_of_texts_that_cannot_be_read(tmp_path):
    made = opened(language(tmp_path, "gpt2"), ["milk", None, " ", "bread"], tmp_path, projection="gelu")
    assert made.left_out == {"no text": 2}
    assert made.readable_V.tolist() == [False, True, False, False, True]
    assert opened(language(tmp_path, "gpt2"), ["\u200b" * 3, "bread", "milk"], tmp_path).settle().isfinite().all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "package:nothing_here/model"}, "is not installed"),
        ({"model": "./nowhere"}, "give a folder"),
        ({"train": 4}, "has 3 blocks"),
        ({"slots": 9}, "has 3 blocks"),
        ({"tokens": 64}, "reads 64 tokens"),
        ({"tokens": 1}, "at least 3"),
        ({"train": 0}, "name a number of blocks"),
        ({"rate": 0.0}, "above 0"),
        ({"missing_words": 1.0}, r"lie in \[0, 1\)"),
        ({"missing_words": -0.1}, r"lie in \[0, 1\)"),
    ],
)
def test_options_that_do_not_fit(bert, tmp_path, options, told):
    with pytest.raises(ConfigError, match=told):
        opened(bert, TEXTS, tmp_path, **{"model": bert, **options})


def test_a_folder_with_half_its_weights_is_refused(bert, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "half"
    shutil.copytree(bert, folder)
    state = load_file(folder / "model.safetensors")
    save_file({n: v for n, v in state.items() if "layer.1" not in n}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lack .*layer\.1"):
        opened(folder, TEXTS, tmp_path)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        opened(folder, TEXTS, tmp_path)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no model of transformers"):
        opened(folder, TEXTS, tmp_path)


def test_weights_in_torchs_own_form_are_read_without_running_them(bert, tmp_path):
    from safetensors.torch import load_file

    folder = tmp_path / "bin"
    shutil.copytree(bert, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    made = opened(folder, TEXTS, tmp_path / "a", train=2)
    right = opened(bert, TEXTS, tmp_path / "b", train=2)
    assert torch.equal(made._pooled(np.arange(PIECE) % 7), right._pooled(np.arange(PIECE) % 7))


def in_order_within(words, others):
    rest = iter(others)
    return all(word in rest for word in words)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), st.floats(0, 0.999), st.floats(0, 0.999))
def test_words_that_are_missing(words, share, other):
    text = " ".join(words)
    less, more = (with_words_missing(text, s).split() for s in sorted((share, other)))
    assert more, "at least one stays"
    assert in_order_within(more, less), "what a small share leaves out, a larger one does"
    assert in_order_within(less, words)
    assert with_words_missing(text, 0.0) == text
    assert with_words_missing(words[0], share) == words[0]


def test_about_so_many_words_are_missing_and_always_the_same():
    texts = many(400)
    kept = sum(len(with_words_missing(text, 0.3).split()) for text in texts) / sum(len(t.split()) for t in texts)
    assert kept == pytest.approx(0.7, abs=0.03)
    assert (
        with_words_missing("frozen pizza with cheese, large, and red wine", 0.3) == "pizza with cheese, large, red wine"
    )
    assert with_words_missing("  soft\n white  ", 0.0) == "  soft\n white  ", (
        "a text that lacks nothing is the same text"
    )


def looks_like_a_second_reading(folder, cache, **options):
    """`blurred` gives what the encoder would make of the texts with words missing, if they were the texts; AssertionError."""
    texts = [*many(20), *TEXTS, "red"]
    made = opened(folder, texts, cache, missing_words=0.5, **options)
    fewer = [text and with_words_missing(text.strip(), 0.5) for text in texts]
    other = opened(folder, fewer, cache, restore=made, **options)
    rows = torch.tensor([3, 0, 33, 21, 3, 24, 23, 27, 1, 28, 31])
    blurred, plain = made.blurred(rows), made(rows)
    torch.testing.assert_close(blurred, other(rows), rtol=1e-4, atol=1e-6)
    without = ~made.readable_V[rows]
    assert torch.equal(blurred[without], plain[without])
    assert without.sum() == 4
    lacking = made.readable_V[rows] & torch.tensor([fewer[r - 1] != texts[r - 1] for r in rows.tolist()])
    assert lacking.sum() >= 4
    assert ((blurred - plain).abs().amax(dim=1) > 1e-3)[lacking].all(), "a reading without words is that with them"
    torch.testing.assert_close(blurred[2], plain[2])
    assert made.blurs


@pytest.mark.parametrize(
    "options", [{}, {"train": 1}, {"train": "all", "projection": "gelu"}, {"cached": False}], ids=str
)
def test_a_second_reading_with_words_missing(options, bert, tmp_path):
    looks_like_a_second_reading(bert, tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("encode_blurred", Text.encode),
        ("encode_blurred", lambda self, rows_U: self._mapped(self._text_V[rows_U] + len(self._again_n))),
        ("blurred", lambda self, rows: self.encode_blurred(rows)),
    ],
    ids=["the plain vectors", "numbers that are off where two readings are one", "rows without a text"],
)
def test_second_readings_that_are_none_are_noticed(name, fault, bert, tmp_path, monkeypatch):
    monkeypatch.setattr(Text, name, fault)
    with pytest.raises((AssertionError, IndexError)):
        looks_like_a_second_reading(bert, tmp_path)


def blurred_of(folder, cache, texts, asked, **options):
    """Features of the second reading of these texts in a catalogue, bit for bit."""
    made = opened(folder, texts, cache, missing_words=0.4, **options)
    return made._pooled(made._again_n[made._text_V[[texts.index(text) + 1 for text in asked]]])


def test_a_second_reading_does_not_depend_on_the_catalogue(bert, tmp_path, monkeypatch):
    texts, asked = many(24), many(24)[7:12]
    catalogues = (texts, texts[:4:-1], [*asked, *(with_words_missing(t, 0.4) for t in texts)])
    first, *others = [blurred_of(bert, tmp_path / str(n), c, asked) for n, c in enumerate(catalogues)]
    assert all(torch.equal(first, other) for other in others)
    place = iter(range(100))
    monkeypatch.setattr(
        "lifelong.items.text.with_words_missing", lambda t, s: with_words_missing(t, next(place) % 2 / 2)
    )
    moved = [blurred_of(bert, tmp_path / "fault", c, asked) for c in catalogues[:2]]
    assert not torch.equal(*moved), "words that go by an item's place would not be noticed"


def test_what_is_sealed_knows_nothing_of_second_readings(bert, tmp_path):
    """Statistics, table, and what is stored are those of an encoder without them; nothing more is read where there is none."""
    plain, twice = (opened(bert, many(60), tmp_path / str(m), missing_words=m) for m in (0.0, 0.5))
    assert twice.stored().keys() == plain.stored().keys()
    assert all(torch.equal(value, plain.stored()[name]) for name, value in twice.stored().items())
    assert torch.equal(twice.same_V, plain.same_V)
    assert torch.equal(twice.settle(), plain.settle())
    rows = torch.arange(61)
    assert torch.equal(twice.shape_of(rows), plain.shape_of(rows))
    assert len(plain.frozen.keys_n) == 60 < len(twice.frozen.keys_n) <= 120
    assert not plain.blurs


def test_second_readings_lie_in_the_cache_and_each_is_computed_once(bert, tmp_path, monkeypatch):
    texts = [*many(20), "red wine", "red"]
    first = opened(bert, texts, tmp_path, missing_words=0.5)
    assert len(set(first.frozen.keys_n.tolist())) == len(first.frozen.keys_n), "a text is held twice"
    rows, seen = torch.tensor([[3, 5, 3, 0], [3, 5, 5, 9]]), []
    monkeypatch.setattr("lifelong.items.layers.frozen_texts.Language", None)
    again, encode = opened(bert, texts, tmp_path, missing_words=0.5, restore=first), Text.encode_blurred
    monkeypatch.setattr(Text, "encode_blurred", lambda self, rows_U: seen.append(len(rows_U)) or encode(self, rows_U))
    assert torch.equal(again.blurred(rows), first.blurred(rows))
    assert seen == [3, 3]
    assert again.blurred(rows[:, :0]).shape == (2, 0, 8)


def test_a_second_reading_without_tokens_is_the_first(tmp_path, monkeypatch):
    """A tokenizer may know nothing of the words that are left: here they are blanks."""
    monkeypatch.setattr("lifelong.items.text.with_words_missing", lambda text, share: " ")
    made = opened(language(tmp_path, "gpt2"), many(3), tmp_path, missing_words=0.5, whiten=False)
    assert made.frozen.tokens.counts_n.tolist() == [5, 5, 5, 0]
    assert torch.equal(made.blurred(torch.arange(4)), made(torch.arange(4)))


def test_gradients_of_a_second_reading(bert, tmp_path):
    made = opened(bert, [*many(9), None], tmp_path, train=1, missing_words=0.5).train()
    made.blurred(torch.arange(11)).square().sum().backward()
    assert made.projection.weight.grad.abs().min() > 0
    assert any(p.grad is not None and p.grad.any() for p in made.backbone.places[-1].parameters())
    made.zero_grad()
    made.blurred(torch.tensor([10])).sum().backward()
    assert made.missing_D.grad.tolist() == [1.0] * 8
