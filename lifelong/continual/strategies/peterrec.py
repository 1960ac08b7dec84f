"""Leave the parent's encoder as it is and train small patches inside it, private norms and a head (PeterRec, SIGIR 2020)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lifelong.continual.bank import private_values
from lifelong.continual.blocks import block_of, blocks_of, last_of_each_block
from lifelong.continual.parts.patch import Patch
from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core.errors import ConfigError


class PeterRec(Strategy):
    """Parameter-efficient transfer from sequential behaviors (Yuan et al., SIGIR 2020, section 3).

    The task reads every weight of its parent and owns none of the bank (but the rows of items that it brings): what is stored
    of it is patches, norms and head. Costs no capacity, so it is the way on where the encoder is full. We leave the paper in
    three places: a patched encoder starts as exactly its parent (parts/patch.py), the user vector is the state of the last
    event, and norms are the task's own copies.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        share: int = 4
        """The bottleneck of a patch is width / share; 4 is the paper's."""
        form: Literal["serial", "parallel"] = "serial"
        """Where a patch stands: behind its sublayer, or beside it."""
        patches: Literal[1, 2] = 2
        """How many a block gets: one behind its last sublayer, or one behind each."""
        top: int | None = None
        """Patches and private norms in so many of the last blocks only; nothing is left out for all. No gradient is computed
        below the lowest patch, so a step gets cheaper."""
        norms: Literal["none", "second", "all"] = "second"
        """Norms that the task trains for itself: none, the last one of each block (the paper's), or all."""

        def __post_init__(self) -> None:
            self.patch()
            if self.top is not None and self.top < 1:
                raise ValueError(f"top is {self.top}; patch at least 1 block, or leave it out for all")

        def patch(self) -> Patch.Config:
            """The options of each patch."""
            return Patch.Config(share=self.share, form=self.form)

    isolates: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: PeterRec.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """One phase; the bank is only read."""
        view = site.read_only()
        widths = site.sublayers()
        blocks = blocks_of(widths)
        if self.options.top and self.options.top > len(blocks):
            raise ConfigError(
                f"task {task!r}: peterrec: top is {self.options.top}, and the encoder's number of blocks is {len(blocks)}; "
                "name no more than that, or leave it out for all"
            )
        below = set(blocks[: -self.options.top] if self.options.top else [])
        slots = [slot for slot in widths if block_of(slot) not in below]
        places = slots if self.options.patches == 2 else last_of_each_block(slots)
        view.parts = {slot: Patch(self.options.patch(), widths[slot]) for slot in places}
        view.private = site.private_copies(self._norms(site, set(blocks), below))
        yield Phase(view=view, label="train")
        return view

    def _norms(self, site: Site, blocks: set[str], below: set[str]) -> list[str]:
        """Names of the parameters of the norms that the task trains: a norm is a module whose weight has one dimension."""
        gains = [name for name in private_values(site.seen_by_parent()) if name.endswith(".weight")]
        homes = [gain.removesuffix(".weight") for gain in gains if block_of(gain.removesuffix(".weight")) not in below]
        second = last_of_each_block([home for home in homes if block_of(home) in blocks])
        chosen = {"none": [], "second": second, "all": homes}[self.options.norms]
        return [name for name in site.names if name.rpartition(".")[0] in chosen]
