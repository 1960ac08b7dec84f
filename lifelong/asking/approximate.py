"""An approximate index for catalogues of millions: asked for by name, measured against the exact answer, never used silently.

Its candidates are scored again with the task's own weights, so a score is right but for its last bits; what may be wrong is
that an item is missing. How often one is stands in `recall`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.asking.inference import NOBODY, Answering, Excluded
from lifelong.core.errors import UsageError
from lifelong.core.types import History
from lifelong.metrics.ranking import top_k

WANTED_RECALL = 0.95
TRAINED_PER_LIST = 50
"""Item vectors a list that the clusters are found from."""
USERS = 256
"""Users searched at a time."""
SEARCHED_SHARES = (1 / 512, 1 / 256, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


class ApproximateIndex:
    """An inverted file (Jégou et al. 2011; faiss IVFFlat) over item vectors with their biases, for one task.

    It searches the smallest share of its lists that finds `recall` of the exact best k of the sample's user vectors (S, D).
    Afterwards `recall` is what it found there and `searched` the share of lists. Raises UsageError where faiss is missing, the
    sample is empty, or the task's scores are no inner products.
    """

    def __init__(self, answering: Answering, sample_SD: Tensor, k: int, recall: float = WANTED_RECALL) -> None:
        linear = answering.blocks.linear
        if linear is None or answering.blocks.copies or not len(sample_SD):
            raise UsageError(
                "an approximate index needs a next_item task without copy and users to measure it on; ask for --index exact"
            )
        self.matrix_CD, self.bias_C = linear
        faiss = _faiss()
        faiss.omp_set_num_threads(torch.get_num_threads())
        self.lists = max(1, min(int(4 * len(self.bias_C) ** 0.5), len(self.bias_C) // TRAINED_PER_LIST))
        self._index = self._build(faiss)
        exact_SK = torch.cat([index for _, index in answering.best(sample_SD, k)])
        for share in SEARCHED_SHARES:
            self._index.nprobe = max(1, round(share * self.lists))
            self.recall = _found(exact_SK, torch.cat([index for _, index in self.best(sample_SD, k)]))
            if self.recall >= recall:
                break
        self.searched = self._index.nprobe / self.lists

    @torch.no_grad()
    def best(
        self, users_ND: Tensor, k: int, excluded: Excluded = NOBODY, history: History | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like Answering.best: (values_NK, index_NK) of the best that were found, by (score, catalogue order).

        A value of -inf is no recommendation: fewer than k were found. Scores are within 1e-5 of the exact ones.
        """
        k = min(k, len(self.bias_C))
        for first in range(0, len(users_ND), USERS):
            users = users_ND[first : first + USERS]
            taken_NS = excluded(first, first + len(users))
            index_NM = self._candidates(users, k + (0 if taken_NS is None else taken_NS.shape[1]))
            scores_NM = torch.einsum("nd,nmd->nm", users, self.matrix_CD[index_NM]) + self.bias_C[index_NM]
            out_NM = index_NM < 0
            if taken_NS is not None:
                out_NM |= (index_NM[:, :, None] == taken_NS[:, None, :]).any(2)
            values_NK, place_NK = top_k(scores_NM.masked_fill(out_NM, -torch.inf), k)
            yield values_NK, index_NM.gather(1, place_NK)

    def _candidates(self, users_ND: Tensor, count: int) -> Tensor:
        """Catalogue indices (N, count) int64 in catalogue order, -1 where fewer were found."""
        queries = torch.cat([users_ND, torch.ones(len(users_ND), 1)], 1).numpy()
        found = self._index.search(np.ascontiguousarray(queries), min(count, len(self.bias_C)))[1]
        return torch.from_numpy(found).sort(1).values

    def _build(self, faiss: Any) -> Any:
        vectors_CE = torch.cat([self.matrix_CD, self.bias_C[:, None]], 1).numpy()
        width = vectors_CE.shape[1]
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, self.lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.seed = 10, 1
        trained = np.random.default_rng(1).permutation(len(vectors_CE))[: TRAINED_PER_LIST * self.lists]
        index.train(vectors_CE[np.sort(trained)])
        index.add(vectors_CE)
        return index


def _found(exact_SK: Tensor, found_SK: Tensor) -> float:
    """The share of the exact lists that is in the found ones."""
    return float((exact_SK[:, :, None] == found_SK[:, None, :]).any(2).float().mean())


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise UsageError(
            "an approximate index needs faiss; run `pip install 'lifelong[faiss]'`, or ask for --index exact"
        ) from None
    return faiss
