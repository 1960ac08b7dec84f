"""What is recorded of a task when it is sealed: a fingerprint of all it computes with, and golden probes of what it answers."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.asking.inference import Answering
from lifelong.continual.past import closed_up
from lifelong.core.fingerprint import changed_values, tensors_hash
from lifelong.core.types import History
from lifelong.keeping.checkpoint import Loaded
from lifelong.model.member import known_items, mount
from lifelong.model.network import TaskNet
from lifelong.store.tensors import pack

PROBE_ROLE = "probes"
PROBES = 100
PROBED_SCORES = 256
"""At most so many score columns of a probe are kept, spread evenly over the catalogue."""
REQUEST_SIZES = (1, 7, 32, 100)
THREADS = (1, 2)
MOST_REQUESTS = 25
"""At most so many requests of one size are tried: 25 of one user, 15 of seven, 4 of 32, 1 of 100."""


@dataclass(frozen=True)
class Seal:
    """fingerprint: SHA-256 of the rendered trunk, head and parts; probes: the packed golden file."""

    fingerprint: str
    probes: bytes


def seal(loaded: Loaded, name: str) -> Seal:
    """Fingerprint and golden probes of a task as it stands."""
    answering = answering_of(loaded, name)
    known = known_items(loaded.members, name)
    assert known is not None
    windows_PL = probe_windows(known.rows_n, answering.length)
    return Seal(fingerprint(answering.net), pack({"windows": windows_PL, **answers(answering, windows_PL, PROBES)}, {}))


def answering_of(loaded: Loaded, name: str) -> Answering:
    """The mounted network of one task."""
    known = known_items(loaded.members, name)
    assert known is not None
    return Answering(mount(loaded.design, loaded.bank, loaded.members[name], known), loaded.design)


def fingerprint(net: TaskNet) -> str:
    """SHA-256 over every tensor that the task computes with."""
    return tensors_hash(net.state_dict())


def probe_windows(rows_n: np.ndarray, length: int) -> Tensor:
    """Windows (PROBES, L) int64 of invented users: random known items, every length from none to full. No real history is
    kept in a model."""
    random = np.random.default_rng(7)
    windows_PL = random.choice(rows_n, (PROBES, length)).astype(np.int64)
    lengths_P = np.linspace(0, length, PROBES).round().astype(int)
    windows_PL[np.arange(length) < (length - lengths_P)[:, None]] = 0
    return torch.from_numpy(windows_PL)


def probe_history(answering: Answering, windows_PL: Tensor) -> History:
    """All that the model reads of the invented users, made of their windows alone: the past is the window over and over;
    times, kinds and gaps follow from the items."""
    net, past = answering.net, answering.past
    again_PM = windows_PL.repeat(1, -(-past // windows_PL.shape[1])) if past else None
    past_PS = None if again_PM is None else closed_up(again_PM, again_PM != 0)[0][:, -past:]
    return History(
        windows_PL,
        past_PS,
        None if past_PS is None else past_PS.cumsum(1) // PROBED_SCORES * 3600,
        windows_PL % net.actions.num_embeddings if net.actions else None,
        windows_PL % net.gaps.num_embeddings if net.gaps else None,
    )


def answers(answering: Answering, windows_PL: Tensor, request: int) -> dict[str, Tensor]:
    """User vectors (P, user_width) and up to PROBED_SCORES scores of each, when asked in requests of so many users."""
    users, scores = [], []
    for part in windows_PL.split(request):
        history = probe_history(answering, part)
        read_ND = answering.users(history)
        users.append(read_ND if answering.net.longterm is None else answering.represent(history))
        scores += [s[:, _columns(s.shape[1])].clone() for s in answering.scores(read_ND, history)]
    return {"users": torch.cat(users), "scores": torch.cat(scores)}


def changed_answers(golden: dict[str, Tensor], answering: Answering, request: int, threads: int) -> int:
    """How many probe values are not, bit for bit, what they were when the task was sealed."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    probed = min(PROBES, request * MOST_REQUESTS)
    try:
        given = answers(answering, golden["windows"][:probed], request)
    finally:
        torch.set_num_threads(before)
    return sum(changed_values(golden[key][:probed], given[key]) for key in ("users", "scores"))


def largest_difference(golden: dict[str, Tensor], answering: Answering) -> tuple[float, bool]:
    """The largest absolute difference of a probe value, and whether all lie within 1e-5 relative or 1e-6 absolute."""
    given = answers(answering, golden["windows"], PROBES)
    pairs = [(golden[key], given[key]) for key in ("users", "scores")]
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf"), False
    close = all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in pairs)
    return max(float((a - b).abs().max()) for a, b in pairs), close


def _columns(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, PROBED_SCORES)).round().long()
