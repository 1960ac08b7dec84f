"""A strategy of your own in one file: PeterRec's patches in every slot, the encoder frozen.

Name it in a task as `strategy: examples.patch_strategy:PatchStrategy` (any importable module will do). This file checks the
strategy against the contract that the built-in ones keep, then lets a tiny model learn a task with it:

    python -m examples.patch_strategy
"""

import tempfile
from dataclasses import dataclass
from typing import ClassVar

from lifelong import LivingModel
from lifelong.continual.parts.patch import Patch
from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.testing.strategies import check_strategy, make

STRATEGY = "examples.patch_strategy:PatchStrategy"


class PatchStrategy(Strategy):
    """Read the parent's weights, put a bottleneck into every slot, train the bottlenecks and the head."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        share: int = 4
        """The bottleneck is width / share."""

    isolates: ClassVar[bool] = True

    def grow(self, site: Site, task: str) -> Growth:
        """One phase; the bank is only read."""
        view = site.read_only()
        patch = Patch.Config(share=self.config.share)
        view.parts = {slot: Patch(patch, width) for slot, width in site.sublayers().items()}
        yield Phase(view=view, label="train")
        return view


DATA = {"name": "synthetic", "users": 300, "items": 80}
FIRST = {
    "name": "next",
    "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
    "length": 20,
    "head": "next_item",
    "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}},
    "fit": {"epochs": 3},
}
LABEL = {
    "name": "label",
    "head": "classification",
    "data": {"dataset": DATA, "label": "label_0", "split": "by_user"},
    "strategy": STRATEGY,
    "fit": {"epochs": 3},
}


def main() -> None:
    check_strategy(make(STRATEGY))
    with tempfile.TemporaryDirectory() as folder:
        model = LivingModel.pretrain(f"{folder}/model", FIRST)
        addition = model.add_task(LABEL)
        print(
            f"added {addition.task}: {addition.trained} numbers trained, {addition.changed} earlier probe values changed"
        )
        assert LivingModel.open(f"{folder}/model").verify().ok


if __name__ == "__main__":
    main()
