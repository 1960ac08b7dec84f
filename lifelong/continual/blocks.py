"""Which block of an encoder a slot or a norm belongs to, read off its name."""

from collections.abc import Iterable


def block_of(slot: str) -> str:
    """The block that a sublayer's slot stands in: its path up to the last number, or else the module that holds it.

    >>> block_of("encoder.blocks.0.slot2"), block_of("items.text.layers.3.attention.slot"), block_of("encoder.slot")
    ('encoder.blocks.0', 'items.text.layers.3', 'encoder')
    """
    steps = slot.split(".")[:-1]
    numbered = [place for place, step in enumerate(steps) if step.isdigit()]
    return ".".join(steps[: numbered[-1] + 1] if numbered else steps)


def blocks_of(slots: Iterable[str]) -> list[str]:
    """The blocks of sublayers' slots, in the order of their definition."""
    return list(dict.fromkeys(block_of(slot) for slot in slots))


def top(blocks: Iterable[str], number: int | None) -> list[str]:
    """So many of the last blocks of each stack of them; all, where there is no number.

    >>> top(["encoder.blocks.0", "encoder.blocks.1", "items.image.stages.0.0", "items.image.stages.1.0"], 1)
    ['encoder.blocks.1', 'items.image.stages.1.0']
    """
    stacks: dict[str, list[str]] = {}
    for block in blocks:
        stacks.setdefault(block.rstrip(".0123456789"), []).append(block)
    return [block for stack in stacks.values() for block in stack[-number if number else 0 :]]


def within(modules: Iterable[str], blocks: Iterable[str]) -> list[str]:
    """Those modules that one of the blocks holds."""
    prefixes = tuple(f"{block}." for block in blocks)
    return [module for module in modules if module.startswith(prefixes)]


def last_of_each_block(modules: Iterable[str]) -> list[str]:
    """Of modules in the order of their definition, the last one in each block.

    >>> last_of_each_block(["blocks.0.slot1", "blocks.0.slot2", "blocks.1.slot1", "blocks.1.slot2"])
    ['blocks.0.slot2', 'blocks.1.slot2']
    """
    return list({block_of(module): module for module in modules}.values())


def of_items(name: str) -> bool:
    """Whether a slot or a parameter of this name is an item encoder's; all others are the user encoder's.

    >>> of_items("items.text.blocks.0.slot"), of_items("encoder.blocks.0.slot1")
    (True, False)
    """
    return name.startswith("items.")
