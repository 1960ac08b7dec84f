"""A GRU over positions that starts at zero and stays there until the first real event."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.encoders.layers.activation import sigmoid_


class Recurrence(nn.Module):
    """h[p] = (1 - z) n + z h[p-1], with r, z = sigmoid(W x + U h), n = tanh(W x + r (U h)) (Cho et al. 2014, as torch has it).

    input_weight W (3 H, D) and hidden_weight U (3 H, H) are gates r, z, n on top of each other. There are no biases: so a
    state that is 0 stays exactly 0 as long as the input is 0, and padding on the left leaves no trace.
    nn.GRU keeps its own list of weights, which torch.func.functional_call does not replace; these are plain parameters.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        for_inputs = [nn.init.xavier_uniform_(torch.empty(hidden, inputs)) for _ in range(3)]
        for_states = [nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(3)]
        self.input_weight = nn.Parameter(torch.cat(for_inputs))
        self.hidden_weight = nn.Parameter(torch.cat(for_states))

    def forward(self, inputs_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, L, H), float32; padded positions on the left must be 0."""
        if inputs_BLD.device.type == "cpu":
            projected_BLG = F.linear(inputs_BLD, self.input_weight).float()
            return _Gru.apply(projected_BLG, self.hidden_weight)  # type: ignore[no-untyped-call]
        start_1BH = inputs_BLD.new_zeros(1, len(inputs_BLD), self.hidden_weight.shape[1])
        weights: list[Tensor] = [self.input_weight, self.hidden_weight]
        return torch.gru(inputs_BLD, start_1BH, weights, False, 1, 0.0, self.training, False, True)[0]


class _Gru(torch.autograd.Function):
    """The recurrence on the CPU with its gradient written out: torch's own records some thirty small steps a position.

    Inside, gates and states are (L, 3 H, B) and (L, H, B): each gate of a position is one block of memory. No gradient of the
    gradient.
    """

    @staticmethod
    def forward(ctx: Any, projected_BLG: Tensor, weight_GH: Tensor) -> Tensor:
        users, length, gates = projected_BLG.shape
        hidden = gates // 3
        gates_LGB = projected_BLG.permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        inner_LHB = gates_LGB.new_empty(length, hidden, users)
        states_LHB = gates_LGB.new_zeros(length + 1, hidden, users)
        weight_rz, weight_n = weight_GH[: 2 * hidden], weight_GH[2 * hidden :]
        rz_L, n_L = gates_LGB[:, : 2 * hidden].unbind(), gates_LGB[:, 2 * hidden :].unbind()
        inner_L, states_L = inner_LHB.unbind(), states_LHB.unbind()
        for place in range(length):
            rz, n, inner, state = rz_L[place], n_L[place], inner_L[place], states_L[place]
            sigmoid_(rz.addmm_(weight_rz, state))
            torch.mm(weight_n, state, out=inner)
            n.addcmul_(rz[:hidden], inner).tanh_()
            torch.lerp(n, state, rz[hidden:], out=states_L[place + 1])
        ctx.save_for_backward(gates_LGB, inner_LHB, states_LHB, weight_GH)
        return states_LHB[1:].permute(2, 0, 1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor]:
        gates_LGB, inner_LHB, states_LHB, weight_GH = ctx.saved_tensors
        length, gates, users = gates_LGB.shape
        _, z_LHB, _ = gates_LGB.chunk(3, dim=1)
        grads_LGB, slope_LHB = _slopes(gates_LGB, inner_LHB, states_LHB[:-1])
        total_LHB = upstream[0].permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        back_HG = weight_GH.t()
        for place in range(length - 1, -1, -1):
            grad_GB, total_HB = grads_LGB[place], total_LHB[place]
            grad_GB.view(3, -1, users).mul_(total_HB)
            if place:
                total_LHB[place - 1].addcmul_(total_HB, z_LHB[place]).addmm_(back_HG, grad_GB)
        flat_GN = grads_LGB.transpose(0, 1).reshape(gates, -1)
        weight_grad_GH = flat_GN @ states_LHB[:-1].transpose(1, 2).reshape(flat_GN.shape[1], -1)
        torch.mul(slope_LHB, total_LHB, out=grads_LGB[:, 2 * gates // 3 :])  # r does not stand before W x
        return grads_LGB.permute(2, 0, 1), weight_grad_GH


def _slopes(gates_LGB: Tensor, inner_LHB: Tensor, before_LHB: Tensor) -> tuple[Tensor, Tensor]:
    """How a state changes with U h of each gate, (L, 3 H, B), and with W x of gate n, (L, H, B)."""
    r_LHB, z_LHB, n_LHB = gates_LGB.chunk(3, dim=1)
    slopes_LGB = torch.empty_like(gates_LGB)
    by_r_LHB, by_z_LHB, by_n_LHB = slopes_LGB.chunk(3, dim=1)
    slope_LHB = (1 - z_LHB) * (1 - n_LHB * n_LHB)
    torch.mul(slope_LHB, r_LHB, out=by_n_LHB)
    torch.mul(by_n_LHB * (1 - r_LHB), inner_LHB, out=by_r_LHB)
    torch.mul((before_LHB - n_LHB) * z_LHB, 1 - z_LHB, out=by_z_LHB)
    return slopes_LGB, slope_LHB
