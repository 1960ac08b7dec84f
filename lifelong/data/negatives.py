"""Shared negatives for a sampled softmax, drawn from a mixture of popularity and uniform, with what logQ needs."""

from dataclasses import dataclass, field

import numpy as np
import torch

from lifelong.core.types import Negatives


@dataclass(frozen=True)
class NegativeSampler:
    """Draws `count` catalogue entries with replacement from q = (1 - uniform) p^power / sum + uniform / C.

    counts_C: how often each entry was a target in training. log_expected = log(count * q), the correction of Bengio &
    Senécal (2008) as used for item retrieval by Yi et al. (RecSys 2019).
    """

    counts_C: np.ndarray
    count: int
    power: float = 0.75
    uniform: float = 0.2
    _cumulative_C: np.ndarray = field(init=False)
    _log_expected_C: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        popular_C = np.maximum(self.counts_C, 0).astype(np.float64) ** self.power
        total = popular_C.sum()
        share = 1.0 if total == 0 else self.uniform
        q_C = share / len(popular_C) + (1 - share) * popular_C / max(total, 1.0)
        object.__setattr__(self, "_cumulative_C", np.cumsum(q_C))
        object.__setattr__(
            self, "_log_expected_C", torch.from_numpy(np.log(np.maximum(self.count * q_C, 1e-30))).float()
        )

    def draw(self, random: np.random.Generator) -> Negatives:
        """One set for a whole batch."""
        places_K = random.random(self.count) * self._cumulative_C[-1]
        index_K = torch.from_numpy(np.searchsorted(self._cumulative_C, places_K, side="right"))
        return Negatives(index_K, self._log_expected_C[index_K])
