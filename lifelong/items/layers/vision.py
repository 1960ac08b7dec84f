"""Any vision model of timm, cut between two of its stages: what lies below is frozen and kept."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lifelong.core.checkpoints import read_checkpoint
from lifelong.core.config import suggest
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.torchvision_bridge import ensure_torchvision
from lifelong.items.layers.efficientnet import renamed

ensure_torchvision()

import timm  # noqa: E402
from timm.data.config import resolve_data_config  # noqa: E402

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Vision(nn.Module):
    """A timm model without its classifier. Pictures (U, 3, S, S) in, features (U, H) out, always in evaluation mode: norms use
    the statistics that they came with, so a picture's features do not depend on the others of its batch."""

    def __init__(self, model: str, weights: Path | None) -> None:
        """weights: a file; None fetches timm's own from the hub. Raises ConfigError, DataError."""
        super().__init__()
        if not timm.is_model(model):
            raise ConfigError(f"items: image: timm has no model {model!r}{suggest(model, timm.list_models())[:80]}")
        made: Any = _fetched(model) if weights is None else timm.create_model(model, num_classes=0)
        if weights is not None:
            _fill(made, weights, model)
        self.model: Any = made
        self.eval()
        self.hidden = int(getattr(made, "head_hidden_size", None) or made.num_features)
        self.stages = stage_names(self.model, model)
        self.chain: list[str] = []

    def forward(self, pictures: Tensor) -> Tensor:
        """Pooled features (U, H)."""
        made: Tensor = self.model.forward_head(self.model.forward_features(pictures), pre_logits=True)
        return made

    def below(self, pictures: Tensor, stage: str) -> Tensor:
        """What a stage is given of pictures: (U, C, S, S), or (U, L, H) in a Transformer."""
        seen: list[Tensor] = []
        hook = self.model.get_submodule(stage).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            self.model.forward_features(pictures)
        finally:
            hook.remove()
        return seen[0]

    def above(self, states: Tensor) -> Tensor:
        """Features (U, H) out of what the first stage of `chain` is given."""
        for name in self.chain:
            states = self.model.get_submodule(name)(states)
        made: Tensor = self.model.forward_head(states, pre_logits=True)
        return made

    @torch.no_grad()
    def cut(self, stage: str, size: int, model: str) -> None:
        """Find the modules that follow one another from this stage on, so that `above` may call them by themselves.

        Raises ConfigError where something between them is no module.
        """
        ran: list[tuple[str, Tensor, Tensor]] = []
        hooks = [
            self.model.get_submodule(name).register_forward_hook(
                lambda _, given, made, name=name: ran.append((name, given[0], made))
            )
            for name in _pieces(self.model, self.stages)
        ]
        end = self.model.forward_features(torch.zeros(1, 3, size, size))
        for hook in hooks:
            hook.remove()
        chain = ran[[name for name, _, _ in ran].index(stage) :]
        joined = all(made is given for (_, _, made), (_, given, _) in pairwise(chain))
        if not joined or chain[-1][2] is not end:
            raise ConfigError(
                f"items: image: the stages of {model!r} do not simply follow one another; set train: frozen"
            )
        self.chain = [name for name, _, _ in chain]
        for name in [n for n, _, _ in ran if n not in self.chain]:
            _put(self.model, name, nn.Identity())

    def train(self, mode: bool = True) -> "Vision":
        """Stays in evaluation mode."""
        return super().train(False)


def stage_names(network: Any, model: str) -> list[str]:
    """The stages of a model from below: the members of the containers that timm's feature_info names, or its modules there."""
    told = [str(info["module"]) for info in getattr(network, "feature_info", [])]
    homes = {name.partition(".")[0] for name in told if "." in name}
    found = [name for name in _pieces(network, told) if name.partition(".")[0] in homes or name in told]
    stages = [name for name in found if any(True for _ in network.get_submodule(name).parameters())]
    if not stages:
        raise ConfigError(f"items: image: timm does not tell the stages of {model!r}; choose another model")
    return stages


def _pieces(network: Any, stages: list[str]) -> list[str]:
    """The network's parts, from below: its direct modules, and in place of those that hold stages what they hold."""
    homes = {name.partition(".")[0] for name in stages if "." in name}
    parts: list[str] = []
    for name, module in network.named_children():
        parts += [f"{name}.{inner}" for inner, _ in module.named_children()] if name in homes else [name]
    return parts


def preparation(network: Any, size: int | None) -> dict[str, Any]:
    """How pictures are made ready for a model, as timm tells it: size (or the one given), crop, interpolation, mean, std."""
    told: dict[str, Any] = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]
    mean, std = ([float(v) for v in told[name]] for name in ("mean", "std"))
    side = size or int(told["input_size"][-1])
    return {
        "size": side,
        "crop": float(told["crop_pct"]),
        "interpolation": told["interpolation"],
        "mean": mean,
        "std": std,
    }


def prepared(picture: Image.Image, how: Mapping[str, Any]) -> np.ndarray:
    """A picture as (3, S, S) float32: its shorter side made S / crop, the middle cut out, mean and std taken off."""
    side = int(how["size"] // how["crop"]) if how["crop"] < 1 else int(how["size"])
    width, height = picture.size
    short = min(width, height)
    wide, high = (max(side, int(side * length / short)) for length in (width, height))
    resampling = RESAMPLING.get(how["interpolation"], Image.Resampling.BICUBIC)
    resized = picture.resize((wide, high), resampling)
    left, top = round((wide - how["size"]) / 2), round((high - how["size"]) / 2)
    cut = resized.crop((left, top, left + how["size"], top + how["size"]))
    values: np.ndarray = np.asarray(cut, np.float32) / np.float32(255)
    mean, std = (np.asarray(how[name], np.float32) for name in ("mean", "std"))
    return np.ascontiguousarray(((values - mean) / std).transpose(2, 0, 1))


def _fetched(model: str) -> Any:
    try:
        return timm.create_model(model, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"items: image: the weights of {model!r} are not on the hub, or it is out of reach: {reason:.160}"
        ) from None


def _fill(network: Any, weights: Path, model: str) -> None:
    """Take weights from a file, all of them, under timm's own names or those of lukemelas' EfficientNets."""
    try:
        state = load_file(weights) if weights.suffix == ".safetensors" else read_checkpoint(weights)
    except (OSError, SafetensorError) as error:
        raise DataError(f"items: image: {weights}: cannot be read: {error}") from None
    wanted = network.state_dict()
    state = {
        name: value for name, value in renamed(state, network).items() if name in wanted or not _of_classifier(name)
    }
    for name, value in wanted.items():
        if name not in state or state[name].shape != value.shape:
            raise DataError(
                f"items: image: {weights.name} has no {name!r} of shape {tuple(value.shape)}: not of {model!r}"
            )
    network.load_state_dict({name: state[name] for name in wanted}, strict=True)


def _of_classifier(name: str) -> bool:
    return name.startswith(("classifier.", "fc.", "head."))


def _put(network: Any, name: str, module: nn.Module) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, module)
