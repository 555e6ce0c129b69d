"""How much a trial can generate at most: the work that the rule of early stops counts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vbench.execution.trial_record import asked_tokens
from vbench.prompts.prompt_set import PromptSet


def most_tokens(prompts: PromptSet, config: Mapping[str, Any]) -> list[int] | None:
    """The output tokens of each prompt, of all its answers: exactly, or at most `max_tokens` where they run until they
    stop; None where nothing bounds them."""
    exact = asked_tokens(prompts, config)
    if exact is not None or prompts.output_tokens is not None:
        return exact
    return asked_tokens(replace(prompts, output_tokens=prompts.max_tokens), config)
