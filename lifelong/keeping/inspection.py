"""Who owns how much of the encoder, as plain values."""

from typing import Any

from lifelong.continual.bank import FREE
from lifelong.continual.site import visible_share
from lifelong.keeping.checkpoint import Loaded


def inspect(loaded: Loaded, version: int, entries: dict[str, Any], model: str) -> dict[str, Any]:
    """The tasks with parent, strategy, shares of the prunable weights, bytes; and what is free. `entries`: of the version."""
    shares = loaded.bank.shares()
    tasks = [
        {
            "name": name,
            "parent": member.parent,
            "strategy": _name_of(member.task.strategy),
            "head": _name_of(member.task.head),
            "answers": len(member.catalogue),
            "owned": shares.get(member.view.owner, 0.0),
            "visible": visible_share(loaded.bank, member.view),
            "bytes": sum(file["bytes"] for file in entries[name]["files"].values()),
            "seconds": member.record["seconds"],
            "trained": member.record["trained"],
            "identity": entries[name]["identity"],
        }
        for name, member in loaded.members.items()
    ]
    return {
        "model": model,
        "version": version,
        "encoder": loaded.design.encoder,
        "length": loaded.design.length,
        "parameters": sum(value.numel() for value in loaded.bank.values.values()),
        "free": shares[FREE],
        "tasks": tasks,
    }


def _name_of(spec: Any) -> str:
    return spec if isinstance(spec, str) else str(spec["name"])
