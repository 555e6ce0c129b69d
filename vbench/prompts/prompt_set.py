"""The prompts that every trial of a sweep answers, from a file or made up from a seed.

Decides the digest by which equal sets are known wherever they are stored. Tokenises nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError, StoreError
from vbench.prompts.reading import canonical, read_file
from vbench.prompts.synthetic import make_synthetic, recipe_text, with_output_lengths
from vbench.records.disk import advice_on
from vbench.spec.model_folder import read_model_config, vocab_size
from vbench.spec.prompt_types import PER_PROMPT, PromptFile, PromptSpec

Prompt = Mapping[str, Any]
"""`{"prompt": text}`, `{"prompt_token_ids": [ids]}` or `{"messages": [{"role": …, "content": …}]}`; with
`output_tokens` where each prompt has a length of its own."""

# Larger vocabularies are not used in full: a synthetic set is then the same for every usual model, and stays clear of
# the special tokens that models keep at the end of theirs.
SYNTHETIC_VOCABULARY = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """The fixed inputs. `sha256` is over the items and how much each generates; `source` is for people."""

    items: tuple[Prompt, ...]
    sha256: str
    source: str
    output_tokens: int | None = None
    """What each generates exactly; the most that any does, where `output_lengths` says it for each."""
    max_tokens: int | None = None
    notes: tuple[str, ...] = ()
    """What of the file was passed over."""

    @property
    def num_prompts(self) -> int:
        """How many prompts one pass answers."""
        return len(self.items)

    @property
    def output_lengths(self) -> tuple[int, ...] | None:
        """What each prompt generates exactly; None where it is the same for all, or until it stops."""
        if not self.items or "output_tokens" not in self.items[0]:
            return None
        return tuple(item["output_tokens"] for item in self.items)


def load_prompt_set(spec: PromptSpec, model: str) -> PromptSet:
    """Read or make the prompts. `model` is a folder or hub id: synthetic ids stay within a folder's vocabulary.

    Raises SpecError with the lines that are wrong.
    """
    items: Sequence[Prompt]
    notes: tuple[str, ...] = ()
    seed = 0
    if spec.synthetic is not None:
        items = make_synthetic(spec.synthetic, _vocabulary(model))[: spec.limit]
        source, seed = recipe_text(spec.synthetic), spec.synthetic.seed
    elif spec.file is not None:
        file = spec.file if isinstance(spec.file, PromptFile) else PromptFile(path=spec.file)
        content = read_file(file, spec.limit)
        items, notes, source = content.items, content.notes, str(file.path)
    else:
        raise ValueError("a PromptSpec has a file or synthetic")
    items, for_all = _with_lengths(items, spec, seed, source)
    return PromptSet(
        items=tuple(items),
        sha256=_digest(items, for_all, spec.max_tokens),
        source=source,
        output_tokens=max(item["output_tokens"] for item in items) if "output_tokens" in items[0] else for_all,
        max_tokens=spec.max_tokens,
        notes=notes,
    )


def _with_lengths(
    items: Sequence[Prompt], spec: PromptSpec, seed: int, source: str
) -> tuple[Sequence[Prompt], int | None]:
    """The items, with or without `output_tokens` as the sweep has it, and the one length that holds for all."""
    if spec.output_tokens == PER_PROMPT:
        lacking = [number for number, item in enumerate(items, start=1) if "output_tokens" not in item]
        if lacking:
            message = f"output_tokens: per_prompt, but prompt {lacking[0]} of {len(items)} has none"
            hint = 'write it beside each: {"prompt": "…", "output_tokens": 64}; or give one length for all'
            raise SpecError(source, [Problem(message=message, hint=hint)])
        return items, None
    bare = [
        {key: value for key, value in item.items() if key != "output_tokens"} if "output_tokens" in item else item
        for item in items
    ]
    if spec.output_tokens is None or isinstance(spec.output_tokens, int):
        return bare, spec.output_tokens
    return with_output_lengths(bare, spec.output_tokens, seed), None


def write_jsonl(prompt_set: PromptSet, path: Path) -> None:
    """Write the items one JSON object a line, ASCII only; reading them back gives the same digest. All of them, or
    there is no such file. Raises StoreError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{canonical(item)}\n" for item in prompt_set.items)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {advice_on(error)}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _digest(items: Iterable[Prompt], output_tokens: int | None, max_tokens: int | None) -> str:
    digest = hashlib.sha256(canonical({"output_tokens": output_tokens, "max_tokens": max_tokens}).encode())
    for item in items:
        digest.update(f"\n{canonical(item)}".encode())
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
