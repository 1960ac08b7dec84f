"""The head of a task before its first step: solved from the user vectors that its parent gives, not grown from noise."""

import numpy as np
import torch
from torch import Tensor

from lifelong.cases import Cases
from lifelong.data.feeds import case_batches
from lifelong.data.sequences import Points
from lifelong.network import TaskNet

MOST_USERS = 20_000
"""Training users that are looked at: more move a linear head hardly, and solving takes seconds up to here."""
BATCH = 256


def start_head(net: TaskNet, cases: Cases, past: int, seed: int) -> bool:
    """Let the head find the parameters that fit best on top of what the network gives as it stands; whether it could.

    Only heads that can be solved in closed form, or by a convex fit, do anything (Head.solve). Validation users choose the
    strength of the penalty, as they choose the epoch afterwards; test users play no part.
    """
    if net.head is None or not net.head.solvable:
        return False
    net.eval()
    train, valid = _some(cases.train, seed), cases.valid
    vectors = [_vectors(net, cases, points, past) for points in (train, valid)]
    targets = [torch.from_numpy(points.targets_N) for points in (train, valid)]
    net.head.solve(vectors[0], targets[0], vectors[1], targets[1])
    return True


def _some(points: Points, seed: int) -> Points:
    if len(points) <= MOST_USERS:
        return points
    return points.where(np.sort(np.random.default_rng(seed).choice(len(points), MOST_USERS, replace=False)))


@torch.no_grad()
def _vectors(net: TaskNet, cases: Cases, points: Points, past: int) -> Tensor:
    """What the head reads of each point's user, (N, W) float32, on the CPU."""
    device = next(net.encoder.parameters()).device
    batches = case_batches(cases.sequences, points, net.encoder.length, BATCH, past)
    return torch.cat([net.users(batch.to(device).history).cpu() for batch in batches])
