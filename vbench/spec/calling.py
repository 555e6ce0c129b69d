"""How the engine is called and asked: vbench's own words of a configuration, beside the engine's arguments.

`mode`, `replicas`, `python`, `model` and the keys of three sections may be parameters of a sweep; a section's key goes
by its dotted name (`load.max_concurrency`, `sampling.n`, `environment.OMP_NUM_THREADS`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vbench.spec.fields import MAX_REPLICAS, NotNegative, Positive, variable_problem, variable_value
from vbench.spec.problems import shown
from vbench.spec.suggest import did_you_mean

MODES = ("offline", "async", "server")
SECTIONS = ("sampling", "load", "environment")
RUN_TIME_SECTIONS = ("sampling", "load", "goodput")  # asked of a running engine, which needn't be started anew for them
OWN_WORDS = ("engine", "model", "python", "mode", "replicas", "lora_modules", "goodput", *SECTIONS)
SHAPE_PREFIX = "shape:"
"""A model by its shape alone is kept as `shape:NAME`; no hub id has a colon."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LENGTHS = ("max_tokens", "min_tokens", "ignore_eos")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LoadSection(_Section):
    """When requests are sent, in the modes that take them one by one. Without any key: all at once."""

    request_rate: float | None = Field(default=None, gt=0, description="Requests per second.", examples=[4])
    arrival: Literal["poisson", "constant", "gamma", "burst"] | None = Field(
        default=None,
        description="How they are spread. Default: gamma with burstiness, burst with burst_size, else poisson.",
    )
    burstiness: float | None = Field(
        default=None, gt=0, description="Shape of gamma arrivals: 1 is Poisson, less is burstier.", examples=[0.5]
    )
    burst_size: Positive | None = Field(default=None, description="Requests of one burst.", examples=[8])
    ramp_up_strategy: Literal["linear", "exponential"] | None = Field(
        default=None, description="The rate rises from ramp_up_start_rps to ramp_up_end_rps."
    )
    ramp_up_start_rps: float | None = Field(default=None, gt=0, description="Requests per second at the start.")
    ramp_up_end_rps: float | None = Field(default=None, gt=0, description="Requests per second at the end.")
    max_concurrency: Positive | None = Field(default=None, description="Requests in flight at most.", examples=[16])
    seed: NotNegative | None = Field(default=None, description="Another seed, other arrivals.")


class GoodputSection(_Section):
    """The latencies that a request must keep to count as good (`vllm bench serve --goodput`), in milliseconds."""

    ttft: float | None = Field(default=None, gt=0, description="Time to first token, ms.", examples=[500])
    tpot: float | None = Field(default=None, gt=0, description="Time per output token, ms.", examples=[50])
    e2el: float | None = Field(default=None, gt=0, description="End-to-end latency, ms.", examples=[5000])


def is_own_parameter(name: str) -> bool:
    """Whether a parameter is vbench's own, not an engine argument."""
    return name in ("model", "mode", "replicas", "python", "lora_modules") or name.partition(".")[0] in SECTIONS


def check_own_value(name: str, value: Any) -> str | None:
    """What is wrong with a value of one of vbench's own parameters, and what there is; None when nothing is."""
    if value is None:
        return None if "." in name else f"{name} can't be left out here"
    section, dot, key = name.partition(".")
    if section in SECTIONS and not dot:
        return f"{name} can't be chosen as a whole: name its keys one by one, as {name}.KEY"
    if name == "python" and not isinstance(value, str):
        return f"expected an interpreter's path or name, got {shown(value)}"
    if name == "lora_modules" and not isinstance(value, Mapping):
        return f"expected adapter folders by name, got {shown(value)}; write `label: {{{name}: {{NAME: FOLDER}}}}`"
    if name == "mode":
        return None if value in MODES else f"{shown(value)} is not a mode; there is {', '.join(MODES)}"
    if name == "replicas":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"expected a whole number, 1 or more, got {shown(value)}"
        return f"must be {MAX_REPLICAS:,} or less, got {shown(value)}" if value > MAX_REPLICAS else None
    if section == "load":
        return _load_problem(key, value)
    if section == "sampling":
        return sampling_problem(key)
    if section == "environment":
        return _variable_problem(key, value)
    return None


def _load_problem(key: str, value: Any) -> str | None:
    if key not in LoadSection.model_fields:
        return f"unknown key {key!r} of load; {did_you_mean(key, LoadSection.model_fields) or 'see the docs'}"
    try:
        LoadSection.model_validate({key: value})
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}, got {shown(value)}"
    return None


def sampling_problem(key: str) -> str | None:
    """What is wrong with the name of a sampling setting."""
    if key in _LENGTHS:
        return f"{key} is decided by prompts (output_tokens, or until_stop with max_tokens)"
    return None if _IDENTIFIER.fullmatch(key) else f"{key!r} is not the name of a sampling setting"


def _variable_problem(key: str, value: Any) -> str | None:
    problem = variable_problem(key)
    if problem is not None:
        return problem
    try:
        variable_value(value)
    except Exception as error:
        return str(error)
    return None


def load_problem(load: Mapping[str, Any]) -> tuple[str, str] | None:
    """What doesn't go together in a load section, and what to do; None when it is sound."""
    ramp = [name for name in ("ramp_up_strategy", "ramp_up_start_rps", "ramp_up_end_rps") if load.get(name) is not None]
    if ramp and len(ramp) < 3:
        return "a ramp needs ramp_up_strategy, ramp_up_start_rps and ramp_up_end_rps", "such as linear, 1, 10"
    for name, arrival in (("burstiness", "gamma"), ("burst_size", "burst")):
        if load.get(name) is not None and load.get("arrival", arrival) not in (None, arrival):
            return f"{name} has no effect with arrival {load['arrival']}", f"use arrival {arrival}, or leave it out"
    if load.get("burstiness") is not None and load.get("burst_size") is not None:
        return "burstiness and burst_size exclude each other", "keep one of them"
    if load.get("arrival") == "burst" and load.get("burst_size") is None:
        return "arrival burst needs a burst_size", "such as 8"
    if ramp and load.get("request_rate") is not None:
        return "request_rate and a ramp exclude each other", "keep one of them"
    for name in ("arrival", "burstiness", "burst_size"):
        if load.get(name) is not None and not ramp and load.get("request_rate") is None:
            return f"{name} needs a request_rate", "without one all requests are sent at once"
    return None


RANKS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "replicas")
"""What takes more GPUs than one."""


def num_gpus(config: Mapping[str, Any]) -> int:
    """How many a configuration takes."""
    counts = [config.get(name, 1) for name in RANKS]
    return math.prod(count for count in counts if isinstance(count, int) and count > 0)


def num_answers(config: Mapping[str, Any]) -> int | None:
    """How many each prompt is given, samples or beams; None where that is nothing that an engine takes."""
    sampling = config.get("sampling")
    asked = sampling if isinstance(sampling, Mapping) else {}
    answers = asked.get("beam_width") or asked.get("n") or 1
    return answers if isinstance(answers, int) and not isinstance(answers, bool) and answers > 0 else None


def whole_load(load: Mapping[str, Any]) -> dict[str, Any]:
    """The load as the worker takes it: what is null left out, the way of arrival said."""
    whole = {name: value for name, value in load.items() if value is not None}
    if "request_rate" in whole or "ramp_up_strategy" in whole:
        implied = "gamma" if "burstiness" in whole else "burst" if "burst_size" in whole else "poisson"
        whole.setdefault("arrival", implied)
    return whole
