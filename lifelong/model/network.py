"""The whole of one task as a network: item vectors, encoder, user vector, head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.slot import Slot
from lifelong.core.types import Batch, History, Negatives, Seen
from lifelong.data.sequences import GAPS
from lifelong.encoders.base import Encoder
from lifelong.encoders.layers.joining import Joining
from lifelong.encoders.layers.longterm import LongTerm
from lifelong.heads.base import Head
from lifelong.items.base import ItemEncoder
from lifelong.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class Design:
    """What all tasks of a model share: the encoder, the window, and the one shape in which it answers."""

    encoder: str
    options: dict[str, Any]
    """The encoder's Config, complete."""
    length: int = 100
    """L: how many of a user's latest events the window holds."""
    chunk: int = 16
    """C: every answer is computed for C users at once, padded where there are fewer: batch size changes the last bits."""
    past: int = 0
    """S: how many of the latest events are read by what looks beyond the window."""
    actions: list[str] = field(default_factory=list)
    """Kinds of event that the model tells apart; kind n is row n + 1 of its table."""
    gaps: bool = False
    """Whether the time since the event before is read."""
    longterm: dict[str, Any] | None = None
    """Options of the long-term path beside the encoder, complete; None: there is none."""
    items: dict[str, Any] | None = None
    """Name and options of what encodes items by their content, complete; None: a table learns their vectors."""

    @property
    def reads_times(self) -> bool:
        """Whether it matters when an event was: for its gap, or for heads that look back into the past."""
        return self.gaps or self.past > 0


class TaskNet(nn.Module):
    """Events -> event vectors -> states -> user vectors -> scores.

    An event's vector is its item's, plus that of its kind and of the time since the event before where the model reads them.
    All but `head` is the trunk, whose tensors a view renders; `head` and what sits in the slots are the task's own.
    """

    items: nn.Embedding | ItemEncoder

    def __init__(
        self, design: Design, rows: int, head: Head | None, *, table: str = "cpu", items: ItemEncoder | None = None
    ) -> None:
        """`table="meta"` makes tables of items without values, to be put in place later: a large one costs nothing then.

        items: what encodes items by their content, for a task that trains it; a sealed one reads the table of what it made.
        """
        super().__init__()
        self.encoder = _make_encoder(design)
        self.causal = self.encoder.causal
        self.items = items or _make_table(rows, self.width, self.encoder.item_std, table)
        self.actions = _no_effect_yet(len(design.actions) + 1, self.width) if design.actions else None
        self.gaps = _no_effect_yet(GAPS, self.width) if design.gaps else None
        self.longterm = _make_longterm(design, rows, table)
        path = self.longterm
        self.joining = None if path is None else Joining(self.width, path.width, path.state)
        self.head = head

    @property
    def width(self) -> int:
        """D, the width of item vectors, states and user vectors."""
        return self.encoder.width

    @property
    def user_width(self) -> int:
        """Width of `represent`'s vector: the state's and the long-term path's."""
        return self.width + (self.longterm.width if self.longterm else 0)

    @property
    def reads_past(self) -> bool:
        """Whether the head is given the long-term path, too."""
        return self.head is not None and self.head.width == self.user_width

    @property
    def read_width(self) -> int:
        """Width of what the head scores."""
        return self.width if self.head is None else self.head.read_width

    @property
    def content(self) -> ItemEncoder | None:
        """What encodes items by their content, where this network trains it."""
        return self.items if isinstance(self.items, ItemEncoder) else None

    @property
    def answers(self) -> str:
        """What a score is about, as Head.answers says."""
        assert self.head is not None
        return self.head.answers

    def states(self, history: History, hidden_BL: Tensor | None = None) -> Tensor:
        """One state per position, (B, L, D) float32; padded positions are 0.

        hidden_BL, bool, for an encoder that sees both sides alone: True at p where event p + 1 is hidden from it.
        """
        hidden = () if hidden_BL is None else (hidden_BL,)
        return self.encoder(self.events(history), history.valid_BL, *hidden)

    def events(self, history: History) -> Tensor:
        """Event vectors (B, L, D) of the window."""
        vectors_BLD = self.items(history.window_BL)
        if self.actions is not None and history.actions_BL is not None:
            vectors_BLD = vectors_BLD + self.actions(history.actions_BL)
        if self.gaps is not None and history.gaps_BL is not None:
            vectors_BLD = vectors_BLD + self.gaps(history.gaps_BL)
        return vectors_BLD

    def represent(self, history: History) -> Tensor:
        """User vectors (B, user_width): the state at the last event, joined with what the long-term path makes of the past."""
        return self.vectors(self.states(history), history)

    def vectors(self, states_BLD: Tensor, history: History) -> Tensor:
        """`represent` out of the history's states."""
        return self._joined(states_BLD[:, -1], history)

    def users(self, history: History) -> Tensor:
        """What the head scores of each user, (B, read_width)."""
        states_BD = self.states(history)[:, -1]
        return self._read(self._joined(states_BD, history) if self.reads_past else states_BD)

    def users_at(self, states_BLD: Tensor, batch: Batch) -> Tensor:
        """What the head scores at the batch's points, (N, read_width)."""
        return self._read(self.given_at(states_BLD, batch))

    def given_at(self, states_BLD: Tensor, batch: Batch) -> Tensor:
        """What the head is given at the batch's points, (N, W): all that `represent` gives, or the state alone."""
        states_ND = states_BLD[batch.rows_N, batch.positions_N]
        if self.longterm is None or self.joining is None or not self.reads_past:
            return states_ND
        if self.answers == "items":
            return self.joining(states_ND, self.longterm.before(batch.seen))
        ends_BW = self.longterm(_past(batch.history))  # labels are asked at the end of a window
        return self.joining(states_ND, ends_BW[batch.rows_N])

    def seen(self, history: History) -> Seen | None:
        """What lies before the end of each history, where the head asks for it."""
        if self.head is None or not self.head.needs_seen:
            return None
        rows_BS = _past(history)
        users_B = torch.arange(len(rows_BS), device=rows_BS.device)
        return Seen(rows_BS, history.times_BS, users_B, torch.full_like(users_B, rows_BS.shape[1]))

    def scores(self, users_BD: Tensor, seen: Seen | None = None) -> Tensor:
        """The head's scores (B, C) of user vectors; seen as for Head.scores."""
        assert self.head is not None
        return self.head.scores(users_BD, self.items, seen)

    def answer_loss(self, users_ND: Tensor, batch: Batch) -> Tensor:
        """The head's mean loss at the batch's N points, a scalar; float32, whatever the states were computed in."""
        assert self.head is not None
        seen = batch.seen if self.head.needs_seen else None
        with torch.autocast(users_ND.device.type, enabled=False):
            return self.head.loss(users_ND.float(), batch.targets_N, self.items, batch.negatives, seen)

    def _read(self, given_NU: Tensor) -> Tensor:
        return given_NU if self.head is None else self.head.read(given_NU)

    def _joined(self, states_BD: Tensor, history: History) -> Tensor:
        if self.longterm is None or self.joining is None:
            return states_BD
        return self.joining(states_BD, self.longterm(_past(history)))

    def forward(self, objective: Objective, batch: Batch) -> Tensor:
        """The objective's loss; the one call that training makes, through torch.func.functional_call."""
        if self.content is None or not isinstance(batch, Batch):
            return objective.loss(self, batch)
        with self.content.holding(self.rows_of(batch, objective)):
            return objective.loss(self, batch)

    def rows_of(self, batch: Batch, objective: Objective) -> Tensor:
        """The rows of items that a training step looks up, (M,) int64."""
        rows_M, negatives = batch.history.window_BL.flatten(), batch.negatives
        if not objective.asks_candidates:
            negatives = Negatives(rows_M[:0], rows_M[:0].float())
        asked = None if self.head is None else self.head.looks_up(batch.targets_N, negatives)
        return rows_M if asked is None else torch.cat([rows_M, asked])

    def trunk_names(self) -> list[str]:
        """Names of the trunk's parameters, without what sits in slots and without what encodes items."""
        apart = ("head.", "items.") if self.content is not None else ("head.",)
        return [n for n, _ in self.named_parameters() if not n.startswith(apart) and ".part." not in n]

    def own_tensors(self) -> dict[str, Tensor]:
        """What belongs to the task beside its view of the trunk: head and parts, by name; not what encodes items."""
        trunk = set(self.trunk_names())
        encoding = "items." if self.content is not None else " "
        own = {name: value for name, value in self.state_dict().items() if name not in trunk}
        return {name: value for name, value in own.items() if not name.startswith(encoding)}

    def slots(self) -> dict[str, Slot]:
        """Slot name -> slot."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Slot)}

    def sit(self, parts: Mapping[str, nn.Module]) -> None:
        """Put parts into slots."""
        slots = self.slots()
        for name, part in parts.items():
            slots[name].part = part

    @torch.no_grad()
    def put(self, weights: Mapping[str, Tensor]) -> None:
        """Let the trunk's parameters of these names be these very tensors, without gradients; the task's own stay."""
        for name, value in weights.items():
            owner, _, leaf = name.rpartition(".")
            module = self.get_submodule(owner)
            if getattr(module, leaf).is_meta:
                setattr(module, leaf, nn.Parameter(value.detach(), requires_grad=False))
            getattr(module, leaf).requires_grad_(False).data = value.detach()

    def to_device(self, device: torch.device) -> None:
        """Move what has values; a table without any is left for `put`."""
        for module in self.modules():
            if not any(p.is_meta for p in module.parameters()):
                module.to(device)

    def mount(self, trunk: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
        """Take these very tensors as weights (aliased, read-only) and go into evaluation mode."""
        self.load_state_dict({**trunk, **own}, assign=True, strict=True)
        self.requires_grad_(False).eval()


def initial_values(design: Design, rows: int, seed: int) -> dict[str, Tensor]:
    """Fresh random values of the trunk, by name; the same for the same seed, and the first rows the same for any `rows`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = TaskNet(design, rows, None)
    return {name: value.detach() for name, value in net.named_parameters()}


def _past(history: History) -> Tensor:
    """Rows (B, S) of the longer past where there is one, else of the window."""
    return history.window_BL if history.past_BS is None else history.past_BS


def _make_encoder(design: Design) -> Encoder:
    cls = registry.find("encoders", design.encoder, outside=False)
    return cls(build(cls.Config, design.options, f"encoder {design.encoder}"), design.length)


def _make_table(rows: int, width: int, std: float, device: str) -> nn.Embedding:
    table = nn.Embedding(rows, width, padding_idx=0, device=device)
    nn.init.normal_(table.weight, std=std)
    with torch.no_grad():
        table.weight[0] = 0.0
    return table


def _no_effect_yet(rows: int, width: int) -> nn.Embedding:
    """A table of zeros: a model that reads more starts as the one that does not."""
    table = nn.Embedding(rows, width, padding_idx=0)
    nn.init.zeros_(table.weight)
    return table


def _make_longterm(design: Design, rows: int, table: str) -> LongTerm | None:
    if design.longterm is None:
        return None
    return LongTerm(build(LongTerm.Config, design.longterm, "longterm"), rows, table)
