"""Softmax losses that never hold points × catalogue: chunk by chunk, with the gradients made on the way."""

from typing import Any

import torch
from torch import Tensor

CHUNK_VALUES = 1 << 19
"""Scores at once on the CPU: 2 MiB, about what the caches next to a core hold."""
CHUNK_VALUES_GPU = 1 << 27
"""On a GPU: 512 MiB, large enough that the products are not held up by their number."""


def softmax_loss(
    users_ND: Tensor, matrix_CD: Tensor, bias_C: Tensor, targets_N: Tensor, left_out_NS: Tensor | None = None
) -> Tensor:
    """Mean over N points of -log softmax(users @ matrix.T + bias)[target], a scalar; float32 inside.

    left_out_NS: columns (int64, -1 = none) that are not in a point's softmax; a target always is.

    The three products are those of the plain loss; the scores of a chunk become its gradients in place and are gone before
    the next, as in cut cross-entropy (Wijmans et al., ICLR 2025) and Liger's fused loss. Gradients are made in the forward
    pass, so there is no gradient of the gradient.
    """
    return _SoftmaxLoss.apply(
        users_ND.float(), matrix_CD.float(), bias_C.float(), targets_N, None, None, left_out_NS, None
    )  # type: ignore[no-untyped-call]


def sampled_loss(
    users_ND: Tensor,
    negatives_KD: Tensor,
    shift_K: Tensor,
    right_N: Tensor,
    same_index: tuple[Tensor, Tensor],
    beside_N: Tensor | None = None,
    left_out_NS: Tensor | None = None,
) -> Tensor:
    """Mean of -log(e^right / (e^right + e^beside + sum over k of e^(users · negatives + shift))), a scalar; float32 inside.

    right_N: the scores of the right answers. same_index: (targets_N, index_K); a negative that is the right answer itself
    is left out. beside_N: one more score a point, for what competes with its right answer and with no other's. left_out_NS:
    indices (int64, -1 = none) that are no point's negatives, for instance what its user had; the right answer always counts.
    """
    targets_N, index_K = same_index
    given = (users_ND.float(), negatives_KD.float(), shift_K.float(), targets_N, right_N.float())
    beside_N = torch.full_like(given[-1], -torch.inf) if beside_N is None else beside_N.float()
    return _SoftmaxLoss.apply(*given, index_K, left_out_NS, beside_N)  # type: ignore[no-untyped-call]


class _SoftmaxLoss(torch.autograd.Function):
    """With right_N None the right answer is among the C columns; else it stands beside the K negatives, and beside_N too."""

    @staticmethod
    def forward(
        ctx: Any,
        users_ND: Tensor,
        matrix_CD: Tensor,
        bias_C: Tensor,
        targets_N: Tensor,
        right_N: Tensor | None,
        index_K: Tensor | None,
        left_out_NS: Tensor | None,
        beside_N: Tensor | None,
    ) -> Tensor:
        grads = [torch.empty_like(users_ND), torch.zeros_like(matrix_CD), torch.zeros_like(bias_C)]
        grads += [] if right_N is None or beside_N is None else [torch.empty_like(right_N), torch.empty_like(beside_N)]
        total = users_ND.new_zeros(())
        for part in _parts(users_ND, len(matrix_CD)):
            scores_nC = torch.addmm(bias_C, users_ND[part], matrix_CD.T)
            left_out_nS = None if left_out_NS is None else left_out_NS[part]
            if right_N is None or index_K is None or beside_N is None:
                if left_out_nS is not None:
                    _leave_out(scores_nC, left_out_nS, targets_N[part])
                total += _from_columns(scores_nC, targets_N[part])
            else:
                same_nK = barred(index_K, targets_N[part], left_out_nS)
                two_2n, grads_2n = (right_N[part], beside_N[part]), (grads[3][part], grads[4][part])
                total += _from_beside(scores_nC, same_nK, two_2n, grads_2n)
            torch.mm(scores_nC, matrix_CD, out=grads[0][part])
            grads[1].addmm_(scores_nC.T, users_ND[part])
            grads[2] += scores_nC.sum(dim=0)
        ctx.save_for_backward(*grads)
        ctx.points = max(1, len(users_ND))  # a batch may ask for nothing: then nothing is learnt
        return total / ctx.points

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        scale = upstream[0] / ctx.points
        users, matrix, bias, *two = (grad * scale for grad in ctx.saved_tensors)
        right, beside = two or (None, None)
        return users, matrix, bias, None, right, None, None, beside


def _parts(users_ND: Tensor, columns: int) -> list[slice]:
    values = CHUNK_VALUES if users_ND.device.type == "cpu" else CHUNK_VALUES_GPU
    step = max(1, values // columns)
    return [slice(first, first + step) for first in range(0, len(users_ND), step)]


def _leave_out(scores_nC: Tensor, left_out_nS: Tensor, targets_n: Tensor) -> None:
    """Set these columns to -inf, the target excepted; in place."""
    right_n1 = scores_nC.gather(1, targets_n[:, None])
    index_nS = torch.where(left_out_nS < 0, targets_n[:, None], left_out_nS)
    scores_nC.scatter_(1, index_nS, -torch.inf).scatter_(1, targets_n[:, None], right_n1)


def barred(index_K: Tensor, targets_n: Tensor, left_out_nS: Tensor | None) -> Tensor:
    """Bool (n, K): whether a candidate is the point's right answer, or is left out for it; -1 is nothing.

    In memory of n (K + S), however large the catalogue.
    """
    same_nK = index_K == targets_n[:, None]
    if left_out_nS is None or not len(index_K):
        return same_nK
    distinct_D, place_K = index_K.unique(return_inverse=True)
    found_nS = torch.searchsorted(distinct_D, left_out_nS).clamp(max=len(distinct_D) - 1)
    found_nS = torch.where(distinct_D[found_nS] == left_out_nS, found_nS, len(distinct_D))  # else the place of nothing
    hit_nD1 = torch.zeros(len(targets_n), len(distinct_D) + 1, dtype=torch.bool, device=index_K.device)
    return same_nK | hit_nD1.scatter_(1, found_nS, True)[:, place_K]


def _from_columns(scores_nC: Tensor, targets_n: Tensor) -> Tensor:
    """The summed loss; scores become its gradients: softmax minus one at the target."""
    scores_nC -= scores_nC.amax(dim=1, keepdim=True)
    right_n1 = scores_nC.gather(1, targets_n[:, None])
    sums_n1 = scores_nC.exp_().sum(dim=1, keepdim=True)
    scores_nC /= sums_n1
    scores_nC.scatter_add_(1, targets_n[:, None], torch.full_like(right_n1, -1.0))
    return (sums_n1.log() - right_n1).sum()


def _from_beside(
    scores_nK: Tensor, same_nK: Tensor, two_2n: tuple[Tensor, Tensor], grads_2n: tuple[Tensor, Tensor]
) -> Tensor:
    """The summed loss of right answers and of what stands beside them (two_2n) against the negatives.

    The scores become the softmax of the negatives; grads_2n that of the two, of the right answer minus one.
    """
    right_n, beside_n = two_2n
    scores_nK.masked_fill_(same_nK, -torch.inf)
    largest_n = torch.maximum(scores_nK.amax(dim=1), torch.maximum(right_n, beside_n))
    scores_nK.sub_(largest_n[:, None]).exp_()
    shifted_n, beside_n = right_n - largest_n, (beside_n - largest_n).exp()
    sums_n = scores_nK.sum(dim=1) + shifted_n.exp() + beside_n
    scores_nK /= sums_n[:, None]
    torch.sub(shifted_n.exp() / sums_n, 1.0, out=grads_2n[0])
    torch.div(beside_n, sums_n, out=grads_2n[1])
    return (sums_n.log() - shifted_n).sum()
