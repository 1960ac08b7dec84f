"""Leave the parent's encoders as they are and train adapters inside them: Houlsby, Pfeiffer, LoRA or Compacter (AdapterRec)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor

from lifelong.continual.blocks import blocks_of, last_of_each_block, of_items, top, within
from lifelong.continual.parts.base import Part
from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.core.slot import Opening

Side = Literal["users", "items"]
SIDES: tuple[Side, ...] = ("users", "items")
MAPS = ("query", "value")
"""Behind which maps LoRA stands where an encoder has them, as in its paper."""


class Adapters(Strategy):
    """Adapters in the user encoder and, where the model reads items by their content, in the item encoders (AdapterRec, Fu et
    al., WSDM 2024).

    The task reads every weight of its parent; what is trained and stored of it is adapters, its head and, where `norms` says
    so, norms of its own. What sits in a slot is a part of `continual/parts/`. All start as the identity, so the task starts as
    its parent, bit for bit.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        part: Any = "houlsby"
        """What is put into the slots: houlsby, pfeiffer, lora, compacter, or another part; {name: …, option: …} for options."""
        items_part: Any = None
        """What item encoders get, where it is another part, or has other options; nothing: the same."""
        encoders: list[Side] | None = None
        """Which encoders get any: [users], [items], or both. Nothing: both where the model has item encoders with slots."""
        behind: Literal["each", "last"] | None = None
        """Behind each sublayer of a block, or the last one only; nothing: as the part's paper has it."""
        maps: list[str] = field(default_factory=list)
        """Behind which linear maps lora stands, by the ends of their names; nothing: query and value, or all maps of an encoder
        that has none of that name."""
        norms: Literal["none", "all"] = "none"
        """Whether the task trains norms of its own, from the lowest block with adapters on."""
        top: int | None = None
        """Adapters and norms in so many of the last blocks of each encoder only; nothing for all. No gradient is computed below
        the lowest one, so a step gets cheaper."""

        def __post_init__(self) -> None:
            for spec in (self.part, self.items_part or self.part):
                registry.make_config("parts", spec, "part")
            if self.top is not None and self.top < 1:
                raise ValueError(f"top is {self.top}; name at least 1 block, or leave it out for all")
            if self.encoders is not None and not self.encoders:
                raise ValueError("encoders is empty; name users, items or both, or leave it out")

    isolates: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Adapters.Config = config

    @property
    def trains_items(self) -> bool:  # type: ignore[override]
        """Unless the task leaves item encoders alone."""
        return self.options.encoders is None or "items" in self.options.encoders

    def opens_of_items(self, site: Site, parameters: Mapping[str, Tensor]) -> list[str]:
        """Norms, where the task trains any; the encoder's own weights never."""
        return self._norms(site, "items", parameters)

    def grow(self, site: Site, task: str) -> Growth:
        """One phase; the bank is only read."""
        view = site.read_only()
        view.parts = {slot: self._part(slot, site.slots[slot]) for side in SIDES for slot in self._places(site, side)}
        if not view.parts:
            raise ConfigError(
                f"adapters: this model's encoders have no slot for {self.options.part!r}{self._hint(site)}"
            )
        view.private = site.private_copies(self._norms(site, "users", site.seen_by_parent()))
        yield Phase(view=view, label="train")
        return view

    def _part(self, slot: str, opening: Opening) -> Part:
        cls, config = self._spec("items" if of_items(slot) else "users")
        part: Part = cls.fitting(config, opening)
        return part

    def _spec(self, side: Side) -> tuple[type[Any], Any]:
        spec = (self.options.items_part if side == "items" else None) or self.options.part
        return registry.make_config("parts", spec, "adapters: part")[1:]

    def _places(self, site: Site, side: Side) -> list[str]:
        """The slots of one side's encoders that get an adapter. Raises ConfigError where a task names a side that has none."""
        slots, named = _slots(site, side), self.options.encoders
        if named is not None and side not in named:
            return []
        if named is not None and not slots:
            raise ConfigError(
                f"adapters: encoders names {side}, and this model has no encoder of {side} with free slots"
            )
        kind = self._spec(side)[0].behind
        found = [slot for slot, opening in slots.items() if opening.kind == kind]
        if self.options.top is not None:
            found = within(found, self._blocks(site, side))
        if kind == "map":
            return self._maps(found)
        return last_of_each_block(found) if (self.options.behind or self._spec(side)[0].usual) == "last" else found

    def _maps(self, slots: list[str]) -> list[str]:
        wanted = self.options.maps or MAPS
        return [slot for slot in slots if called(slot, wanted)] or ([] if self.options.maps else slots)

    def _blocks(self, site: Site, side: Side) -> list[str]:
        """The blocks of one side's encoders that adapters go into."""
        found = blocks_of(slot for slot, opening in _slots(site, side).items() if opening.kind == "sublayer")
        return top(found, self.options.top)

    def _norms(self, site: Site, side: Side, parameters: Mapping[str, Tensor]) -> list[str]:
        """The parameters of one side's norms from the lowest block with adapters on: a norm's weight has one dimension."""
        if self.options.norms == "none" or not self._places(site, side):
            return []
        mine = [name for name in parameters if of_items(name) == (side == "items") and ".part." not in name]
        gains = [name for name in mine if name.endswith(".weight") and parameters[name].dim() == 1]
        homes = {name.rpartition(".")[0] for name in gains}
        first = within(mine, self._blocks(site, side))[:1]
        above = mine[mine.index(first[0]) :] if first else mine
        return [name for name in above if name.rpartition(".")[0] in homes]

    def _hint(self, site: Site) -> str:
        names = {map_of(slot).rpartition(".")[2] for slot, opening in site.slots.items() if opening.kind == "map"}
        return f"; maps are called {', '.join(sorted(names))}" if self.options.maps else ""


def _slots(site: Site, side: Side) -> dict[str, Opening]:
    return {slot: opening for slot, opening in site.slots.items() if of_items(slot) == (side == "items")}


def map_of(slot: str) -> str:
    """The linear map behind which a slot stands.

    >>> map_of("encoder.blocks.0.attention.query.slot"), map_of("items.text.blocks.0.value_slot")
    ('encoder.blocks.0.attention.query', 'items.text.blocks.0.value')
    """
    return slot.removesuffix("slot").rstrip("._")


def called(slot: str, ends: Iterable[str]) -> bool:
    """Whether the name of the slot's map ends so, at a whole step of its path.

    >>> called("encoder.blocks.0.attention.query.slot", ["query"]), called("encoder.subquery.slot", ["query"])
    (True, False)
    """
    return any(f".{map_of(slot)}".endswith(f".{end}") for end in ends)
