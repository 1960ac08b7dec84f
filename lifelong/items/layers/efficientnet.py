"""The names of lukemelas' EfficientNet checkpoints, as the weights of EfficientNet-Lite are spread, in timm's words."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""In a block that expands nothing."""
OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
}


def renamed(state: Mapping[str, Tensor], network: Any) -> dict[str, Tensor]:
    """The tensors under timm's names; as they are, where they do not come from an EfficientNet of lukemelas.

    Those count blocks through, timm counts them by stage: the network says how many a stage has.
    """
    if not any(name.startswith("_blocks.") for name in state):
        return dict(state)
    places = [f"blocks.{s}.{b}" for s, stage in enumerate(network.blocks) for b in range(len(stage))]
    return {_renamed(name, places, state): value for name, value in state.items()}


def _renamed(name: str, places: list[str], state: Mapping[str, Tensor]) -> str:
    steps = name.split(".")
    if steps[0] != "_blocks":
        return ".".join([TOP.get(steps[0], steps[0]), *steps[1:]])
    number = int(steps[1])
    words = OTHER if f"_blocks.{number}._expand_conv.weight" in state else FIRST
    home = places[number] if number < len(places) else f"blocks.beyond.{number}"
    return ".".join([home, words.get(steps[2], steps[2]), *steps[3:]])
