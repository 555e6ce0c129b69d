"""A configuration as a Python cell and as a notebook: both run as they are, and answer a first prompt."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import Any

from vbench.report.recipe_parts import (
    NOWHERE,
    Provenance,
    arguments_in,
    environment_of,
    is_shape,
    model_of,
    remarks_on,
)

# Given as plain values in a sweep file; vLLM wants its own classes (`worker.engines.vllm_decoding` does the same).
_NESTED = {"structured_outputs": "StructuredOutputsParams", "guided_decoding": "GuidedDecodingParams"}
_PROMPT = '"The capital of France is"'
_GUARD = 'if __name__ == "__main__":  # vLLM may start processes that import this file; in a notebook it is always so'


def as_python(config: Mapping[str, Any], provenance: Provenance = NOWHERE) -> str:
    """A Python cell, or a script: `kwargs`, `LLM(**kwargs)`, the sampling as it was measured, and a first answer.
    Environment variables are set before vLLM is imported."""
    lines = [*_preamble(config, provenance), "", _GUARD, "    llm = LLM(**kwargs)"]
    return "\n".join([*lines, *(f"    {line}" for line in _generation(config))])


def as_notebook(config: Mapping[str, Any], provenance: Provenance = NOWHERE, title: str = "") -> str:
    """A notebook file (nbformat 4.5): a cell that makes the engine, and one with a first answer."""
    engine = "\n".join([*_preamble(config, provenance), "", "llm = LLM(**kwargs)"])
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": cell_id, "metadata": {}, "outputs": [], "source": source}
        for cell_id, source in (("engine", engine), ("generate", "\n".join(_generation(config))))
    ]
    if title:
        cells.insert(0, {"cell_type": "raw", "id": "title", "metadata": {}, "source": title})
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, allow_nan=False) + "\n"


def _preamble(config: Mapping[str, Any], provenance: Provenance) -> list[str]:
    """Everything up to the engine: where it comes from, environment, imports, arguments, sampling."""
    environment = environment_of(config)
    chosen, more = arguments_in("offline", config, provenance)
    lines = [*provenance.comments, *remarks_on(config), *more]
    if environment:
        lines += ["import os", "", f"os.environ.update({environment!r})  # vLLM reads it on import", ""]
    lines += _imports(config)
    arguments = {"model": model_of(config), **chosen}
    lines += ["", "kwargs = dict(", *_keywords(arguments, "    "), ")"]
    return [*lines, *_sampling(config, provenance)]


def _imports(config: Mapping[str, Any]) -> list[str]:
    sampling = _sampling_of(config)
    if "beam_width" in sampling:
        return ["from vllm import LLM", "from vllm.sampling_params import BeamSearchParams"]
    nested = [kind for name, kind in _NESTED.items() if isinstance(sampling.get(name), Mapping)]
    more = [f"from vllm.sampling_params import {', '.join(nested)}"] if nested else []
    return ["from vllm import LLM, SamplingParams", *more]


def _sampling(config: Mapping[str, Any], provenance: Provenance) -> list[str]:
    """As the passes were asked, but that answers may end where they end: exact lengths are for measuring."""
    chosen = _sampling_of(config)
    is_beam = "beam_width" in chosen
    fields = dict(chosen) if is_beam else {"temperature": 0.0, **chosen}
    fields.setdefault("max_tokens", provenance.output_tokens or 16)
    if _has_no_tokenizer(config):
        fields["detokenize"] = False
    kind = "BeamSearchParams" if is_beam else "SamplingParams"
    exact = provenance.output_tokens
    how = "exactly" if provenance.is_exact else "exact lengths of up to"
    note = f"  # measured with {how} {exact} tokens each: ignore_eos=True"
    if exact is None:
        note = "" if not provenance.lines else "  # measured until each answer stopped: choose max_tokens"
    return [f"sampling = {kind}({note}", *_keywords(fields, "    ", nested=_NESTED), ")"]


def _generation(config: Mapping[str, Any]) -> list[str]:
    prompt = "{'prompt_token_ids': [1, 2, 3]}" if _has_no_tokenizer(config) else _PROMPT
    if "beam_width" in _sampling_of(config):
        given = prompt if _has_no_tokenizer(config) else f"{{'prompt': {prompt}}}"
        return [f"outputs = llm.beam_search([{given}], sampling)", "print(outputs[0].sequences[0].text)"]
    shown = "token_ids" if _has_no_tokenizer(config) else "text"
    return [f"outputs = llm.generate([{prompt}], sampling)", f"print(outputs[0].outputs[0].{shown})"]


def _keywords(values: Mapping[str, Any], indent: str, nested: Mapping[str, str] | None = None) -> list[str]:
    """A line a keyword; names that Python doesn't take as one go through a mapping."""
    lines: list[str] = []
    awkward: dict[str, Any] = {}
    for name, value in values.items():
        if not (name.isidentifier() and name.isascii() and not keyword.iskeyword(name)):
            awkward[name] = value
        elif nested and name in nested and isinstance(value, Mapping):
            lines.append(f"{indent}{name}={nested[name]}(**{dict(value)!r}),")
        else:
            lines.append(f"{indent}{name}={value!r},")
    return [*lines, f"{indent}**{awkward!r},"] if awkward else lines


def _sampling_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    sampling = config.get("sampling")
    return sampling if isinstance(sampling, Mapping) else {}


def _has_no_tokenizer(config: Mapping[str, Any]) -> bool:
    return bool(config.get("skip_tokenizer_init")) and not is_shape(config)
