"""Any encoder or causal language model of transformers, cut before one of its blocks: what lies below is frozen and kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lifelong.core.checkpoints import read_checkpoint
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.torchvision_bridge import ensure_torchvision

ensure_torchvision()

from transformers import AutoConfig, AutoModel  # noqa: E402
from transformers.utils import logging  # noqa: E402

PIECE = 64
"""Texts that go through the frozen blocks at a time; always so many, since another number gives other last bits."""
MEANT = (".json", ".safetensors", ".bin", ".txt", ".model")
"""Files of a folder that decide what a text becomes."""


class Place(nn.Module):
    """Where a block stands: it, or nothing where it was left out. Its plain attributes stay readable."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block: nn.Module | None = block
        self._plain = {name: value for name, value in vars(block).items() if not name.startswith("_")}
        self.skip = self.cheap = False
        self.given: Tensor | None = None
        self.seen: Tensor | None = None

    def forward(self, hidden_states: Tensor, *args: Any, **options: Any) -> Tensor:
        """States (U, L, H) behind the block; `given` ones take the place of those that come in, which `seen` keeps."""
        states = hidden_states if self.given is None else self.given
        self.seen = states
        if self.skip or self.block is None:
            return states
        if self.cheap and torch.is_grad_enabled():
            made = checkpoint(self.block, states, *args, use_reentrant=False, **options)
        else:
            made = self.block(states, *args, **options)
        return made if isinstance(made, Tensor) else made[0]

    def __getattr__(self, name: str) -> Any:
        plain = self.__dict__.get("_plain", {})
        return plain[name] if name in plain else super().__getattr__(name)


class Language(nn.Module):
    """A model whose blocks can be left out below and above a cut. Ids (U, L) and mask (U, L) in, states (U, L, H) out.

    Every row of the mask ends in padding: without any, transformers take another path through attention, and a text's last
    bits would depend on its neighbours.
    """

    def __init__(self, folder: Path, name: str, keep: range | None = None) -> None:
        """keep: the blocks that are needed, by number from below; the others are dropped. Raises ConfigError, DataError."""
        super().__init__()
        self.model: Any = without_pooler(_load(folder, name))
        home, count = find_blocks(self.model, name)
        blocks = self.model.get_submodule(home)
        assert isinstance(blocks, nn.ModuleList)
        for number in range(count):
            place = Place(blocks[number])
            if keep is not None and number not in keep:
                place.block = None
            blocks[number] = place
        self.home, self.count = home, count

    @property
    def places(self) -> list[Place]:
        """Where the blocks stand, from below."""
        return list(self.model.get_submodule(self.home))  # type: ignore[arg-type]

    def forward(self, ids_UL: Tensor, mask_UL: Tensor, states_ULH: Tensor | None = None, cut: int = 0) -> Tensor:
        """The last states; given `states_ULH`, those before block `cut`, what lies below is not computed."""
        places = self.places
        for number, place in enumerate(places):
            place.skip = states_ULH is not None and number < cut
        if states_ULH is not None:
            places[cut].given = states_ULH
        try:
            made: Tensor = self.model(
                input_ids=ids_UL, attention_mask=mask_UL, **_no_cache(self.model)
            ).last_hidden_state
        finally:
            for place in places:
                place.given = place.seen = None
        return made

    def below(self, ids_UL: Tensor, mask_UL: Tensor, cut: int) -> Tensor:
        """States (U, L, H) before block `cut`; behind the last block and its norm, where `cut` is the number of blocks."""
        places = self.places
        for number, place in enumerate(places):
            place.skip = number >= cut
        made = self.model(input_ids=ids_UL, attention_mask=mask_UL, **_no_cache(self.model)).last_hidden_state
        before = made if cut == self.count else places[cut].seen
        for place in places:
            place.seen = None
        assert before is not None
        return before

    def make_cheap(self) -> None:
        """Let the backward pass compute each block again, in place of keeping what it needs."""
        for place in self.places:
            place.cheap = True


def without_pooler(model: Any) -> Any:
    """The model without what stands beside its last states and is read by nothing here."""
    if isinstance(getattr(model, "pooler", None), nn.Module):
        model.pooler = None
    return model


def _no_cache(model: nn.Module) -> dict[str, bool]:
    return {"use_cache": False} if getattr(model.config, "use_cache", None) is not None else {}


def describe(folder: Path, name: str) -> Any:
    """The model's own configuration. Raises ConfigError where the folder holds none that transformers know."""
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"items: text: {name!r} is no model of transformers: {reason:.160}") from None


def find_blocks(model: Any, name: str) -> tuple[str, int]:
    """Where a model's blocks are listed, and how many there are: as many of one class as its configuration says."""
    count = getattr(model.config, "num_hidden_layers", None)
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(
            f"items: text: {name!r} has an encoder and a decoder; take an encoder, or a causal language model"
        )
    found = [
        home
        for home, m in model.named_modules()
        if isinstance(m, nn.ModuleList) and len(m) == count and len({type(block) for block in m}) == 1
    ]
    outermost = [home for home in found if not any(home.startswith(f"{other}.") for other in found)]
    if not isinstance(count, int) or len(outermost) != 1:
        raise ConfigError(
            f"items: text: the blocks of {name!r} ({type(model).__name__}) cannot be found in how it is built"
        )
    return outermost[0], count


def pooled(states_ULH: Tensor, mask_UL: Tensor, how: str) -> Tensor:
    """(U, L, H) to (U, H): the mean over real tokens, the first one's state (cls), or the last real one's (last)."""
    if how == "cls":
        return states_ULH[:, 0]
    if how == "last":
        return states_ULH[torch.arange(len(states_ULH), device=states_ULH.device), mask_UL.sum(dim=1) - 1]
    kept_ULH = torch.where(mask_UL[:, :, None].bool(), states_ULH, 0.0)
    return kept_ULH.sum(dim=1) / mask_UL.sum(dim=1, keepdim=True)


def _load(folder: Path, name: str) -> Any:
    try:
        with _quiet():
            if (folder / "pytorch_model.bin").exists() and not list(folder.glob("*.safetensors")):
                made, absent = _of_torchs_file(folder)
            else:
                options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
                made, info = AutoModel.from_pretrained(folder, **options)
                absent = info["missing_keys"]
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"items: text: the weights of {name!r} cannot be read: {reason:.160}") from None
    missing = sorted(key for key in absent if "pooler" not in key)
    if missing:  # transformers would fill them with random numbers
        raise DataError(f"items: text: the weights of {name!r} lack {missing[0]!r} and {len(missing) - 1} more")
    return made


def _of_torchs_file(folder: Path) -> tuple[Any, list[str]]:
    """The model with the weights of pytorch_model.bin, a pickle that is read as data; and which are not in it."""
    make: Any = AutoModel.from_config
    made = make(AutoConfig.from_pretrained(folder))
    prefix = f"{made.base_model_prefix}."
    state = {name.removeprefix(prefix): value for name, value in read_checkpoint(folder / "pytorch_model.bin").items()}
    return made, list(made.load_state_dict(state, strict=False).missing_keys)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a bar for the weights of a small model, and warnings about heads that nobody asked for."""
    told: Any = logging
    shown, level = told.is_progress_bar_enabled(), told.get_verbosity()
    told.disable_progress_bar()
    told.set_verbosity_error()
    try:
        yield
    finally:
        told.set_verbosity(level)
        if shown:
            told.enable_progress_bar()
