"""TERACON's mask: every channel of a sublayer scaled by what the task is and by how it relates to the other tasks."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.continual.parts.base import Part

LARGEST = 6.0
"""An embedding beyond it counts as it: the gates are flat there."""
GRAIN = 1 << 15
"""Values at a time: torch divides longer pointwise operations among threads, and tanh then has other last bits."""


class Mask(Part):
    """x sigmoid(s (b + sum over the tasks i of w_i tanh(s e_i))), channel by channel (TERACON, Kim et al., KDD 2023).

    Every task has an embedding e_i (D) in every slot; w and b are this task's mixer, one number a task and one more. s is
    `sharpness`: low at the start of an epoch, where all gates are half open and everything learns, `largest` at its end and
    in every answer, where a gate is open or shut. Where we leave the paper: it stacks -e_i beside e_i, which under one linear
    map is the same function as w_i of either sign; a fresh mixer is w = 0 and b = 0.4 (its code: small random numbers and
    0.1), so that a fresh mask is exactly 1 and one that grows stays exactly what it was; slots stand behind the sublayers,
    before norm and ReLU in NextItNet's post block, behind which the paper's masks stand.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Part.Config):
        """Options of the part."""

        tasks: int = 1
        """How many tasks have an embedding here."""
        place: int = 0
        """Which of them is this task's own."""
        largest: float = 50.0
        """s at the end of an epoch and in every answer; 50 is the paper's."""

        def __post_init__(self) -> None:
            if not 0 <= self.place < self.tasks:
                raise ValueError(f"place is {self.place}, it must be one of {self.tasks} tasks, from 0")
            if not self.largest >= 45:
                raise ValueError(f"largest is {self.largest}; below 45 a fresh mask is not exactly 1")

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.options: Mask.Config = config
        self.embeddings_TD = nn.Parameter(2.0 * torch.rand(config.tasks, width))
        self.mixer_T = nn.Parameter(torch.zeros(config.tasks))
        self.bias = nn.Parameter(torch.tensor([0.4]))
        self.sharpness: float = config.largest
        self._lender: tuple[Mask, ...] = ()  # a tuple: torch must not take the lender for a submodule

    def forward(self, states_BLD: Tensor, source_BLD: Tensor | None = None) -> Tensor:
        """The states through the gates."""
        return states_BLD * self.gates()

    def gates(self) -> Tensor:
        """(D,) float32 in [0, 1], at `sharpness` in training and at the largest otherwise."""
        s = self.sharpness if self.training else self.options.largest
        embeddings_TD = self._lender[0].embeddings_TD if self._lender else self.embeddings_TD
        mixed_D = self.bias
        rows = max(1, GRAIN // self.width)
        for part_tD, mixer_t in zip(embeddings_TD.split(rows), self.mixer_T.split(rows), strict=True):
            mixed_D = mixed_D + (mixer_t[:, None] * torch.tanh(s * part_tD.clamp(-LARGEST, LARGEST))).sum(0)
        return torch.sigmoid(s * mixed_D)

    def grown(self, tasks: int) -> "Mask":
        """The same mask among more tasks, with 0 for each of the added ones; it has no embeddings until it borrows some."""
        other = Mask(replace(self.options, tasks=tasks), self.width)
        with torch.no_grad():
            other.mixer_T[: self.options.tasks] = self.mixer_T
            other.bias.copy_(self.bias)
        return other

    def borrow(self, lender: "Mask") -> None:
        """Look at the embeddings of another task's mask, which trains them, in place of its own."""
        self._lender = (lender,)
        self.register_parameter("embeddings_TD", None)

    def apart(self) -> "Mask":
        """A copy that stands by itself, with embeddings of its own, and does not train."""
        other = Mask(self.options, self.width).to(self.bias.device)
        source_TD = self._lender[0].embeddings_TD if self._lender else self.embeddings_TD
        with torch.no_grad():
            for mine, given in (
                (other.embeddings_TD, source_TD),
                (other.mixer_T, self.mixer_T),
                (other.bias, self.bias),
            ):
                mine.copy_(given)
        return other.requires_grad_(False)
