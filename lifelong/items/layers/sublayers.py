"""Slots within the blocks of somebody else's Transformer, found by how its blocks are built."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.core.errors import ConfigError
from lifelong.core.slot import Slot

ATTENTION = ("attention", "self_attn", "attn", "self_attention")
QUERY = ("query", "q_proj", "q_lin", "q")
VALUE = ("value", "v_proj", "v_lin", "v")
JOINED = ("c_attn", "query_key_value", "qkv_proj", "Wqkv", "qkv")
"""One map that gives queries, keys and values side by side."""


class Tapped(nn.Module):
    """A map within a sublayer that remembers what it was given; slots stand behind its queries, or its values, or both."""

    def __init__(self, inner: nn.Module, roles: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.inner, self.roles = inner, roles
        inputs, outputs = widths(inner)
        self.joined = len(roles) > 1
        width = outputs // 3 if self.joined else outputs
        for role in roles:
            self.add_module(f"{role}_slot", Slot(width, "map", inputs))
        self._last: Tensor | None = None

    def forward(self, states: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        self._last = states
        made: Tensor = self.inner(states)
        slots = [self.get_submodule(f"{role}_slot") for role in self.roles]
        if all(slot.part is None for slot in slots):
            return made
        if not self.joined:
            return slots[0](made, states)
        query, key, value = made.chunk(3, dim=-1)
        return torch.cat([slots[0](query, states), key, slots[1](value, states)], dim=-1)

    def taken(self) -> Tensor | None:
        """What it was given last, which it forgets with that."""
        last, self._last = self._last, None
        return last

    def __getattr__(self, name: str) -> Any:
        return _of_inner(self, name)


class Behind(nn.Module):
    """A sublayer's last map, and behind it the slot of the sublayer, whose source is what the sublayer's first map was given.

    The slot comes before the sublayer's dropout, where it has one: AdapterRec's stands behind it.
    """

    def __init__(self, inner: nn.Module, width: int, first: Tapped) -> None:
        super().__init__()
        self.inner, self.slot = inner, Slot(width)
        self._first = [first]  # in a list, since it has another place in the network already

    def forward(self, states: Tensor) -> Tensor:
        """(…, inputs) to (…, width)."""
        return self.slot(self.inner(states), self._first[0].taken())

    def __getattr__(self, name: str) -> Any:
        return _of_inner(self, name)


def _of_inner(module: nn.Module, name: str) -> Any:
    """Weight and bias of the map that stands inside: some models look at them."""
    if name in ("weight", "bias"):
        return getattr(module.inner, name)
    return nn.Module.__getattr__(module, name)


def open_slots(block: nn.Module, width: int, model: str) -> None:
    """Put slots into a block of width H: behind attention and feed-forward (with a source), behind query and value maps.

    Raises ConfigError where the block is not built of an attention and two maps behind it.
    """
    home = next((name for name in ATTENTION if isinstance(getattr(block, name, None), nn.Module)), None)
    within = [name for name, _ in _maps(block)]
    attention = [name for name in within if home and name.startswith(f"{home}.")]
    forward = [name for name in within if name not in attention]
    first = [n for n in attention if _leaf(n) in QUERY + JOINED]
    values = [n for n in attention if _leaf(n) in VALUE]
    found = len(attention) > 1 and len(forward) > 1 and len(first) == 1
    if not found or widths(block.get_submodule(forward[-1]))[1] != width:
        raise ConfigError(
            f"items: text: the blocks of {model!r} ({type(block).__name__}) are not built so that slots can be found in them; "
            "set slots: 0"
        )
    for name in values:
        _put(block, name, Tapped(block.get_submodule(name), ("value",)))
    roles = ("query", "value") if _leaf(first[0]) in JOINED else ("query",)
    _open_sublayer(block, first[0], attention[-1], width, roles)
    _open_sublayer(block, forward[0], forward[-1], width, ())


def _open_sublayer(block: nn.Module, first: str, last: str, width: int, roles: tuple[str, ...]) -> None:
    tapped = Tapped(block.get_submodule(first), roles)
    _put(block, first, tapped)
    _put(block, last, Behind(block.get_submodule(last), width, tapped))


def _maps(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear maps of a block by name, in the order in which it lists them; GPT-2's Conv1D is one."""
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
            yield name, module


def widths(module: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a map."""
    weight = module.get_parameter("weight")
    return (weight.shape[1], weight.shape[0]) if isinstance(module, nn.Linear) else (weight.shape[0], weight.shape[1])


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _put(block: nn.Module, name: str, module: nn.Module) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(block.get_submodule(owner), leaf, module)
