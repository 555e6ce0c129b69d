"""Which card can stand in for which, with how much memory, and what has to be said about it."""

from __future__ import annotations

import dataclasses

from vbench.emulation.apply import Stand
from vbench.emulation.scale import emulated_share
from vbench.errors import MachineError
from vbench.planner.budget import Budget
from vbench.spec.types import Emulation
from vbench.units import format_bytes

_NOT_EMULATED = (
    "not emulated: speed (never compare its throughput with the card's), kernels that ask for more shared memory than "
    "the card has, and the link between its GPUs"
)


def emulated_gpu(emulation: Emulation, card: Budget, local: Budget) -> tuple[Stand, tuple[str, ...]]:
    """`card` on the GPUs of `local`. Raises MachineError where these have less memory, or can do less."""
    if local.visible_bytes < card.visible_bytes:
        raise MachineError(
            f"emulate: {card.name} has {format_bytes(card.visible_bytes)} and {local.name} "
            f"{format_bytes(local.visible_bytes)} (as CUDA shows them): only a smaller card can be emulated"
        )
    ours, theirs = local.compute_capability, card.compute_capability
    if ours is not None and theirs is not None and ours < theirs:
        raise MachineError(
            f"emulate: {card.name} has compute capability {theirs[0]}.{theirs[1]} and {local.name} "
            f"{ours[0]}.{ours[1]}: what it can do can't be tried here"
        )
    share = emulated_share(card.visible_bytes, local.visible_bytes, emulation.memory_fraction, card.name)
    notes = [_what(card, share.bytes, local.name), *share.notes, _NOT_EMULATED]
    if card.num_gpus > local.num_gpus:
        notes.append(
            f"{card.name} has {card.num_gpus} GPUs and {local.num_gpus} are here: plans are for {local.num_gpus}"
        )
    count = min(card.num_gpus, local.num_gpus)
    held = dataclasses.replace(card, visible_bytes=share.bytes, num_gpus=count)
    return Stand(card=held, local_bytes=local.visible_bytes, emulation=emulation), tuple(notes)


def emulated_on_cpu(emulation: Emulation, card: Budget, local: Budget) -> tuple[Stand, tuple[str, ...]]:
    """`card` on the engine's CPU build: the whole process has to fit into the card's memory, or this machine's."""
    share = emulated_share(card.visible_bytes, local.visible_bytes, emulation.memory_fraction, card.name)
    notes = [_what(card, share.bytes, "the CPU"), *share.notes, _NOT_EMULATED]
    if local.visible_bytes < card.visible_bytes:
        notes.append(f"{card.name} has more memory than this machine ({format_bytes(local.visible_bytes)})")
    if card.num_gpus > 1:
        notes.append(f"one of the {card.num_gpus} GPUs of {card.name}: on a CPU all ranks share one memory")
    held = dataclasses.replace(card, visible_bytes=share.bytes, num_gpus=1)
    stand = Stand(card=held, local_bytes=local.visible_bytes, emulation=emulation, is_on_cpu=True)
    return stand, tuple(notes)


def _what(card: Budget, num_bytes: int, where: str) -> str:
    return f"{card.name} emulated on {where}: {format_bytes(num_bytes)} of memory, and what the card can do"
