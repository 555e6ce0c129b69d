"""What every way of writing a configuration needs of it: the engine's arguments, its environment, and remarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.records.record import TrialRecord
from vbench.records.redaction import HIDDEN
from vbench.spec.calling import OWN_WORDS, SHAPE_PREFIX

# Of a shape: what lets it load without weights or a tokenizer, and has no place in what is put to use.
_STAND_IN_ARGUMENTS = ("load_format", "skip_tokenizer_init")
LIMITS = ("max_num_seqs", "max_num_batched_tokens")
"""vLLM's defaults of these are others offline than in a server (vllm/engine/arg_utils.py, `get_batch_defaults`)."""

_DEFAULTS = {"server": "a server’s defaults are", "offline": "LLM’s defaults are"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a configuration's numbers come from, as what is pasted says it in its comments. `output_tokens`: asked of
    each request; None where it ran until it stopped, or isn't known. `distribution`: of the engine, as pip names it."""

    lines: tuple[str, ...] = ()
    output_tokens: int | None = None
    is_exact: bool = True
    """Whether that is what each request generates; else the most that any does."""
    distribution: str = "vllm"
    limits: Mapping[str, int] = field(default_factory=dict)
    """What the engine chose of `LIMITS`, as the configuration left it open."""

    @property
    def comments(self) -> list[str]:
        """A line each, for a shell, Python and YAML alike; whatever a name holds, it stays within its line."""
        return [f"# {' '.join(line.split())}" for line in self.lines]


NOWHERE = Provenance()


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the engine is given; None means left to the engine, and is left out, as secrets are."""
    stands_in = _STAND_IN_ARGUMENTS if is_shape(config) else ()
    return {
        name: value for name, value in config.items()
        if name not in OWN_WORDS and name not in stands_in and value is not None and not _holds_hidden(value)
    }  # fmt: skip


def limits_of(record: TrialRecord) -> dict[str, int]:
    """What the engine said that it chose of `LIMITS`, where the configuration left it open."""
    said = {name: record.engine.facts.get(name) for name in LIMITS if record.config.get(name) is None}
    return {name: value for name, value in said.items() if isinstance(value, int) and not isinstance(value, bool)}


def arguments_in(mode: str, config: Mapping[str, Any], provenance: Provenance) -> tuple[dict[str, Any], list[str]]:
    """The engine's arguments for that way of calling, and a remark on those that come on top: measured in another, a
    configuration that leaves a limit open would run with another one."""
    arguments = engine_arguments(config)
    measured = str(config.get("mode", "offline"))
    more = (
        {} if measured == mode else {name: value for name, value in provenance.limits.items() if name not in arguments}
    )
    if not more:
        return arguments, []
    names = " and ".join(more)
    return {**arguments, **more}, [f"# {names}: as the engine chose, measured {measured}; {_DEFAULTS[mode]} others"]


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
    return {str(name): str(value) for name, value in environment.items() if not _holds_hidden(value)}


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
        load = f", load {json.dumps(config['load'])}" if config.get("load") else ""
        remarks.append(f"# measured in mode {json.dumps(str(config['mode']))}{load}")
    if config.get("lora_modules"):
        remarks.append(f"# measured with adapters, given to the prompts in turn: {json.dumps(config['lora_modules'])}")
    if sampling:
        remarks.append(f"# measured with sampling {json.dumps(sampling)}")
    if hidden := hidden_names(config):
        remarks.append(
            f"# measured with values of {', '.join(map(json.dumps, hidden))} that are not recorded: set them"
        )
    return remarks


def hidden_names(config: Mapping[str, Any]) -> list[str]:
    """Environment variables and arguments whose values are, or hold, secrets."""
    environment = config.get("environment")
    variables = environment.items() if isinstance(environment, Mapping) else ()
    arguments = [name for name, value in config.items() if name != "environment" and _holds_hidden(value)]
    return [*arguments, *(str(name) for name, value in variables if _holds_hidden(value))]


def _holds_hidden(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_hidden, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_hidden, value))
    return isinstance(value, str) and HIDDEN in value
