"""Shared negatives for a sampled softmax, drawn from a mixture of popularity and uniform, with what logQ needs."""

from dataclasses import dataclass, field

import numpy as np
import torch

from lifelong.core.types import Negatives


@dataclass(frozen=True)
class NegativeSampler:
    """Draws `count` catalogue entries with replacement from q = (1 - uniform) p^power / sum + uniform / C, and `in_batch` more
    from the batch's own targets, that is from p.

    counts_C: how often each entry was a target in training; p their shares. log_expected = log(count * q + in_batch * p), the
    correction of Bengio & Senécal (2008) as used for item retrieval by Yi et al. (RecSys 2019).
    """

    counts_C: np.ndarray
    count: int
    in_batch: int = 0
    power: float = 0.75
    uniform: float = 0.2
    _cumulative_C: np.ndarray = field(init=False)
    _log_expected_C: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        counts_C = np.maximum(self.counts_C, 0).astype(np.float64)
        popular_C = counts_C**self.power
        share = self.uniform if counts_C.any() else 1.0
        q_C = share / len(counts_C) + (1 - share) * popular_C / max(popular_C.sum(), 1.0)
        expected_C = self.count * q_C + self.in_batch * counts_C / max(counts_C.sum(), 1.0)
        object.__setattr__(self, "_cumulative_C", np.cumsum(q_C))
        object.__setattr__(self, "_log_expected_C", torch.from_numpy(np.log(np.maximum(expected_C, 1e-30))).float())

    def draw(self, random: np.random.Generator, targets_N: np.ndarray) -> Negatives:
        """One set for a whole batch with these right answers."""
        places_K = random.random(self.count) * self._cumulative_C[-1]
        drawn_K = np.searchsorted(self._cumulative_C, places_K, side="right")
        index_K = torch.from_numpy(np.concatenate([drawn_K, random.choice(targets_N, self.in_batch)]))
        return Negatives(index_K, self._log_expected_C[index_K])
