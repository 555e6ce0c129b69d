"""The `prompts` section to a PromptSpec: paths resolved, files looked for."""

from __future__ import annotations

import os
from pathlib import Path

from vbench.spec.problems import Problems
from vbench.spec.prompt_types import PromptFile, PromptSpec, SyntheticPrompts, VariedPrompts
from vbench.spec.prompts_section import PromptsSection, SyntheticSection
from vbench.spec.suggest import did_you_mean
from vbench.spec.sweep_text import names_in

_SUFFIXES = (".jsonl", ".json", ".txt")


def read_prompts_section(section: PromptsSection, folder: Path, problems: Problems) -> PromptSpec:
    """The spec; relative paths count from `folder`. What is wrong is added to `problems`."""
    return PromptSpec(
        file=None if section.file is None else _file(section, section.file, folder, problems),
        synthetic=None if section.synthetic is None else synthetic_spec(section.synthetic),
        limit=section.limit,
        output_tokens=section.output_tokens,
        max_tokens=section.max_tokens,
    )


def _file(section: PromptsSection, text: str, folder: Path, problems: Problems) -> Path | PromptFile:
    path = Path(os.path.abspath(folder / os.path.expanduser(text)))
    _check_there(path, problems)
    file = PromptFile(
        path=path,
        format=section.format,
        separator=section.separator,
        chat_template=section.chat_template,
        sha256=section.sha256,
    )
    return path if file == PromptFile(path=path) else file


def _check_there(path: Path, problems: Problems) -> None:
    if os.path.isdir(path):
        if not any(name.lower().endswith(".txt") for name in names_in(path)):
            problems.add("prompts.file", f"{path} holds no .txt files and is not a file", "name a .jsonl file")
    elif os.path.exists(path) and not os.path.isfile(path):
        problems.add("prompts.file", f"{path} is not a file", "name a .jsonl file")
    elif not os.path.exists(path):
        there = [name for name in names_in(path.parent) if name.endswith(_SUFFIXES)]
        problems.add("prompts.file", f"no such file: {path}", did_you_mean(path.name, there))


def synthetic_spec(section: SyntheticSection) -> SyntheticPrompts | VariedPrompts:
    """The recipe; the plain type where the plain form says it all, so that its digest stays."""
    tokens, share = section.input_tokens, section.shared_prefix_share
    if isinstance(tokens, int) and share is None and section.num_prefixes == 1:
        return SyntheticPrompts(
            count=section.count,
            input_tokens=tokens,
            shared_prefix_tokens=section.shared_prefix_tokens,
            seed=section.seed,
        )
    return VariedPrompts(
        count=section.count,
        input_tokens=tokens,
        shared_prefix_tokens=section.shared_prefix_tokens,
        shared_prefix_share=share,
        num_prefixes=section.num_prefixes,
        seed=section.seed,
    )
