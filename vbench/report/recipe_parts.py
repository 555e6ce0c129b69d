"""What every way of writing a configuration needs of it: the engine's arguments, its environment, and remarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vbench.records.redaction import HIDDEN
from vbench.spec.calling import OWN_WORDS, SHAPE_PREFIX

# Of a shape: what lets it load without weights or a tokenizer, and has no place in what is put to use.
_STAND_IN_ARGUMENTS = ("load_format", "skip_tokenizer_init")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a configuration's numbers come from, as what is pasted says it in its comments. `output_tokens`: asked of
    each request; None where it ran until it stopped, or isn't known. `distribution`: of the engine, as pip names it."""

    lines: tuple[str, ...] = ()
    output_tokens: int | None = None
    distribution: str = "vllm"

    @property
    def comments(self) -> list[str]:
        """A line each, for a shell, Python and YAML alike; whatever a name holds, it stays within its line."""
        return [f"# {' '.join(line.split())}" for line in self.lines]


NOWHERE = Provenance()


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the engine is given; None means left to the engine, and is left out."""
    stands_in = _STAND_IN_ARGUMENTS if is_shape(config) else ()
    return {
        name: value for name, value in config.items()
        if name not in OWN_WORDS and name not in stands_in and value is not None
    }  # fmt: skip


def is_shape(config: Mapping[str, Any]) -> bool:
    """Whether it was measured with dummy weights of a model's shape."""
    return str(config.get("model")).startswith(SHAPE_PREFIX)


def model_of(config: Mapping[str, Any]) -> str:
    """The model to write; a shape with dummy weights stands for a model that has yet to be named."""
    return "MODEL" if is_shape(config) else str(config.get("model", "MODEL"))


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables that the configuration sets, without secrets: what a record has of those is a mask."""
    environment = config.get("environment")
    if not isinstance(environment, Mapping):
        return {}
    return {str(name): str(value) for name, value in environment.items() if value != HIDDEN}


def remarks_on(config: Mapping[str, Any]) -> list[str]:
    """What an engine's arguments can't say of how it was measured, as comments of a shell or of Python."""
    replicas, sampling = config.get("replicas"), config.get("sampling")
    remarks = []
    if config.get("python"):
        remarks.append(f"# with the engine of {json.dumps(str(config['python']))}")
    if is_shape(config):
        name = str(config["model"]).removeprefix(SHAPE_PREFIX)
        remarks.append(f"# MODEL: one of the shape {json.dumps(name)}, which was measured with dummy weights")
    if isinstance(replicas, int) and replicas > 1:
        remarks.append(f"# {replicas} engines like this side by side, each on devices of its own, the prompts split")
    if config.get("mode", "offline") != "offline":
        remarks.append(
            f"# measured in mode {json.dumps(str(config['mode']))}, load {json.dumps(config.get('load') or {})}"
        )
    if config.get("lora_modules"):
        remarks.append(f"# measured with adapters, given to the prompts in turn: {json.dumps(config['lora_modules'])}")
    if sampling:
        remarks.append(f"# measured with sampling {json.dumps(sampling)}")
    return remarks
