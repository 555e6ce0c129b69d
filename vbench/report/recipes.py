"""A configuration, written the way it is used: a `vllm serve` command, a Python cell, a notebook, a sweep file's part.

Engine arguments are everything in a record's `config` but vbench's own words; their names are vLLM's and stay as they
are. Values are quoted for the language they are written in: whatever they hold, they stay values.
"""

from __future__ import annotations

import json
import keyword
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from vbench.records.redaction import HIDDEN
from vbench.spec.calling import OWN_WORDS, SHAPE_PREFIX

# Of a shape: what lets it load without weights or a tokenizer, and has no place in what is put to use.
_STAND_IN_ARGUMENTS = ("load_format", "skip_tokenizer_init")
_YAML_PLAIN = ("model", "engine", "python", "mode", "replicas")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
_YAML_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the engine is given; None means left to the engine, and is left out."""
    stands_in = _STAND_IN_ARGUMENTS if _is_shape(config) else ()
    return {
        name: value for name, value in config.items()
        if name not in OWN_WORDS and name not in stands_in and value is not None
    }  # fmt: skip


def _is_shape(config: Mapping[str, Any]) -> bool:
    return str(config.get("model")).startswith(SHAPE_PREFIX)


def _model(config: Mapping[str, Any]) -> str:
    """The model to write; a shape with dummy weights stands for a model that has yet to be named."""
    return "MODEL" if _is_shape(config) else str(config.get("model", "MODEL"))


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables that the configuration sets, without secrets: what a record has of those is a mask."""
    environment = config.get("environment")
    if not isinstance(environment, Mapping):
        return {}
    return {str(name): str(value) for name, value in environment.items() if value != HIDDEN}


def as_serve(config: Mapping[str, Any]) -> str:
    """A `vllm serve` command for a POSIX shell, one argument a line.

    Underscores become dashes, true and false become `--flag` and `--no-flag`, mappings become JSON, lists become
    several words (vLLM's own rules, vllm/engine/arg_utils.py).
    """
    environment = environment_of(config)
    start = ["vllm", "serve", _model(config)]
    if all(_ENV_NAME.fullmatch(name) for name in environment):
        prefix = [f"{name}={shlex.quote(_no_nul(value))}" for name, value in environment.items()]
    else:  # the shell wouldn't take such a name as an assignment; env(1) does
        prefix = ["env", *(shlex.quote(_no_nul(f"{name}={value}")) for name, value in environment.items())]
    lines = [" ".join([*prefix, *(shlex.quote(_no_nul(word)) for word in start)])]
    for name, value in engine_arguments(config).items():
        lines.append(" ".join(shlex.quote(_no_nul(word)) for word in _flag_words(name, value)))
    adapters = config.get("lora_modules") or {}
    if adapters:
        words = ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
        lines.append(" ".join(shlex.quote(_no_nul(word)) for word in words))
    return "\n".join([*_remarks(config), " \\\n  ".join(lines)])


def _remarks(config: Mapping[str, Any]) -> list[str]:
    """What an engine's arguments can't say of how it was measured, as comments of a shell or of Python."""
    replicas, sampling = config.get("replicas"), config.get("sampling")
    remarks = []
    if config.get("python"):
        remarks.append(f"# with the engine of {json.dumps(str(config['python']))}")
    if _is_shape(config):
        name = str(config["model"]).removeprefix(SHAPE_PREFIX)
        remarks.append(f"# MODEL: one of the shape {json.dumps(name)}, which was measured with dummy weights")
    if isinstance(replicas, int) and replicas > 1:
        remarks.append(f"# {replicas} engines like this side by side, each on GPUs of its own, the prompts split")
    if config.get("mode", "offline") != "offline":
        remarks.append(
            f"# measured in mode {json.dumps(str(config['mode']))}, load {json.dumps(config.get('load') or {})}"
        )
    if config.get("lora_modules"):
        remarks.append(f"# measured with adapters, given to the prompts in turn: {json.dumps(config['lora_modules'])}")
    if sampling:
        remarks.append(f"# measured with sampling {json.dumps(sampling)}")
    return remarks


def _flag_words(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else "--no-" + name.replace("_", "-")]
    if isinstance(value, list) and value and not any(isinstance(item, (dict, list)) for item in value):
        return [flag, *(_word(item) for item in value)]
    word = _word(value)
    return [f"{flag}={word}"] if word.startswith("-") else [flag, word]  # a bare -1 would be read as an option


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _no_nul(word: str) -> str:
    return word.replace("\0", "")  # no process argument can hold one


def as_python(config: Mapping[str, Any]) -> str:
    """A Python cell that makes the engine: `llm = LLM(...)`, environment variables set before vLLM is imported."""
    environment = environment_of(config)
    lines = (
        ["import os", "", f"os.environ.update({environment!r})  # vLLM reads it on import", ""] if environment else []
    )
    lines += [*_remarks(config), "from vllm import LLM", "", "llm = LLM("]
    awkward: dict[str, Any] = {}
    for name, value in {"model": _model(config), **engine_arguments(config)}.items():
        if name.isidentifier() and name.isascii() and not keyword.iskeyword(name):
            lines.append(f"    {name}={value!r},")
        else:
            awkward[name] = value
    if awkward:
        lines.append(f"    **{awkward!r},")
    return "\n".join([*lines, ")"])


def as_notebook(config: Mapping[str, Any], title: str = "") -> str:
    """A notebook file (nbformat 4.5) with the Python cell and a first generation."""
    generate = (
        "from vllm import SamplingParams\n\n"
        'outputs = llm.generate(["The capital of France is"], SamplingParams(temperature=0, max_tokens=16))\n'
        "print(outputs[0].outputs[0].text)"
    )
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": cell_id, "metadata": {}, "outputs": [], "source": source}
        for cell_id, source in (("engine", as_python(config)), ("generate", generate))
    ]
    if title:
        cells.insert(0, {"cell_type": "raw", "id": "title", "metadata": {}, "source": title})
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, allow_nan=False) + "\n"


def as_yaml(config: Mapping[str, Any]) -> str:
    """The part of a sweep file that fixes this configuration: `engine`, `model`, `engine_args`, how it is called."""
    lines = [f"{name}: {_yaml(config[name])}" for name in _YAML_PLAIN if config.get(name) is not None]
    sections = [(name, config.get(name) or {}) for name in ("sampling", "load", "goodput", "lora_modules")]
    for heading, values in (
        ("engine_args", engine_arguments(config)), *sections, ("environment", environment_of(config)),
    ):  # fmt: skip
        if values:
            lines.append(f"{heading}:")
            lines += [f"  {_yaml_key(name)}: {_yaml(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _yaml_key(name: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _YAML_WORDS
    return name if is_plain else _yaml(name)


def _yaml(value: Any) -> str:
    """A value in YAML's flow style, which is JSON but for two things mended here: floats and rare characters."""
    if isinstance(value, float):
        text = repr(value)
        if not math.isfinite(value):
            return {"inf": ".inf", "-inf": "-.inf"}.get(text, ".nan")
        # YAML 1.1 reads 1e-05 as a string: a float needs its dot.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml(str(name))}: {_yaml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _YAML_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
