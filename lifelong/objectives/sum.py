"""Several objectives at once, each with its weight; the encoder's pass over a window is shared where two want the same one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch, History, ItemVectors
from lifelong.objectives.base import Net, Objective


class Sum(Objective):
    """sum of weight x loss over the parts. All parts see the same batch, so they must agree on what it supervises and on
    whether the encoder may see the future; a part that cares about neither goes with any."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Objective.Config):
        """Options of the objective."""

        of: list[Any] = field(
            default_factory=lambda: [{"name": "autoregressive"}, {"name": "clue_infonce", "weight": 0.3}]
        )
        """The parts: {name: …, weight: … (1 where left out), option: …} each, or a name alone. 0.3 is not tuned."""

        def __post_init__(self) -> None:
            if not self.of:
                raise ValueError("of is empty; name the objectives to add up")
            for part in self.of:
                weight = part.get("weight", 1.0) if isinstance(part, Mapping) else 1.0
                if type(weight) not in (int, float) or not weight > 0:
                    raise ValueError(f"weight is {weight!r} in {part}; it must be a number above 0")

    def __init__(self, config: Any) -> None:
        """Raises ConfigError where the parts do not fit together."""
        super().__init__(config)
        specs = [{"name": part} if isinstance(part, str) else dict(part) for part in config.of]
        self.weights = [float(spec.pop("weight", 1.0)) for spec in specs]
        made = [_make(spec) for spec in specs]
        self.parts = nn.ModuleList(made)
        self.points = _agreed("points", {part: part.points for part in made})
        self.causal = _agreed("causal", {part: part.causal for part in made})
        self.asks_head = any(part.asks_head for part in made)
        self.asks_candidates = any(part.asks_candidates for part in made)
        self.compares = any(part.compares for part in made)

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """The weighted sum of the parts' losses."""
        once = Once(net)
        losses = [w * part.loss(once, batch) for w, part in zip(self.weights, self._objectives(), strict=True)]
        return sum(losses[1:], losses[0])

    def equip(self, width: int) -> None:
        """What the parts train for themselves."""
        for part in self._objectives():
            part.equip(width)

    def need(self, encoder: nn.Module) -> None:
        """As each part."""
        for part in self._objectives():
            part.need(encoder)

    def end_epoch(self) -> dict[str, float]:
        """What the parts have to tell."""
        return {name: value for part in self._objectives() for name, value in part.end_epoch().items()}

    def _objectives(self) -> list[Objective]:
        return [part for part in self.parts if isinstance(part, Objective)]


class Once:
    """A network that reads the same history once, however many objectives ask: their gradients go back through one pass.

    The same is the very same object: an objective that wants another draw of dropout asks with a history of its own.
    """

    def __init__(self, net: Net) -> None:
        self.net, self.causal = net, net.causal
        self._read: tuple[History, Tensor] | None = None

    @property
    def items(self) -> ItemVectors:
        """As Net.items."""
        return self.net.items

    @property
    def head(self) -> Any:
        """As Net.head."""
        return self.net.head

    def __getattr__(self, name: str) -> Any:
        """What an objective asks of this network beyond what every one has."""
        return getattr(self.net, name)

    def states(self, history: History, hidden_BL: Tensor | None = None) -> Tensor:
        """As Net.states; computed anew where events are hidden."""
        if hidden_BL is not None:
            return self.net.states(history, hidden_BL)
        if self._read is None or self._read[0] is not history:
            self._read = history, self.net.states(history)
        return self._read[1]

    def users_at(self, states_BLD: Tensor, batch: Batch) -> Tensor:
        """As Net.users_at."""
        return self.net.users_at(states_BLD, batch)

    def vectors(self, states_BLD: Tensor, history: History) -> Tensor:
        """As Net.vectors."""
        return self.net.vectors(states_BLD, history)

    def answer_loss(self, users_ND: Tensor, batch: Batch) -> Tensor:
        """As Net.answer_loss."""
        return self.net.answer_loss(users_ND, batch)


def _make(spec: dict[str, Any]) -> Objective:
    _, cls, config = registry.make_config("objectives", spec, "objective sum: of")
    made: Objective = cls(config)
    return made


def _agreed(what: str, wanted: dict[Objective, Any]) -> Any:
    """The one value that is wanted, or None where nobody cares. Raises ConfigError where two are."""
    cared = {part: value for part, value in wanted.items() if value is not None}
    if len(set(cared.values())) > 1:
        told = ", ".join(f"{type(part).__name__.lower()} wants {what}: {value}" for part, value in cared.items())
        raise ConfigError(f"objective sum: its parts do not fit together: {told}")
    return next(iter(cared.values()), None)
