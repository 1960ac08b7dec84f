"""A task: one YAML file that says what is predicted, from what, and how the model is to take it in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifelong.core import registry
from lifelong.core.config import build, need, override, plain, read_yaml
from lifelong.core.errors import ConfigError
from lifelong.core.types import OF_USERS, OUTCOMES
from lifelong.data.derived import Derived, read_derived
from lifelong.data.splits import Split
from lifelong.metrics.parse import parse
from lifelong.store.names import check_name

Where = dict[str, Any]
"""Field of an item -> the value, or list of values, it must have. `channel` is a field of the event."""


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """Which events are read and what is to be predicted."""

    dataset: Any
    """A data set's name, or {name: …, option: …}."""
    inputs: Where | None = None
    """Items that are read. Left out: those that the parent knows; for a first task, all."""
    targets: Where | None = None
    """Items that are predicted (head next_item). Left out: the items that are read."""
    text: list[str] | None = None
    """Fields of the items that make up their text, for a model that reads items by their content. Left out: all fields."""
    picture: str | None = None
    """Field of the items that holds the path of their picture. Left out: `image`, where there is one."""
    label: str | dict[str, Any] | list[str | dict[str, Any]] | None = None
    """Column of the users that is predicted (heads classification, ordinal, regression; multi_label: a column of several
    labels, or a list of columns that say yes or no), or a question about the days after a cut in time:
    {churn: {cut: 2017-11-01, days: 14}}, {buys: …} or {propensity: …}; see data/derived.py."""
    split: Split = field(default_factory=Split)
    """A split's name, or {name: …, option: …}."""
    people: bool = True
    """Keep salted filters of whom the task was trained on, for `who-saw` and `erase`; false keeps nothing of anybody, and an
    erasure then learns the task anew whenever its data have changed (privacy/seen.py)."""

    @property
    def labels(self) -> dict[str, Derived | None]:
        """Each label's name -> its question about the days after a cut; None where it is a column. Raises ConfigError."""
        given = self.label if isinstance(self.label, list) else [self.label] if self.label else []
        found: dict[str, Derived | None] = {}
        for label in given:
            derived = read_derived(label, "data.label") if isinstance(label, Mapping) else None
            name = label if isinstance(label, str) else _name_of(label)
            if name in found:
                raise ConfigError(f"data.label: {name!r} stands twice")
            found[name] = derived
        return found

    @property
    def derived(self) -> Derived | None:
        """The label as a question about the days after a cut; None where it is a column, several, or none."""
        return next(iter(self.labels.values()), None) if len(self.labels) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How long and how fast to train."""

    epochs: int = 20
    """The most epochs of a phase; the best by validation is kept."""
    batch_size: int = 64
    """Windows a step."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.01
    """Decay of weights; norms and biases have none."""
    average: float = 0.0
    """Decay of a running mean of the weights that is validated and kept in their place; 0 keeps the weights themselves."""
    patience: int = 4
    """Stop after so many epochs without a better validation."""
    windows_per_user: int = 2
    """Random windows of each user in an epoch, for labels of users."""

    def __post_init__(self) -> None:
        for option in ("epochs", "batch_size", "patience", "windows_per_user"):
            need(self, option, getattr(self, option) >= 1, "be at least 1")
        need(self, "average", 0 <= self.average < 1, "lie in [0, 1)")
        need(self, "lr", self.lr > 0, "be above 0")
        need(self, "weight_decay", self.weight_decay >= 0, "be 0 or more")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What `lifelong add-task` is given."""

    name: str
    """How the model calls the task: lower case letters, digits, - and _."""
    data: TaskData
    """Where the answers come from."""
    head: Any
    """A head's name, or {name: …, option: …}."""
    parent: str | None = None
    """The task whose weights it reads: a name, `latest` for the newest that can be shared, or nothing for
    the model's first."""
    strategy: Any = "conure"
    """A strategy's name, or {name: …, option: …}."""
    objective: Any = None
    """An objective's name, or {name: …, option: …}; nothing for the head's own."""
    encoder: Any = None
    """Only in a model's first task: an encoder's name, or {name: …, option: …}."""
    length: int | None = None
    """Only in a model's first task: how many of a user's latest events are read; 100 where it does not say."""
    past: int = 0
    """Only in a model's first task: how many of a user's latest events are read beyond the window, by `longterm` and by heads
    that look back."""
    actions: list[str] = field(default_factory=list)
    """Only in a model's first task: the kinds of event (`channel`) that the model tells apart, such as [view, cart, buy]."""
    gaps: bool = False
    """Only in a model's first task: whether the time since the event before is read."""
    longterm: dict[str, Any] | None = None
    """Only in a model's first task: options of a long-term path beside the encoder, such as {width: 64}; nothing for none."""
    items: Any = None
    """Only in a model's first task: what encodes items by their content, a name such as `text` or {name: …, option: …}; nothing
    for a table that learns a vector for each."""
    fit: Fit = field(default_factory=Fit)
    """How to train."""
    metrics: list[str] | None = None
    """What to report, such as ndcg@10; nothing for the head's own. The first one goes into the forgetting matrix."""

    def check(self) -> "Task":
        """Itself, if names and options fit together. Raises ConfigError; a task that comes out of a sealed model is not
        checked again, because that would look its strategy up."""
        check_name(self.name)
        if self.length is not None and not 2 <= self.length <= 10_000:
            raise ConfigError(f"task {self.name!r}: length is {self.length}, it must lie between 2 and 10000")
        if not 0 <= self.past <= 10_000:
            raise ConfigError(f"task {self.name!r}: past is {self.past}, it must lie between 0 and 10000")
        if len(set(self.actions)) != len(self.actions) or len(self.actions) > 100:
            raise ConfigError(f"task {self.name!r}: actions must be at most 100 different names, not {self.actions}")
        named, head, _ = registry.make_config("heads", self.head, "head")
        self._check_label(named, head.answers)
        registry.make_config("strategies", self.strategy, "strategy")
        _, objective, options = registry.make_config("objectives", self.objective or head.objective, "objective")
        if objective(options).asks_head != (head.answers != "vectors"):
            raise ConfigError(
                f"task {self.name!r}: head {named} does not go with its objective: clue and clue_infonce train no head, they "
                "go with user_vector, which no other trains; to train both, use objective: {name: sum, of: [...]}"
            )
        if objective(options).points == "users" and head.answers not in OF_USERS:
            raise ConfigError(
                f"task {self.name!r}: objective supervised learns a label of users, and head {named} answers {head.answers}; "
                f"leave the objective out ({head.objective} is that head's own), or take a head of labels"
            )
        for spec in self.metrics or head.metrics:
            if not issubclass(OUTCOMES[head.answers], parse(spec).outcome):
                raise ConfigError(
                    f"task {self.name!r}: metric {spec!r} does not measure {head.answers}; head {named} goes with "
                    f"{', '.join(head.metrics)}"
                )
        return self

    def _check_label(self, head: str, answers: str) -> None:
        if answers in OF_USERS and not self.data.label:
            raise ConfigError(
                f"task {self.name!r}: a head that answers {answers} needs data.label: the column of the users to predict"
            )
        if self.data.label and answers not in OF_USERS:
            raise ConfigError(
                f"task {self.name!r}: data.label goes with a head such as classification; {head} predicts no label of users"
            )
        if self.data.label and self.data.targets is not None:
            raise ConfigError(
                f"task {self.name!r}: data.targets says which events are to be predicted, and data.label predicts users; leave "
                "one of them out"
            )
        for label in self.data.label if isinstance(self.data.label, list) else [self.data.label]:
            if isinstance(label, Mapping):
                read_derived(label, f"task {self.name!r}: data.label")
        if len(self.data.labels) > 1 and answers != "labels":
            raise ConfigError(
                f"task {self.name!r}: head {head} predicts one label, data.label names {len(self.data.labels)}; take "
                "head: multi_label, or a task for each"
            )

    @property
    def only_first(self) -> list[str]:
        """The options set here that a model's first task alone may set."""
        unset = Task(name=self.name, data=self.data, head=self.head)
        return [
            o
            for o in ("encoder", "length", "past", "actions", "gaps", "longterm", "items")
            if getattr(self, o) != getattr(unset, o)
        ]

    @property
    def answers(self) -> str:
        """What the task's head answers: "items", "classes", "labels", a "number", or nothing but "vectors"."""
        return str(registry.make_config("heads", self.head, "head", outside=False)[1].answers)

    @property
    def measured_by(self) -> list[str]:
        """The metrics' names, the head's own where the task names none."""
        return list(self.metrics or registry.make_config("heads", self.head, "head", outside=False)[1].metrics)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str) -> "Task":
        """A task from plain values. Raises ConfigError naming `where`, the option and the way out."""
        values = dict(values)
        if isinstance(values.get("data"), Mapping) and isinstance(values["data"].get("split"), str):
            values["data"] = {**values["data"], "split": {"name": values["data"]["split"]}}
        return build(cls, values, where)

    @classmethod
    def read(cls, path: str | Path, settings: Iterable[str] = ()) -> "Task":
        """A task from its YAML file, with `key.key=value` settings on top."""
        return cls.from_values(override(read_yaml(path), settings), str(path)).check()

    def to_values(self) -> dict[str, Any]:
        """Plain values from which from_values makes an equal task."""
        return dict(plain(self))


def _name_of(label: Mapping[str, Any]) -> str:
    """What a derived label is called: its kind, and the values that it is about."""
    ((kind, options),) = label.items()
    return " ".join([kind, *map(str, options.get("values", []))])


def as_task(task: "Task | str | Path | Mapping[str, Any]") -> Task:
    """A task from itself, from the path of its YAML file, or from plain values."""
    if isinstance(task, Task):
        return task.check()
    if isinstance(task, Mapping):
        return Task.from_values(task, f"task {task.get('name', '?')}").check()
    if not str(task).endswith((".yaml", ".yml")):
        raise ConfigError(f"{str(task)!r}: a task is a .yaml file, for instance tasks/complete_journey/kids.yaml")
    return Task.read(task)
