"""What the frozen stages of a vision model make of pictures: found on disk, or computed in pieces of one shape and kept."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.core.fingerprint import numeric_stack
from lifelong.core.pictures import Unreadable, decode_picture, read_picture
from lifelong.core.progress import Progress
from lifelong.items.layers.features import Features, content_keys
from lifelong.items.layers.pieces import filled, pieces
from lifelong.items.layers.places import content_hash
from lifelong.items.layers.vision import Vision, prepared

PIECE = 16
"""Pictures that go through the frozen stages at a time; always so many."""


@dataclass(frozen=True)
class Backbone:
    """Which model, its weights (None: timm's own), up to which stage (None: to its end), and how pictures are prepared."""

    model: str
    weights: Path | None
    stage: str | None
    how: Mapping[str, Any]

    def identity(self) -> dict[str, object]:
        """Plain JSON that says what its features depend on."""
        weights = "hub" if self.weights is None else content_hash(self.weights)
        stack = numeric_stack("cuda" if torch.cuda.is_available() else "cpu")
        return {"vision": self.model, "weights": weights, "stage": self.stage, "how": dict(self.how), "stack": stack}

    def load(self) -> Vision:
        """The whole model, on the device where it is quickest."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return Vision(self.model, self.weights).requires_grad_(False).to(device)


class FrozenPictures:
    """The pictures of a catalogue below a stage. Each is computed among PIECE others in one shape, and known by its bytes."""

    def __init__(self, backbone: Backbone, cache: Path, dtype: str) -> None:
        self.backbone, self.cache, self.dtype = backbone, cache, dtype
        self.reasons: dict[str, str] = {}
        """Path -> why its picture cannot be used."""
        self.shape: tuple[int, ...] = (0,)
        self._features: Features | None = None

    def read(self, paths: Sequence[str], progress: Progress) -> dict[str, int]:
        """Compute what is not on disk; path -> the number of its picture, for those that can be used."""
        self.reasons, data_keys = {}, {}
        for path in paths:
            try:
                data_keys[path] = content_keys([read_picture(path)])[0]
            except Unreadable as error:
                self.reasons[path] = error.reason
        vision = self.backbone.load()
        self.shape = self._shape(vision)
        self._features = Features(self.cache, self.backbone.identity(), math.prod(self.shape), self.dtype)
        of_key = {key: path for path, key in data_keys.items()}
        keys_n = np.array(list(of_key), content_keys([]).dtype)
        missing_n = self._features.find(keys_n)
        if len(missing_n):
            progress.start("pictures", len(missing_n))
            self._features.add(self._computed(vision, [(of_key[keys_n[n]], keys_n[n]) for n in missing_n], progress))
            progress.end()
            missing_n = self._features.find(keys_n)
        damaged = set(missing_n.tolist())
        number = {key: n for n, key in enumerate(keys_n) if n not in damaged}
        self.reasons |= {path: self.reasons[of_key[key]] for path, key in data_keys.items() if key not in number}
        return {path: number[key] for path, key in data_keys.items() if key in number}

    def states(self, pictures_u: np.ndarray) -> Tensor:
        """What the stage is given of pictures by number (U, …), or pooled features (U, H); on the CPU."""
        assert self._features is not None
        return torch.from_numpy(self._features.rows(pictures_u, 1)).reshape(len(pictures_u), *self.shape)

    def size(self) -> int:
        """Bytes on disk."""
        return self._features.size() if self._features is not None else 0

    @torch.no_grad()
    def _shape(self, vision: Vision) -> tuple[int, ...]:
        size = self.backbone.how["size"]
        return tuple(self._below(vision, np.zeros((1, 3, size, size), np.float32)).shape[1:])

    def _computed(
        self, vision: Vision, wanted: Sequence[tuple[str, bytes]], progress: Progress
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        for part in pieces(np.arange(len(wanted)), PIECE):
            paths, keys = zip(*[wanted[n] for n in part], strict=True)
            pixels = {key: p for key, p in zip(keys, map(self._pixels, paths), strict=True) if p is not None}
            if pixels:
                stacked = np.stack([list(pixels.values())[n] for n in filled(np.arange(len(pixels)), PIECE)])
                rows = self._below(vision, stacked)[: len(pixels)].reshape(len(pixels), 1, -1).numpy()
                yield np.array(list(pixels), f"S{len(keys[0])}"), list(rows)
            progress.advance(len(part))

    def _pixels(self, path: str) -> np.ndarray | None:
        """The picture, ready (3, S, S); None where it cannot be decoded, which is noted."""
        try:
            return prepared(decode_picture(read_picture(path), path), self.backbone.how)
        except Unreadable as error:
            self.reasons[path] = error.reason
            return None

    @torch.no_grad()
    def _below(self, vision: Vision, pixels_u: np.ndarray) -> Tensor:
        device = next(vision.parameters()).device
        pictures = torch.from_numpy(pixels_u).to(device)
        with torch.autocast(device.type, enabled=False):
            made = vision(pictures) if self.backbone.stage is None else vision.below(pictures, self.backbone.stage)
        return made.float().cpu()
