"""Random token ids from a seed: the same on every machine and every Python.

Only `random.Random(int).random()` is promised to give the same numbers everywhere, and only sums and products of them
to round alike; so nothing else is used, normal lengths included.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

from vbench.spec.prompt_types import Lengths, Normal, SyntheticPrompts, Uniform, VariedPrompts

# Models keep padding, end-of-text and byte tokens first.
_FIRST_ID = 100
_INPUT_STREAM, _OUTPUT_STREAM = 1, 2


def make_synthetic(recipe: SyntheticPrompts | VariedPrompts, vocabulary: int) -> list[dict[str, Any]]:
    """The items, of ids below `vocabulary`."""
    first = _FIRST_ID if vocabulary > 2 * _FIRST_ID else 0
    # Ids are taken from one list, so that millions of them share their int objects.
    ids = list(range(first, vocabulary))
    draw = random.Random(recipe.seed).random
    lengths, shared = _lengths_of(recipe)
    num_prefixes = recipe.num_prefixes if isinstance(recipe, VariedPrompts) else 1
    prefixes = [[ids[int(draw() * len(ids))] for _ in range(max(shared))] for _ in range(num_prefixes)]
    return [
        {
            "prompt_token_ids": prefixes[index % num_prefixes][:begin]
            + [ids[int(draw() * len(ids))] for _ in range(length - begin)]
        }
        for index, (length, begin) in enumerate(zip(lengths, shared, strict=True))
    ]


def _lengths_of(recipe: SyntheticPrompts | VariedPrompts) -> tuple[list[int], list[int]]:
    """Each prompt's length, and how much of it is its prefix."""
    prefix = recipe.shared_prefix_tokens
    lengths = draw_lengths(recipe.input_tokens, recipe.count, recipe.seed, _INPUT_STREAM, least=prefix)
    share = recipe.shared_prefix_share if isinstance(recipe, VariedPrompts) else None
    if share is not None:
        return lengths, [int(length * share) for length in lengths]
    return lengths, [prefix] * recipe.count


def with_output_lengths(items: Sequence[Mapping[str, Any]], length: Lengths, seed: int) -> list[dict[str, Any]]:
    """The items, each with an `output_tokens` of its own."""
    drawn = draw_lengths(length, len(items), seed, _OUTPUT_STREAM)
    return [{**item, "output_tokens": number} for item, number in zip(items, drawn, strict=True)]


def draw_lengths(length: int | Lengths, count: int, seed: int, stream: int, least: int = 1) -> list[int]:
    """So many numbers; the first ones don't depend on how many follow. None is below `least`."""
    if isinstance(length, int):
        return [length] * count
    # Streams of their own: the ids of a set don't change with how its lengths are drawn.
    draw = random.Random((seed << 2) + stream).random
    return [max(least, one) for one in islice(_numbers(length, draw), count)]


def _numbers(length: Lengths, draw: Callable[[], float]) -> Iterator[int]:
    if isinstance(length, Normal):
        while True:
            yield length.clipped(length.mean + length.stdev * _standard_normal(draw))
    elif isinstance(length, Uniform):
        while True:
            yield length.low + int(draw() * (length.high - length.low + 1))
    else:
        yield from cycle(length.values)


def _standard_normal(draw: Callable[[], float]) -> float:
    """Twelve uniform numbers less 6 have a variance of 1: near enough, without a logarithm that may round its way."""
    total = -6.0
    for _ in range(12):  # sum() has added in another way since Python 3.12
        total += draw()
    return total


def recipe_text(recipe: SyntheticPrompts | VariedPrompts) -> str:
    """The set in words, for people."""
    shared = f", {recipe.shared_prefix_tokens} shared" if recipe.shared_prefix_tokens else ""
    if isinstance(recipe, VariedPrompts):
        shared = f", {recipe.shared_prefix_share:.0%} shared" if recipe.shared_prefix_share else shared
        shared += f" in {recipe.num_prefixes} groups" if recipe.num_prefixes > 1 else ""
    return f"synthetic: {recipe.count} × {recipe.input_tokens} tokens{shared}, seed {recipe.seed}"
