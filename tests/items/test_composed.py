"""Fused and mixed items: formulas by hand, routing by kind, and catalogues that have none of a kind."""

import numpy as np
import pytest
import torch

from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.items.fused import Fused
from lifelong.items.id import Id
from lifelong.items.mixed import Mixed


def text(model, **options):
    return {"name": "text", "model": model, **options}


def image(weights, **options):
    return {"name": "image", "model": "test_efficientnet", "weights": weights, "size": 32, **options}


def opened(cls, contents, cache, width=8, **options):
    torch.manual_seed(5)
    made = cls(build(cls.Config, options, "items"), width, int(contents.rows_n.max()) + 1)
    made.open(contents, None, cache, Silent())
    return made.eval()


@pytest.mark.parametrize("how", ["sum", "concat", "gated", "film"])
def test_fused_is_what_its_formula_says(how, bert, contents, tmp_path):
    made = opened(Fused, contents, tmp_path, of=["id", text(bert)], how=how)
    with torch.no_grad():
        made.parts["text"].missing_D.fill_(0.3)
    table_VD = made.settle()
    x, y = (made.parts[name].weight[1:] for name in ("id", "text"))
    assert torch.equal(y[2], torch.full((8,), 0.3))
    with torch.no_grad():
        wanted = {
            "sum": lambda: x + y,
            "concat": lambda: made.map(torch.cat([x, y], dim=1)),
            "gated": lambda: made.map(torch.sigmoid(made.first(x)) * y),
            "film": lambda: made.map((1 + made.first(x)[:, :8]) * y + made.first(x)[:, 8:]),
        }[how]()
    torch.testing.assert_close(table_VD[1:], wanted)


def test_a_newcomer_has_the_vector_of_its_text(bert, contents, tmp_path):
    first = opened(Fused, contents, tmp_path, of=["id", text(bert)])
    child = Fused(first.config, 8, 20)
    child.restore(first.stored())
    child.open(Contents(np.arange(1, 14), [*contents.texts, "dark wine"], []), None, tmp_path, Silent())
    table_VD = child.settle()
    assert torch.equal(table_VD[13], child.parts["text"].weight[13])
    assert torch.equal(table_VD[:13], first.settle())


def kinds_of(contents, kinds):
    """Items of these kinds alone: t has a text, p a picture, b both."""
    texts = [
        f"{'soft' if n % 2 else 'dark'} bread {'milk ' * n}" if kind in "tb" else None for n, kind in enumerate(kinds)
    ]
    usable = [p for n, p in enumerate(contents.pictures) if p and n not in (4, 6, 7)]
    pictures = [usable[n % len(usable)] if kind in "pb" else None for n, kind in enumerate(kinds)]
    return Contents(np.arange(1, len(kinds) + 1), texts, pictures)


def mixed(bert, vision, contents, folder, **options):
    return opened(Mixed, contents, folder, of=[text(bert, train=1), image(vision, train=1)], **options)


@pytest.mark.parametrize("kinds", ["ttpp", "pptt", "tptp", "tttt", "pppp", "bbbb", "tpb-"])
def test_each_item_goes_to_its_own_encoder(kinds, bert, vision, contents, tmp_path):
    items = kinds_of(contents, kinds)
    made = mixed(bert, vision, items, tmp_path)
    rows = torch.tensor([4, 0, 1, 3, 2, 1])
    calls = {name: counting(part) for name, part in made.parts.items()}
    vectors = made(rows)
    assert sum(calls["text"]) == len([k for k in kinds if k in "tb"])
    assert sum(calls["image"]) == len([k for k in kinds if k in "pb"])
    assert all(calls.values()) or "b" not in kinds
    assert len(calls["image"]) == any(k in "pb" for k in kinds)
    parts = [part.encode for part in made.parts.values()]
    for place, row in enumerate(rows.tolist()):
        kind = kinds[row - 1] if row else "-"
        own = [encode(torch.tensor([row]))[0] for encode, mine in zip(parts, ("tb", "pb"), strict=True) if kind in mine]
        wanted = torch.stack(own).mean(dim=0) if own else torch.zeros(8)
        torch.testing.assert_close(vectors[place], wanted, rtol=1e-4, atol=1e-5)


def counting(encoder):
    calls, encode = [], encoder.encode
    encoder.encode = lambda rows: calls.append(len(rows)) or encode(rows)
    return calls


def test_permuting_kinds_only_permutes_vectors(bert, vision, contents, tmp_path):
    items = kinds_of(contents, "tptpbtpt")
    made = mixed(bert, vision, items, tmp_path)
    table_VD = made.settle()
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    turned = Contents(items.rows_n, [items.texts[i] for i in order], [items.pictures[i] for i in order])
    other = Mixed(made.config, 8, 9)
    other.restore(made.stored())
    other.open(turned, None, tmp_path, Silent())
    assert torch.equal(other.settle()[1:], table_VD[1:][order])
    made.train(True).eval()
    among = made(torch.cat([torch.zeros(1, dtype=torch.int64), order + 1]))
    torch.testing.assert_close(among[1:], table_VD[1:][order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kinds", ["tttt", "pppp"])
def test_a_batch_without_one_kind_trains(kinds, bert, vision, contents, tmp_path):
    made = mixed(bert, vision, kinds_of(contents, kinds), tmp_path).train()
    made(torch.arange(5)).square().sum().backward()
    there, absent = ("text", "image") if kinds[0] == "t" else ("image", "text")
    assert all(p.grad is not None for p in made.parts[there].projection.parameters())
    assert all(p.grad is None or not p.grad.any() for p in made.parts[absent].parameters())


def test_the_first_that_can_read_may_decide(bert, vision, contents, tmp_path):
    made = mixed(bert, vision, kinds_of(contents, "bpt"), tmp_path, both="first")
    table_VD = made.settle()
    assert torch.equal(table_VD[1], made.parts["text"].weight[1])
    assert torch.equal(table_VD[2], made.parts["image"].weight[2])


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"name": "fused", "of": ["id"]}, "at least two"),
        ({"name": "fused", "of": ["id", "id"]}, "stands twice"),
        ({"name": "fused", "of": ["id", "text", "image"], "how": "film"}, "goes with two"),
        ({"name": "mixed", "of": ["text"]}, "at least two"),
    ],
)
def test_options_that_do_not_fit(spec, told):
    with pytest.raises(ConfigError, match=told):
        registry.make_config("items", spec, "items")


def test_ids_are_a_table(contents, tmp_path):
    made = opened(Id, contents, tmp_path, width=64)
    assert torch.equal(made.settle()[1:], made.table_VD[1:])
    assert 0.7 < made.settle()[1:].norm(dim=1).mean() < 1.3


@pytest.mark.parametrize("cls", [Fused, Mixed])
def test_a_second_reading_is_that_of_the_parts_that_have_one(cls, bert, vision, contents, tmp_path):
    """An id, or a picture, is read as ever beside a text that lacks words."""
    other = "id" if cls is Fused else image(vision)
    made = opened(cls, contents, tmp_path, of=[other, text(bert, missing_words=0.5)])
    first, second = made.encoders().values()
    rows = torch.arange(13)
    said, read = torch.stack([first.readable_V, second.readable_V]), [first.vectors(rows), second.blurred(rows)]
    total = sum(torch.where(s[:, None], v, 0.0) for s, v in zip(said, read, strict=True))
    wanted = total if cls is Fused else total / said.sum(dim=0).clamp(min=1)[:, None]
    assert made.blurs
    assert not opened(cls, contents, tmp_path, of=[other, text(bert)]).blurs
    torch.testing.assert_close(made.blurred(rows), wanted, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(made.blurred(rows), made(rows), atol=1e-2)
