"""The whole of one task as a network: item vectors, encoder, user vector, head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.slot import Slot
from lifelong.core.types import Batch, History
from lifelong.encoders.base import Encoder
from lifelong.heads.base import Head
from lifelong.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class Design:
    """What all tasks of a model share: the encoder, the window, and the one shape in which it answers."""

    encoder: str
    options: dict[str, Any]
    """The encoder's Config, complete."""
    length: int = 100
    """L: how many of a user's latest events the window holds."""
    chunk: int = 16
    """C: every answer is computed for C users at once, padded where there are fewer: batch size changes the last bits."""


class TaskNet(nn.Module):
    """Events -> item vectors -> states -> user vectors -> scores.

    `items` and `encoder` are the trunk, whose tensors a view renders; `head` and what sits in the slots are the task's own.
    """

    def __init__(self, design: Design, rows: int, head: Head | None, *, table: str = "cpu") -> None:
        """`table="meta"` makes an item table without values, to be put in place later: a large one costs nothing then."""
        super().__init__()
        self.encoder = _make_encoder(design)
        self.causal = self.encoder.causal
        self.items = nn.Embedding(rows, self.width, padding_idx=0, device=table)
        nn.init.normal_(self.items.weight, std=self.encoder.item_std)
        with torch.no_grad():
            self.items.weight[0] = 0.0
        self.head = head

    @property
    def width(self) -> int:
        """D, the width of item vectors, states and user vectors."""
        return self.encoder.width

    @property
    def answers(self) -> str:
        """What a score is about: "items" or "classes"."""
        assert self.head is not None
        return self.head.answers

    def states(self, history: History, hidden_BL: Tensor | None = None) -> Tensor:
        """One state per position, (B, L, D) float32; padded positions are 0.

        hidden_BL, bool, for an encoder that sees both sides alone: True at p where event p + 1 is hidden from it.
        """
        hidden = () if hidden_BL is None else (hidden_BL,)
        return self.encoder(self.items(history.window_BL), history.valid_BL, *hidden)

    def users(self, history: History) -> Tensor:
        """User vectors (B, D): the state at the last event; zeros for a user without history."""
        return self.states(history)[:, -1]

    def scores(self, users_BD: Tensor) -> Tensor:
        """The head's scores (B, C) of user vectors."""
        assert self.head is not None
        return self.head.scores(users_BD, self.items)

    def answer_loss(self, users_ND: Tensor, batch: Batch) -> Tensor:
        """The head's mean loss at the batch's N points."""
        assert self.head is not None
        seen_NL = None if self.head.repeats else batch.seen_NL
        return self.head.loss(users_ND, batch.targets_N, self.items, batch.negatives, seen_NL)

    def forward(self, objective: Objective, batch: Batch) -> Tensor:
        """The objective's loss; the one call that training makes, through torch.func.functional_call."""
        return objective.loss(self, batch)

    def trunk_names(self) -> list[str]:
        """Names of the trunk's parameters, without what sits in slots."""
        return [n for n, _ in self.named_parameters() if not n.startswith("head.") and ".part." not in n]

    def own_tensors(self) -> dict[str, Tensor]:
        """What belongs to the task beside its view of the trunk: head and parts, by name."""
        trunk = set(self.trunk_names())
        return {name: value for name, value in self.state_dict().items() if name not in trunk}

    def slots(self) -> dict[str, Slot]:
        """Slot name -> slot."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Slot)}

    def sit(self, parts: Mapping[str, nn.Module]) -> None:
        """Put parts into slots."""
        slots = self.slots()
        for name, part in parts.items():
            slots[name].part = part

    @torch.no_grad()
    def put(self, weights: Mapping[str, Tensor]) -> None:
        """Let the trunk's parameters of these names be these very tensors, without gradients; the task's own stay."""
        for name, value in weights.items():
            owner, _, leaf = name.rpartition(".")
            module = self.get_submodule(owner)
            if getattr(module, leaf).is_meta:
                setattr(module, leaf, nn.Parameter(value.detach(), requires_grad=False))
            getattr(module, leaf).requires_grad_(False).data = value.detach()

    def to_device(self, device: torch.device) -> None:
        """Move what has values; a table without any is left for `put`."""
        for module in self.children():
            if module is not self.items:
                module.to(device)

    def mount(self, trunk: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
        """Take these very tensors as weights (aliased, read-only) and go into evaluation mode."""
        self.load_state_dict({**trunk, **own}, assign=True, strict=True)
        self.requires_grad_(False).eval()


def initial_values(design: Design, rows: int, seed: int) -> dict[str, Tensor]:
    """Fresh random values of the trunk, by name; the same for the same seed, and the first rows the same for any `rows`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = TaskNet(design, rows, None)
    return {name: value.detach() for name, value in net.named_parameters()}


def _make_encoder(design: Design) -> Encoder:
    cls = registry.find("encoders", design.encoder, outside=False)
    return cls(build(cls.Config, design.options, f"encoder {design.encoder}"), design.length)
