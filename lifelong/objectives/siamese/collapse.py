"""Whether vectors have collapsed, into one point or onto one line: their spread and their effective rank."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.core.errors import LifelongError

LEAST_SPREAD = 0.01
"""Below, any two users differ by half a degree."""
LEAST_RANK = 1.05
"""Below, all users lie on one line; norms over a batch hide this from the spread, for they stretch the line."""


def spread(vectors_ND: Tensor) -> Tensor:
    """Deviation of the vectors, each made 1 long, from their mean: 0 where all point the same way, 1 where the mean is 0.

    It is sqrt(D) times the deviation per channel that Chen & He (SimSiam, CVPR 2021, figure 2) watch.

    >>> spread(torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    tensor(0.)
    """
    mean_D = F.normalize(vectors_ND, dim=1).mean(dim=0)
    return (1 - mean_D.square().sum()).clamp(min=0).sqrt()


def effective_rank(vectors_ND: Tensor) -> Tensor:
    """(sum of the variances)^2 / sum of their squares, from 1 to D, over the principal directions of the vectors, each made 1
    long: how many directions they use (the participation ratio). 1 where they are all the same.

    >>> effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    tensor(2.)
    """
    units_ND = F.normalize(vectors_ND, dim=1)
    centred_ND = units_ND - units_ND.mean(dim=0)
    between_NN = centred_ND @ centred_ND.T
    return (between_NN.trace().square() / between_NN.square().sum().clamp(min=1e-12)).clamp(min=1)


class Watch:
    """Spread and effective rank of the vectors of an epoch, batch by batch; left on their device, so that no step waits."""

    def __init__(self) -> None:
        self._seen: dict[str, list[Tensor]] = {}

    def look(self, name: str, vectors_ND: Tensor) -> None:
        """Take note of one batch's vectors; fewer than three say nothing about a rank and are passed over."""
        if len(vectors_ND) > 2:
            found = torch.stack([spread(vectors_ND.detach()), effective_rank(vectors_ND.detach())])
            self._seen.setdefault(name, []).append(found)

    def end(self) -> dict[str, float]:
        """Mean spreads and ranks since the last time, by name. Raises LifelongError where vectors have collapsed."""
        told: dict[str, float] = {}
        for name, found in self._seen.items():
            wide, rank = torch.stack(found).mean(dim=0).tolist()
            if not (wide >= LEAST_SPREAD and rank >= LEAST_RANK):
                raise LifelongError(
                    f"all users look the same: their {name} have collapsed to spread {wide:.3f}, effective rank {rank:.2f}. "
                    "Nothing was committed; lower fit.lr, or use clue_infonce, which sets users apart"
                )
            told |= {f"spread of {name}": wide, f"rank of {name}": rank}
        self._seen = {}
        return told
