"""What counting reaches under the protocol: own frequency, a windowed Markov chain, and the two blended; tuned on validation.

    python -m benchmarks.peers.counting cj

Each is asked for the test events once, with the options that were best on validation, and kept in results/peers.json. Peers
that learn nothing: who loses to them has not earned his parameters.
"""

import argparse
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from benchmarks import common, protocol
from benchmarks.protocol import Interactions, Scores

HALF_LIVES = (20.0, 100.0, 500.0, 1e9)
"""Of an event in own frequency, in events."""
WINDOWS = ((1, 1.0), (5, 0.8), (10, 0.8), (10, 0.9))
"""How far a step may reach, and what it counts for with each further event."""
VOTES = ((1, 1.0), (5, 0.8), (20, 0.9), (50, 0.9))
"""How many of a user's last events vote, and what the vote of one before counts for."""
POPULARITY = (0.0, 0.25, 0.5)
"""Exponent of the popularity that a count is divided by."""
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Of own frequency in the blend."""
LITTLE = 1e-6
"""Weight of popularity beside every score, so that there are few ties."""


@dataclass(frozen=True)
class Tuned:
    """The best of a grid by validation NDCG@10."""

    valid: float
    options: dict[str, Any]
    score: Scores


def frequency(data: Interactions, half_life: float) -> Scores:
    """How often the user had the item, lately more."""
    popular_I = _popular(data)
    return lambda users_B, histories: (
        _shares(_votes(data, histories, None, 0.5 ** (1 / half_life))) + LITTLE * popular_I
    )


def markov(data: Interactions, window: int, decay: float, last: int, fade: float, power: float) -> Scores:
    """What came after the user's last items, with others."""
    popular_I = _popular(data)
    steps_II = _steps(data, window, decay).multiply(1 / np.maximum(popular_I * data.users, 1)[None] ** power).tocsr()
    return lambda users_B, histories: _shares(_votes(data, histories, last, fade) @ steps_II) + LITTLE * popular_I


def blend(one: Scores, other: Scores, share: float) -> Scores:
    """So much of one, the rest of the other."""
    return lambda users_B, histories: share * one(users_B, histories) + (1 - share) * other(users_B, histories)


def tuned(data: Interactions, make: Callable[..., Scores], grid: Iterable[dict[str, Any]]) -> Tuned:
    """The best of the grid."""
    found = ((make(**options), options) for options in grid)
    tried = (Tuned(protocol.evaluate(data, s, "valid")[0]["ndcg@10"], options, s) for s, options in found)
    return max(tried, key=lambda one: one.valid)


def run(name: str) -> dict[str, dict[str, Any]]:
    """Each by name: options, validation figure, test figures and ranks."""
    data = protocol.load(name)
    grid = itertools.product(WINDOWS, VOTES, POPULARITY)
    chain = tuned(
        data,
        lambda **options: markov(data, **options),
        ({"window": w, "decay": d, "last": v, "fade": f, "power": p} for (w, d), (v, f), p in grid),
    )
    if protocol.REMOVES_HISTORY[name]:  # nothing comes again
        return {"markov": _told(data, chain)}
    own = tuned(data, lambda half_life: frequency(data, half_life), ({"half_life": h} for h in HALF_LIVES))
    both = tuned(data, lambda share: blend(own.score, chain.score, share), ({"share": s} for s in SHARES))
    return {"frequency": _told(data, own), "markov": _told(data, chain), "blend": _told(data, both)}


def _told(data: Interactions, found: Tuned) -> dict[str, Any]:
    test, ranks_U = protocol.evaluate(data, found.score, "test")
    return {"options": found.options, "valid": found.valid, "test": test, "test_ranks": " ".join(map(str, ranks_U))}


def _popular(data: Interactions) -> np.ndarray:
    """Training events of each item (I + 1,), a user."""
    train = np.concatenate([data.history(user, "valid") for user in range(1, data.users + 1)])
    return np.bincount(train, minlength=data.item_count + 1) / data.users


def _steps(data: Interactions, window: int, decay: float) -> sparse.csr_matrix:
    """(I + 1, I + 1): how often one item came after another in training, rows add up to one."""
    size = data.item_count + 1
    histories = [data.history(user, "valid") for user in range(1, data.users + 1)]
    total_II = sparse.csr_matrix((size, size))
    for far in range(1, window + 1):
        before = np.concatenate([items[:-far] for items in histories if len(items) > far])
        after = np.concatenate([items[far:] for items in histories if len(items) > far])
        weights = np.full(len(before), decay ** (far - 1))
        total_II = total_II + sparse.csr_matrix((weights, (before, after)), shape=(size, size))
    sums_I = np.asarray(total_II.sum(1)).ravel()
    return (sparse.diags(1 / np.maximum(sums_I, 1e-12)) @ total_II).tocsr()


def _votes(data: Interactions, histories: list[np.ndarray], last: int | None, fade: float) -> sparse.csr_matrix:
    """(B, I + 1): the last items of each user, the latest at 1, every earlier one at `fade` of the next."""
    kept = [items if last is None else items[-last:] for items in histories]
    lengths_B = np.array([len(items) for items in kept])
    ages = np.concatenate([np.arange(length)[::-1] for length in lengths_B])
    given = (fade**ages, (np.repeat(np.arange(len(kept)), lengths_B), np.concatenate(kept)))
    return sparse.csr_matrix(given, shape=(len(kept), data.item_count + 1))


def _shares(scores_BI: sparse.csr_matrix) -> np.ndarray:
    """Dense rows that add up to one."""
    dense_BI: np.ndarray = scores_BI.toarray()
    return dense_BI / np.maximum(dense_BI.sum(1, keepdims=True), 1e-12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("ml100k", "cj"))
    args = parser.parse_args()
    for name, record in run(args.data).items():
        common.keep("peers", f"{name}-{args.data}-tuned", record)
        print(name, record["options"], f"valid {record['valid']:.4f}", record["test"])


if __name__ == "__main__":
    main()
