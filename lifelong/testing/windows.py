"""Small encoders, windows and comparisons for the contract tests of encoders."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.core.slot import Slot
from lifelong.encoders.base import Encoder

Make = Callable[[int, int], Encoder]
USERS, LENGTH, WIDTH = 16, 12, 16


class Ramp(nn.Module):
    """A part that adds another number to every channel: adding the same to all would vanish in the next LayerNorm."""

    def forward(self, states_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        return states_BLD + torch.linspace(-1.0, 1.0, states_BLD.shape[-1], device=states_BLD.device)


class Stretch(nn.Module):
    """A part that scales every channel by another number: what is only added behind a key, the softmax takes out again."""

    def forward(self, states_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        return states_BLD * torch.linspace(0.5, 1.5, states_BLD.shape[-1], device=states_BLD.device)


def seasoned(make: Make, width: int = WIDTH, length: int = LENGTH) -> Encoder:
    """A small encoder in eval mode whose norms and biases have moved: at their start of 1 and 0 they would hide leaks."""
    torch.manual_seed(0)
    encoder = make(width, length).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3 if parameter.dim() < 2 else 0.05)
    return encoder


def example(encoder: Encoder) -> tuple[Tensor, Tensor]:
    """vectors_BLD and valid_BL of users with 1 to the encoder's length of events, on its device."""
    device, length = next(encoder.parameters()).device, encoder.length
    vectors_BLD = torch.randn(USERS, length, encoder.width, generator=torch.Generator().manual_seed(2))
    events_B = torch.arange(USERS) % length + 1
    valid_BL = torch.arange(length) >= length - events_B[:, None]
    return vectors_BLD.to(device), valid_BL.to(device)


def pad_left(events_BLD: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The events behind so much padding that they fill `length`, and which positions are real."""
    valid_BL = torch.ones_like(events_BLD[:, :, 0], dtype=torch.bool)
    missing = length - events_BLD.shape[1]
    return F.pad(events_BLD, (0, 0, missing, 0)), F.pad(valid_BL, (missing, 0))


def fill(module: nn.Module, part: Callable[[], nn.Module]) -> nn.Module:
    """Put a part into every slot; the module itself."""
    for slot in module.modules():
        if isinstance(slot, Slot):
            slot.part = part()
    return module


def slots_of(module: nn.Module) -> dict[str, Slot]:
    """Slot name -> slot."""
    return {name: slot for name, slot in module.named_modules() if isinstance(slot, Slot)}


def states_of(encoder: nn.Module, *window: Tensor) -> Tensor:
    """States without gradients."""
    with torch.no_grad():
        return encoder(*window)


def same_bits(before: Tensor, after: Tensor, problem: str) -> None:
    """Raises AssertionError with the problem and the count where one bit differs; 0 and -0 do."""
    changed = before.detach().contiguous().view(torch.int32) != after.detach().contiguous().view(torch.int32)
    assert not bool(changed.any()), f"{problem}: {int(changed.sum())} of {changed.numel()} values"
