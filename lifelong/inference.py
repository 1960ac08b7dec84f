"""Answers in one fixed shape: whatever is asked is split and padded into chunks of C users, so that its bits never change."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lifelong.core.types import History
from lifelong.data.sequences import Points, Sequences, gather_windows
from lifelong.network import Design, TaskNet


class Answering:
    """A mounted task net that answers in chunks of `design.chunk` users and `design.length` positions, never another shape.

    Matrix kernels are picked by shape, and another kernel gives other last bits; at one fixed shape the neighbours of a user,
    the size of a request and the number of threads change nothing.
    """

    def __init__(self, net: TaskNet, design: Design) -> None:
        self.net, self.chunk, self.length = net, design.chunk, design.length

    @torch.no_grad()
    def users(self, windows_NL: Tensor) -> Tensor:
        """User vectors (N, D) float32 of windows (N, L) int64, left-padded with 0."""
        made = [self.net.users(History(chunk))[:n].clone() for chunk, n in self._chunks(windows_NL)]
        return torch.cat(made) if made else torch.empty(0, self.net.width)

    @torch.no_grad()
    def scores(self, users_ND: Tensor) -> Iterator[Tensor]:
        """Scores (at most chunk, C) float32 of user vectors, chunk after chunk."""
        for chunk, n in self._chunks(users_ND):
            yield self.net.scores(chunk)[:n]

    def windows(self, sequences: Sequences, points: Points) -> Tensor:
        """The windows (N, L) int64 that the points read."""
        starts_N = sequences.offsets_U1[points.users_N]
        return torch.from_numpy(gather_windows(sequences, starts_N, points.ends_N, self.length))

    def _chunks(self, rows: Tensor) -> Iterator[tuple[Tensor, int]]:
        for first in range(0, len(rows), self.chunk):
            part = rows[first : first + self.chunk]
            whole = rows.new_zeros((self.chunk, *rows.shape[1:]))
            whole[: len(part)] = part
            yield whole, len(part)


def last_points(sequences: Sequences) -> Points:
    """One point a user, after its last event."""
    users_N = np.arange(len(sequences))
    return Points(users_N, sequences.offsets_U1[1:], np.zeros(len(sequences), np.int64))
