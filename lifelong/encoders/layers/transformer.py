"""The parts of a pre-norm Transformer that keeps pads at zero: mask, positions, attention, feed-forward, block."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.core.slot import Map, Slot
from lifelong.encoders.base import zero_pads
from lifelong.encoders.layers.dropout import Dropout

NORM_EPS = 1e-8


def attention_mask(valid_BL: Tensor, causal: bool) -> Tensor:
    """Bool (B, 1, L, L), True where query may see key: a real event, not later where causal; everyone sees itself.

    A padded query sees at least itself: a row without any key would be NaN, and poison the gradients of all.
    """
    length = valid_BL.shape[1]
    seen_LL = torch.ones(length, length, dtype=torch.bool, device=valid_BL.device)
    itself_LL = torch.eye(length, dtype=torch.bool, device=valid_BL.device)
    return ((seen_LL.tril() if causal else seen_LL) & valid_BL[:, None, None, :]) | itself_LL


def positions_from_first(valid_BL: Tensor) -> Tensor:
    """int64 (B, L): 0 at the window's first real event, then 1, 2, …; 0 at the pads before it.

    >>> positions_from_first(torch.tensor([[False, False, True, True]]))
    tensor([[0, 0, 0, 1]])
    """
    first_B1 = valid_BL.int().argmax(dim=1, keepdim=True)
    return (torch.arange(valid_BL.shape[1], device=valid_BL.device) - first_B1).clamp(min=0)


class Attention(nn.Module):
    """Multi-head scaled dot-product attention with separate weights for queries, keys, values and output, each (D, D).

    Keys have no bias: it would add the same to all scores of a query, which the softmax ignores. Attention weights are
    not dropped: that would force torch's slow path, three times the time of the whole attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.output = (linear(width, width) for _ in range(3))
        self.key = linear(width, width, bias=False)

    def forward(self, states_BLD: Tensor, mask_B1LL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D); mask_B1LL as `attention_mask` makes it."""
        query, key, value = (self._split(part(states_BLD)) for part in (self.query, self.key, self.value))
        mixed_BHLK = _attend(query, key, value, mask_B1LL)
        return self.output(mixed_BHLK.transpose(1, 2).flatten(2))

    def _split(self, states_BLD: Tensor) -> Tensor:
        return states_BLD.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask_B1LL: Tensor) -> Tensor:
    """Scaled dot-product attention (B, H, L, K) over an even number of positions.

    With heads 8 wide and an odd number, torch on the CPU gives other last bits with other numbers of threads.
    """
    odd = query.shape[2] % 2
    if odd:
        query, key, value = (F.pad(part, (0, 0, 1, 0)) for part in (query, key, value))
        mask_B1LL = F.pad(mask_B1LL, (1, 0, 1, 0))
        mask_B1LL[:, :, 0, 0] = True  # the added position sees itself, or its row would be NaN
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask_B1LL)[:, :, odd:]


class FeedForward(nn.Sequential):
    """Linear, ReLU, Linear at every position by itself; the hidden layer is `hidden` wide."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(linear(width, hidden), nn.ReLU(inplace=True), linear(hidden, width))


class Block(nn.Module):
    """x + drop(slot(attention(norm(x)))), then x + drop(slot(feed_forward(norm(x)))), pads zeroed after both."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width, NORM_EPS), nn.LayerNorm(width, NORM_EPS)
        self.attention, self.feed_forward = Attention(width, heads), FeedForward(width, hidden)
        self.attention_slot, self.feed_forward_slot = Slot(width), Slot(width)
        self.dropout = Dropout(dropout)

    def forward(self, states_BLD: Tensor, valid_BL: Tensor, mask_B1LL: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D), 0 where not valid_BL."""
        normed_BLD = self.attention_norm(states_BLD)
        mixed_BLD = self.attention_slot(self.attention(normed_BLD, mask_B1LL), normed_BLD)
        states_BLD = zero_pads(states_BLD + self.dropout(mixed_BLD), valid_BL)
        normed_BLD = self.feed_forward_norm(states_BLD)
        moved_BLD = self.feed_forward_slot(self.feed_forward(normed_BLD), normed_BLD)
        return zero_pads(states_BLD + self.dropout(moved_BLD), valid_BL)


def linear(inputs: int, outputs: int, bias: bool = True) -> Map:
    """A linear map with Xavier's uniform weights and biases of zero, and a slot behind it."""
    made = Map(inputs, outputs, bias)
    nn.init.xavier_uniform_(made.weight)
    if bias:
        nn.init.zeros_(made.bias)
    return made
