"""A network whose states name their place, and a head over a table, for objectives that look at items themselves."""

import torch

from lifelong.core.types import Batch, History


class Head:
    """Item i of the catalogue is row i + 1; what was asked for is remembered."""

    def __init__(self, vectors_CD, bias_C=None):
        self.table, self.bias = vectors_CD, torch.zeros(len(vectors_CD)) if bias_C is None else bias_C
        self.asked = []

    def vectors(self, index, items):
        self.asked.append(index)
        return self.table[index]

    def index_of(self, rows):
        return torch.where((rows > 0) & (rows <= len(self.table)), rows - 1, -1)


class Net:
    """The state at a place is the sum of what the table says of all events up to there."""

    causal, items = True, None

    def __init__(self, head):
        self.head, self.read = head, []

    def states(self, history, hidden_BL=None):
        self.read.append(history.window_BL)
        rows_BL = history.window_BL
        vectors_BLD = torch.where((rows_BL > 0)[..., None], self.head.table[(rows_BL - 1).clamp(min=0)], 0.0)
        return vectors_BLD.cumsum(dim=1)

    def users_at(self, states_BLD, batch):
        return states_BLD[batch.rows_N, batch.positions_N]


def batch_of(windows, shuffled=False):
    """Every event of each window is the target at the place before it; 0 is padding."""
    window_BL = torch.tensor([w[:-1] for w in windows])
    points = [(b, p, w[p + 1] - 1) for b, w in enumerate(windows) for p in range(len(w) - 1) if w[p] > 0]
    points = points[::-1] if shuffled else points
    rows, positions, targets = (torch.tensor(column) for column in zip(*points, strict=True))
    return Batch(History(window_BL), rows, positions, targets)
