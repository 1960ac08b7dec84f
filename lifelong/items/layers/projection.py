"""From what a backbone gives (H numbers) to an item vector (D): statistics of a data set's items, then a learnt map."""

import hashlib
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Literal["linear", "gelu", "moe"]
EXPERTS, EXPERT_DROPOUT, NOISE_FLOOR = 8, 0.2, 0.01
"""UniSRec's."""
FLOOR = 1e-3
"""Share of the mean variance that is added to every direction's: directions in which few items differ are mostly noise."""


def project(form: Form, inputs: int, width: int) -> nn.Module:
    """A map (U, H) to (U, D): `linear`; `gelu`, a linear map and GELU (MoRec, NineRec); `moe`, UniSRec's adaptor.

    What goes in has mean square 1 (see Statistics), and so the vectors begin about as long as those of a fresh id table, 1.
    """
    if form == "moe":
        return Experts(inputs, width)
    linear = nn.Linear(inputs, width)
    nn.init.normal_(linear.weight, std=(inputs * width) ** -0.5)
    nn.init.zeros_(linear.bias)
    return linear if form == "linear" else nn.Sequential(linear, nn.GELU())


def map_rates(module: nn.Module, name: str) -> dict[str, float]:
    """Learning rates of a map's weights, by parameter name: 1 / inputs.

    Adam moves every weight by about the learning rate, and all weights of an output move together: a step would move a vector
    by the number of inputs times what it moves a row of a table, of all items at once. MovieLens-100k, ids + text, best
    NDCG@10 on validation: .023 at 1, .033 at .1, .089 at .03, .101 at .01, .123 at .003 (the last about 1 / 384).
    """
    weights = {n: p for n, p in module.named_parameters() if p.dim() >= 2 and ".part." not in n}
    return {
        f"{name}.{n}": 1.0 / (p.shape[0] if n.endswith("_HK") else p.shape[-1 if p.dim() == 2 else -2])
        for n, p in weights.items()
    }


@torch.no_grad()
def scale(module: nn.Module, length: float) -> None:
    """Multiply a map's weights, so that what it gives is longer by that factor; gates stay."""
    for name, parameter in module.named_parameters():
        if parameter.dim() >= 2 and not name.endswith("_HK") and name != "means_KH":
            parameter.mul_(length)


class Experts(nn.Module):
    """Parametric whitening in eight experts, mixed by a gate (UniSRec, Hou et al., KDD 2022, section 2.2): the sum over k of
    gate_k(x) W_k (dropout(x) - b_k).

    The gate is a dense softmax of x W_g; in training noise of learnt size softplus(x W_n) + 0.01 is added to it. W_g and W_n
    start at 0, b_k too.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.maps_KHD = nn.Parameter(torch.empty(EXPERTS, inputs, width).normal_(std=(inputs * width) ** -0.5))
        self.means_KH = nn.Parameter(torch.zeros(EXPERTS, inputs))
        self.gate_HK = nn.Parameter(torch.zeros(inputs, EXPERTS))
        self.noise_HK = nn.Parameter(torch.zeros(inputs, EXPERTS))

    def forward(self, inputs_UH: Tensor) -> Tensor:
        """(U, H) to (U, D)."""
        gate_UK = inputs_UH @ self.gate_HK
        if self.training:
            size_UK = F.softplus(inputs_UH @ self.noise_HK) + NOISE_FLOOR
            gate_UK = gate_UK + torch.randn_like(gate_UK) * size_UK
        seen_KUH = F.dropout(inputs_UH.expand(EXPERTS, -1, -1), EXPERT_DROPOUT, self.training)
        made_KUD = torch.bmm(seen_KUH - self.means_KH[:, None], self.maps_KHD)
        return (gate_UK.softmax(dim=1).T[:, :, None] * made_KUD).sum(dim=0)


class Statistics(nn.Module):
    """An affine map that is taken from the first catalogue of a data set once and stays: x -> (x - mean) W, kept as float32.

    whiten: W = U diag(1 / sqrt(s + floor)) U' with covariance U diag(s) U', in float64. Another data set is whitened by its own
    statistics: its texts lie elsewhere in the backbone's space, and by those of groceries all films would be one long vector
    (loss of the first epoch 9.5, where guessing has 7.4). The last U' turns back to the backbone's axes, so that a map that was
    learnt on one data set means the same on another; TCF's code and BERT-whitening leave it out. Without whitening W is one
    number, of the first data set, which brings the mean square to 1, and nothing is subtracted.
    """

    mean_H: Tensor
    map_HH: Tensor
    of: Tensor

    def __init__(self, inputs: int, whiten: bool) -> None:
        super().__init__()
        self.whiten = whiten
        self.register_buffer("mean_H", torch.zeros(inputs))
        self.register_buffer("map_HH", torch.eye(inputs) if whiten else torch.ones(1, 1))
        self.register_buffer("of", torch.zeros((), dtype=torch.int64))

    def serve(self, data: str) -> bool:
        """Whether there is nothing to take for the items of a data set."""
        return int(self.of) == _number(data) or (not self.whiten and int(self.of) != 0)

    @torch.no_grad()
    def take(self, features_NH: Tensor, data: str) -> None:
        """Take the statistics of all items' features, once a data set; of less than two items there are none, and the map
        stays."""
        if self.serve(data) or len(features_NH) < 2:
            return
        x_NH = features_NH.double()
        if self.whiten:
            mean_H = x_NH.mean(dim=0)
            centred_NH = x_NH - mean_H
            covariance_HH = centred_NH.T @ centred_NH / (len(x_NH) - 1)
            s_H, u_HH = torch.linalg.eigh(covariance_HH)
            scale_H = (s_H.clamp(min=0) + FLOOR * s_H.mean()).clamp(min=1e-12).rsqrt()
            self.mean_H.copy_(mean_H)
            self.map_HH.copy_((u_HH * scale_H) @ u_HH.T)
        else:
            self.map_HH.fill_(float(x_NH.square().mean().clamp(min=1e-12).rsqrt()))
        self.of.fill_(_number(data))

    def forward(self, features_UH: Tensor) -> Tensor:
        """(U, H) to (U, H)."""
        if not self.whiten:
            return features_UH * self.map_HH[0, 0]
        return (features_UH - self.mean_H) @ self.map_HH


def _number(data: str) -> int:
    """A data set's name as a number above 0."""
    return 1 + int.from_bytes(hashlib.blake2b(data.encode(), digest_size=7).digest(), "big")
