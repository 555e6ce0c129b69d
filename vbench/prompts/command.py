"""What `vbench prompts` works on: the prompts of a file or of a sweep, or those made from options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from vbench.errors import MachineError, UsageError
from vbench.prompts.prompt_set import SYNTHETIC_VOCABULARY, load_prompt_set
from vbench.prompts.reading import read_file
from vbench.prompts.synthetic import make_synthetic, recipe_text, with_output_lengths
from vbench.prompts.token_lengths import token_lengths
from vbench.spec.loader import load_spec
from vbench.spec.prompt_reading import synthetic_spec
from vbench.spec.prompt_types import PromptFile, PromptFormat
from vbench.spec.prompts_section import SyntheticSection, read_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Prompts, where they came from, and, of a sweep, its model and interpreter."""

    items: list[Mapping[str, Any]]
    source: str
    format: str
    notes: tuple[str, ...] = ()
    model: str | None = None
    python: str | None = None

    def token_counts(self, model: str | None, python: str | None) -> tuple[list[int] | None, str]:
        """Tokens of each by the tokenizer of `model`, else the sweep's; None, and why, where there is none.

        Raises MachineError where the model was asked for by name.
        """
        if "prompt_token_ids" in self.items[0]:
            return token_lengths(self.items, ""), ""
        asked = model or self.model
        if asked is None:
            return None, ""
        try:
            return token_lengths(self.items, asked, python or self.python), ""
        except MachineError as error:
            if model is not None:
                raise
            return None, str(error)


def opened(
    path: Path,
    format_name: str = "auto",
    separator: str | None = None,
    *,
    limit: int | None = None,
    chat_template: bool = False,
) -> Opened:
    """The prompts of a file, a folder or a sweep. Raises SpecError, UsageError."""
    if format_name not in get_args(PromptFormat):
        raise UsageError(f"--format {format_name}: there is {', '.join(get_args(PromptFormat))}")
    if path.suffix.lower() in (".yaml", ".yml"):
        return _of_sweep(path, limit)
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such file")
    file = PromptFile(
        path=path, format=cast(PromptFormat, format_name), separator=separator, chat_template=chat_template
    )
    content = read_file(file, limit)
    return Opened(items=[*content.items], source=str(path), format=content.format, notes=content.notes)


def _of_sweep(path: Path, limit: int | None) -> Opened:
    spec = load_spec(path)
    prompts = load_prompt_set(spec.prompts, spec.model)
    return Opened(
        items=[*prompts.items[:limit]],
        source=prompts.source,
        format="synthetic" if spec.prompts.synthetic is not None else "file",
        notes=prompts.notes,
        model=spec.model,
        python=spec.python,
    )


def made_items(recipe: Mapping[str, Any], output_tokens: object | None) -> tuple[list[dict[str, Any]], str]:
    """A synthetic set and its recipe in words. Raises UsageError with what the options can't be."""
    try:
        made = synthetic_spec(SyntheticSection.model_validate(dict(recipe)))
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors()]
        raise UsageError("; ".join(told).replace("_", "-")) from None
    items, source = make_synthetic(made, SYNTHETIC_VOCABULARY), recipe_text(made)
    if output_tokens is None:
        return items, source
    try:
        length = read_length(output_tokens)
    except PydanticCustomError as error:
        raise UsageError(f"output-tokens: {error.message()}") from None
    if isinstance(length, int):
        return [{**item, "output_tokens": length} for item in items], f"{source}, output {length}"
    return with_output_lengths(items, length, made.seed), f"{source}, output {length}"
