"""Train the shared encoder on the new task and, beside it, on a few kept cases of the earlier ones (experience replay)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lifelong.continual.past import Earlier, take_users
from lifelong.continual.phase import Phase
from lifelong.continual.rehearsal import Rehearsal, again
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core.config import need
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch


class Replay(Strategy):
    """Experience replay with a small memory (Chaudhry et al., "On tiny episodic memories in continual learning", 2019).

    What is remembered of an earlier task is a sample of its own training cases, drawn from its data when the next task comes
    and never stored: a model folder holds nobody's history. The budget is shared alike among the earlier tasks.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        budget_kb: float = 131072.0
        """Memory for the kept cases of all earlier tasks together, in units of 1024 bytes; a window with a past of 1,000 events
        takes 19 kB. Few cases that are rehearsed often are learnt by heart: next_product of Complete Journey (NDCG@10 .1215)
        after drug_gm with about 340 windows kept .0409, 860 .0589, 5,500 .1184, and .0953 by sequential, without any."""
        strength: float = 1.0
        """Weight of an earlier task's loss beside that of the new one."""
        heads: Literal["train", "freeze"] = "train"
        """Whether the earlier tasks' heads go along."""

        def __post_init__(self) -> None:
            for option in ("budget_kb", "strength"):
                need(self, option, getattr(self, option) > 0, "be above 0")

    isolates: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Replay.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """Sample, train, write back."""
        view = site.share()
        past = site.shared_past("replay rehearses them")
        memories = [remember(earlier, self.options.budget_kb * 1024 / len(past)) for earlier in past]
        if self.options.heads == "train":
            site.let_train(past)
        penalty = Rehearsal(
            past, site.seen(past), [again(*kept) for kept in zip(past, memories, strict=True)], self.options.strength
        )
        yield Phase(view=view, label="train", penalty=penalty)
        site.write_back(view)
        return view


def remember(earlier: Earlier, budget: float) -> list[Batch]:
    """Whole users of an earlier task's first pass, in its order, as long as they fit into `budget` bytes.

    Raises ConfigError where not even one fits.
    """
    kept: list[Batch] = []
    for batch in earlier.batches(0):
        users = len(batch.history.window_BL)
        tries = range(users + 1) if size(batch) > budget else [users]
        fitting = max(n for n in tries if size(take_users(batch, 0, n)) <= budget)
        if fitting:
            kept.append(take_users(batch, 0, fitting))
            budget -= size(kept[-1])
        if fitting < users:
            break
    if not kept:
        raise ConfigError(
            f"replay: not one case of task {earlier.name!r} fits into its {budget:.0f} bytes; raise budget_kb"
        )
    return kept


def size(batch: Batch) -> int:
    """Bytes of a batch's histories, windows and longer pasts, and of its points; negatives are drawn anew and do not count."""
    tensors = (*vars(batch.history).values(), batch.rows_N, batch.positions_N, batch.targets_N)
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
