"""The prompts that every trial of a sweep answers, from a file of JSON Lines or made up from a seed.

Decides what a line may hold, and the digest by which equal sets are known wherever they are stored. Tokenises nothing.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.prompts.jsonl import read_prompts
from vbench.spec.model_folder import read_model_config, vocab_size
from vbench.spec.types import PromptSpec, SyntheticPrompts

Prompt = Mapping[str, Any]
"""`{"prompt": text}`, `{"prompt_token_ids": [ids]}` or `{"messages": [{"role": …, "content": …}]}`."""

# Larger vocabularies are not used in full: a synthetic set is then the same for every usual model, and stays clear of
# the special tokens that models keep at the end of theirs.
SYNTHETIC_VOCABULARY = 30_000
# Models keep padding, end-of-text and byte tokens first.
_FIRST_ID = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """The fixed inputs. `sha256` is over the items and how much each generates; `source` is for people."""

    items: tuple[Prompt, ...]
    sha256: str
    source: str
    output_tokens: int | None = None
    max_tokens: int | None = None

    @property
    def num_prompts(self) -> int:
        """How many prompts one pass answers."""
        return len(self.items)


def load_prompt_set(spec: PromptSpec, model: str) -> PromptSet:
    """Read or make the prompts. `model` is a folder or hub id: synthetic ids stay within a folder's vocabulary.

    Raises SpecError with the lines that are wrong.
    """
    items: Sequence[Prompt]
    if spec.synthetic is not None:
        items = _synthetic(spec.synthetic, _vocabulary(model))[: spec.limit]
        source = _recipe(spec.synthetic)
    elif spec.file is not None:
        items = read_prompts(spec.file, spec.limit)
        source = str(spec.file)
    else:
        raise ValueError("a PromptSpec has a file or synthetic")
    return PromptSet(
        items=tuple(items),
        sha256=_digest(items, spec.output_tokens, spec.max_tokens),
        source=source,
        output_tokens=spec.output_tokens,
        max_tokens=spec.max_tokens,
    )


def write_jsonl(prompt_set: PromptSet, path: Path) -> None:
    """Write the items one JSON object a line, ASCII only; reading them back gives the same digest."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{_canonical(item)}\n" for item in prompt_set.items)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _digest(items: Iterable[Prompt], output_tokens: int | None, max_tokens: int | None) -> str:
    digest = hashlib.sha256(_canonical({"output_tokens": output_tokens, "max_tokens": max_tokens}).encode())
    for item in items:
        digest.update(f"\n{_canonical(item)}".encode())
    return digest.hexdigest()


def _vocabulary(model: str) -> int:
    folder = Path(model)
    if not folder.is_absolute():
        return SYNTHETIC_VOCABULARY
    try:
        size = vocab_size(read_model_config(folder))
    except ValueError as error:
        raise SpecError(model, [Problem(message=str(error.args[0]))]) from error
    return SYNTHETIC_VOCABULARY if size is None else min(size, SYNTHETIC_VOCABULARY)


def _synthetic(recipe: SyntheticPrompts, vocabulary: int) -> list[Prompt]:
    first = _FIRST_ID if vocabulary > 2 * _FIRST_ID else 0
    # Ids are taken from one list, so that millions of them share their int objects.
    ids = list(range(first, vocabulary))
    # Only random() is promised to give the same numbers on every Python version.
    draw = random.Random(recipe.seed).random
    prefix = [ids[int(draw() * len(ids))] for _ in range(recipe.shared_prefix_tokens)]
    rest = recipe.input_tokens - recipe.shared_prefix_tokens
    return [
        {"prompt_token_ids": prefix + [ids[int(draw() * len(ids))] for _ in range(rest)]} for _ in range(recipe.count)
    ]


def _recipe(recipe: SyntheticPrompts) -> str:
    shared = f", {recipe.shared_prefix_tokens} shared" if recipe.shared_prefix_tokens else ""
    return f"synthetic: {recipe.count} × {recipe.input_tokens} tokens{shared}, seed {recipe.seed}"
