"""What every item encoder must keep: one vector a content, bits that depend on nothing else, frozen what is frozen.

Each check takes a Trial, what makes a small encoder and what its items are, and raises AssertionError where the promise is
broken; `check_items(trial)` runs them all. The checks set torch's global seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder
from lifelong.testing.windows import same_bits

WIDTH = 8
TOLERANCE = 3e-5
"""Relative, of float32 sums in another order; whitening makes what differs little between items larger."""


@dataclass(frozen=True)
class Trial:
    """`make(width, rows)` gives an encoder that has read nothing. contents: of rows 1 to n; some have the same, some none that
    can be read. folder: an empty one, for caches."""

    make: Callable[[int, int], ItemEncoder]
    contents: Contents
    folder: Path

    @property
    def rows(self) -> int:
        """V: of a table that holds the items."""
        return int(self.contents.rows_n.max()) + 1

    def opened(
        self, contents: Contents | None = None, cache: str = "cache", known_VD: Tensor | None = None
    ) -> ItemEncoder:
        """An encoder that has read its items, with values that have moved from where they started."""
        torch.manual_seed(0)
        encoder = self.make(WIDTH, self.rows)
        encoder.open(self.contents if contents is None else contents, known_VD, self.folder / cache, Silent())
        with torch.no_grad():
            for parameter in encoder.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.02)
        return encoder.eval()

    def restored(
        self, from_: ItemEncoder, contents: Contents, cache: str = "cache", rows: int | None = None
    ) -> ItemEncoder:
        """Another encoder with what was stored of one, that reads these contents."""
        torch.manual_seed(1)
        encoder = self.make(WIDTH, rows or self.rows)
        encoder.restore({name: value.clone() for name, value in from_.stored().items()})
        encoder.open(contents, None, self.folder / cache, Silent())
        return encoder.eval()


def check_table(trial: Trial) -> None:
    """Settled, there is a table of finite float32 vectors with row 0 zero, which lookups read; training forgets it."""
    encoder = trial.opened()
    assert encoder.weight is None, "there is a table before anything was settled"
    table_VD = encoder.settle()
    assert table_VD.shape == (trial.rows, WIDTH), f"the table has shape {tuple(table_VD.shape)}"
    assert table_VD.dtype == torch.float32, f"the table is {table_VD.dtype}"
    assert bool(table_VD.isfinite().all()), "a vector is not finite"
    assert not bool(table_VD[0].any()), "row 0, the padding, has a vector"
    assert len(table_VD[encoder.readable_V].unique(dim=0)) > 1, "all items have one vector"
    rows = torch.tensor([[1, 0], [trial.rows - 1, 1]])
    same_bits(encoder(rows), table_VD[rows], "a lookup is not what the table holds")
    encoder.train()
    assert encoder.weight is None, "the settled table outlives training"


def check_forward(trial: Trial) -> None:
    """Lookups in evaluation mode give what the table holds, to 1e-5, in any order and shape."""
    encoder = trial.opened()
    rows = torch.randperm(trial.rows, generator=torch.Generator().manual_seed(3))
    made = encoder(torch.stack([rows, rows.flip(0)]))
    table_VD = encoder.settle()
    _close(made[0], table_VD[rows], "what is encoded among others differs from what is settled")
    _close(made[1], table_VD[rows.flip(0)], "the order of rows matters")


def check_once(trial: Trial) -> None:
    """Each content of a step is encoded once, to the same loss and gradients as if each lookup encoded its own."""
    encoder = trial.opened()
    rows = torch.randint(0, trial.rows, (40,), generator=torch.Generator().manual_seed(4))
    weight = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(5))
    calls = _counting(encoder)
    with encoder.holding(rows):
        together = (encoder(rows) * weight).sum() + (encoder(rows[:3]) * weight[:3]).sum()
    asked = rows[encoder.readable_V[rows]]
    distinct = len(encoder.same_V[asked].unique())
    assert sum(calls) == distinct, f"{sum(calls)} items were encoded for {distinct} distinct contents"
    once = _gradients(encoder, together)
    alone = sum((encoder(row[None]) * w).sum() for row, w in zip(rows, weight, strict=True))
    alone = alone + sum((encoder(row[None]) * w).sum() for row, w in zip(rows[:3], weight[:3], strict=True))
    size = (encoder(rows) * weight).abs().sum().detach()  # of what is added up, which may cancel
    _close(together / size, alone / size, "the loss depends on encoding equal items once")
    for name, gradient in _gradients(encoder, alone).items():
        _close(once[name], gradient, f"the gradient of {name} depends on encoding equal items once")


def check_neighbours(trial: Trial) -> None:
    """Which other items there are changes no bit of an item's settled vector, nor does the order in which they are told."""
    encoder = trial.opened()
    table_VD = encoder.settle()
    total = len(trial.contents)
    for chosen in (np.arange(total)[::-1], np.arange(0, total, 2), np.arange(3)):
        other = trial.restored(encoder, some(trial.contents, chosen), cache=f"of {len(chosen)}")
        rows = torch.from_numpy(trial.contents.rows_n[chosen].copy())
        same_bits(other.settle()[rows], table_VD[rows], f"beside {len(chosen) - 1} others a vector is another")


def check_same_content(trial: Trial) -> None:
    """Rows that are said to have the same content have it, and the same vector, bit for bit."""
    encoder = trial.opened()
    table_VD = encoder.settle()
    rows = encoder.readable_V.nonzero()[:, 0]
    assert bool(encoder.readable_V[encoder.same_V[rows]].all()), "a row stands for others and cannot be read"
    same_bits(table_VD[rows], table_VD[encoder.same_V[rows]], "two items with one content have two vectors")
    what = {int(row): _content(trial.contents, n) for n, row in enumerate(trial.contents.rows_n)}
    for row, other in zip(rows.tolist(), encoder.same_V[rows].tolist(), strict=True):
        text, picture = ((a is not None and a == b) for a, b in zip(what[row], what[other], strict=True))
        assert text or picture or row == other, f"items {row} and {other} differ and are said to be the same"


def check_gradients(trial: Trial) -> None:
    """In training every trained parameter gets a finite gradient, not all of it 0, and nothing that came frozen gets one."""
    encoder = trial.opened().train()
    made = encoder(torch.arange(trial.rows))
    (made * torch.randn_like(made)).sum().backward()
    for name, parameter in encoder.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, f"{name} is frozen and gets a gradient"
            continue
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"
        idle = name.endswith(("key.bias", "k_lin.bias", "k_proj.bias"))  # the softmax cancels it
        assert idle or bool(parameter.grad.any()), f"the gradient of {name} is 0 everywhere"


def check_frozen(trial: Trial) -> None:
    """Steps of training change no bit of what came frozen with a backbone, statistics of norms included."""
    encoder = trial.opened().train()
    before = {name: value.clone() for name, value in encoder.state_dict().items() if name not in encoder.stored()}
    optimizer = torch.optim.AdamW([p for p in encoder.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(2):
        encoder(torch.arange(trial.rows)).square().sum().backward()
        optimizer.step()
    after = encoder.state_dict()
    for name, value in before.items():
        assert torch.equal(value, after[name]), f"training changes {name}, which is not stored"


def check_stored(trial: Trial) -> None:
    """What is stored makes the same table again, bit for bit, in another process's encoder and in a longer table."""
    encoder = trial.opened()
    table_VD = encoder.settle()
    opened = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert opened <= set(encoder.stored()), f"{opened - set(encoder.stored())} is trained and not stored"
    same_bits(trial.restored(encoder, trial.contents).settle(), table_VD, "what was restored gives another table")
    longer_VD = trial.restored(encoder, trial.contents, rows=trial.rows + 3).settle()
    same_bits(longer_VD[: trial.rows], table_VD, "in a longer table vectors are others")
    frozen = trial.restored(encoder, trial.contents).requires_grad_(False)
    assert set(frozen.stored()) == set(encoder.stored()), "what was restored is not stored again"


def check_missing(trial: Trial) -> None:
    """An item that cannot be read is counted, keeps the vector that the parent has for it, and else one for all of them."""
    known_VD = torch.randn(trial.rows - 1, WIDTH, generator=torch.Generator().manual_seed(6))
    known_VD[0] = 0.0
    encoder = trial.opened(known_VD=known_VD)
    hidden = (~encoder.readable_V).nonzero()[:, 0]
    told = hidden[hidden < len(known_VD)]
    same_bits(encoder.settle()[told], known_VD[told], "an item that cannot be read lost the parent's vector")
    nothing = Contents(trial.contents.rows_n, [None] * len(trial.contents), [None] * len(trial.contents))
    encoder = trial.opened(nothing)
    if not bool(encoder.readable_V.any()):
        table_VD = encoder.settle()
        same_bits(table_VD[1:], table_VD[1:2].expand(trial.rows - 1, -1), "items without content differ")
        assert sum(encoder.left_out.values()) >= len(nothing), (
            f"{encoder.left_out} of {len(nothing)} items without content"
        )


def check_nothing(trial: Trial) -> None:
    """No items at all, and no rows at all, are no error."""
    encoder = trial.opened(Contents(np.zeros(0, np.int64)))
    assert not bool(encoder.readable_V.any()), "an item that nobody told of can be read"
    assert encoder.settle().shape == (trial.rows, WIDTH)
    encoder = trial.opened()
    assert encoder.encode(torch.zeros(0, dtype=torch.int64)).shape == (0, WIDTH), "no rows give no vectors"
    assert encoder(torch.zeros(0, 4, dtype=torch.int64)).shape == (0, 4, WIDTH)


def check_cache(trial: Trial) -> None:
    """Found on disk or computed anew, and with every file on disk damaged, the table has the same bits."""
    encoder = trial.opened(cache="first")
    table_VD = encoder.settle()
    same_bits(trial.restored(encoder, trial.contents, "first").settle(), table_VD, "found on disk, a vector is another")
    same_bits(
        trial.restored(encoder, trial.contents, "second").settle(), table_VD, "computed anew, a vector is another"
    )
    for file in (trial.folder / "first").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[-1] ^= 0x41
            file.write_bytes(data)
    same_bits(trial.restored(encoder, trial.contents, "first").settle(), table_VD, "a damaged cache was believed")


def check_threads(trial: Trial) -> None:
    """One thread, two and three settle the same bits (on the CPU), frozen parts computed anew."""
    encoder, threads, tables = trial.opened(), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            tables.append(trial.restored(encoder, trial.contents, f"{count} threads").settle())
    finally:
        torch.set_num_threads(threads)
    for other in tables[1:]:
        same_bits(tables[0], other, "the number of threads changes a vector")


def check_repeatable(trial: Trial) -> None:
    """Two calls in evaluation mode agree, and two in training under the same global seed."""
    encoder, rows = trial.opened(), torch.arange(trial.rows)
    same_bits(encoder(rows), encoder(rows), "two calls in evaluation mode differ")
    encoder.train()
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        made.append(encoder(rows))
    same_bits(made[0], made[1], "training draws from another generator than torch's global one")


ITEM_CHECKS: tuple[Callable[[Trial], None], ...] = (
    check_table,
    check_forward,
    check_once,
    check_neighbours,
    check_same_content,
    check_gradients,
    check_frozen,
    check_stored,
    check_missing,
    check_nothing,
    check_cache,
    check_threads,
    check_repeatable,
)


def check_items(trial: Trial) -> None:
    """All of ITEM_CHECKS. Raises AssertionError at the first that fails."""
    for check in ITEM_CHECKS:
        check(trial)


def some(contents: Contents, which_n: np.ndarray) -> Contents:
    """Some of the items, in this order."""
    texts, pictures = ([values[i] for i in which_n] if values else [] for values in (contents.texts, contents.pictures))
    return Contents(contents.rows_n[which_n], texts, pictures, contents.of)


def _content(contents: Contents, n: int) -> tuple[str | None, bytes | None]:
    """An item's text, without spaces around it, and the bytes of its picture."""
    text = contents.texts[n] if contents.texts else None
    path = Path((contents.pictures[n] if contents.pictures else None) or "")
    return (text or "").strip() or None, path.read_bytes() if path.is_file() else None


def _counting(encoder: ItemEncoder) -> list[int]:
    """How many rows each call of `encode` gets from here on."""
    calls: list[int] = []
    encode = encoder.encode

    def counted(rows_U: Tensor) -> Tensor:
        calls.append(len(rows_U))
        return encode(rows_U)

    encoder.encode = counted  # type: ignore[method-assign]
    return calls


def _gradients(encoder: ItemEncoder, loss: Tensor) -> dict[str, Tensor]:
    encoder.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}


def _close(made: Tensor, wanted: Tensor, problem: str) -> None:
    made, wanted = made.detach(), wanted.detach()
    gap = float((made - wanted).abs().max()) if made.numel() else 0.0
    size = float(wanted.abs().max()) if wanted.numel() else 0.0
    assert gap <= TOLERANCE * max(1.0, size), f"{problem}: by {gap:.2g} where the largest is {size:.2g}"
