"""The contract of an engine in a worker. Any engine, the fake included, passes tests/worker/test_engine_contract.py."""

from __future__ import annotations

import abc
import time
from typing import Any, Dict, List, Optional, Tuple


class PassResult:
    """What one traversal gave, in the order of the prompts. A latency column is None where the engine has none."""

    def __init__(self, input_tokens: List[int], token_ids: List[List[int]]) -> None:
        self.input_tokens = input_tokens
        self.token_ids = token_ids
        self.ttft_s: Optional[List[Optional[float]]] = None
        self.tpot_s: Optional[List[Optional[float]]] = None
        self.e2e_latency_s: Optional[List[Optional[float]]] = None


class Engine(abc.ABC):
    """One engine, in one process, for one trial: describe | preload → load → prepare → generate* → close."""

    is_fork_safe_on: Tuple[str, ...] = ()
    """Platforms (`cpu`) on which a process may fork after `preload` and load in the child."""

    @abc.abstractmethod
    def describe(self) -> Dict[str, Any]:
        """`{engine, version, platform, arguments: {name: {type, choices}}}` without loading a model."""

    @abc.abstractmethod
    def preload(self) -> None:
        """Import what `load` needs, so that it need not be imported again after a fork. Must start no thread."""

    @abc.abstractmethod
    def platform(self) -> str:
        """`cpu` or `cuda` (after `preload`)."""

    @abc.abstractmethod
    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        """Build the engine; returns the facts it reports of itself. Unknown arguments raise, naming the argument."""

    @abc.abstractmethod
    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        """Turn prompt items into what `generate` takes (chat templates, token ids), outside any timed pass."""

    @abc.abstractmethod
    def generate(self, prompts: List[Any], output_tokens: Optional[int], max_tokens: Optional[int]) -> PassResult:
        """Generate for all prompts, greedily: exactly `output_tokens` each, or until each stops within `max_tokens`."""

    @abc.abstractmethod
    def counters(self) -> Dict[str, float]:
        """Monotonic counters of the engine's own metrics; the trial takes differences over each pass."""

    @abc.abstractmethod
    def reset_prefix_cache(self) -> None:
        """Forget cached prefixes, so that no pass profits from an earlier one."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release what can be released; the process ends right after."""

    def clock(self) -> float:
        """The clock that passes are timed with, in seconds. Only the fake engine has one of its own."""
        return time.monotonic()
