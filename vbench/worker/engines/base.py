"""The contract of an engine in a worker. Any engine, the fake included, passes tests/worker/test_engine_contract.py."""

from __future__ import annotations

import abc
import time
from typing import Any, Dict, List, Optional, Tuple


class Work:
    """What every pass of a trial asks of its requests, the same for each way of calling (`mode`).

    `output_lengths`: exact tokens of each prompt, where they differ; else `output_tokens`, the same for all.
    `sampling`: fields of vLLM's SamplingParams besides lengths (temperature 0 unless given), or `beam_width`, which
    asks for beam search. `arrivals_s`: when each prompt is sent, in seconds from the pass's start; None: all at once.
    `max_concurrency`: requests in flight at most. Both belong to modes that take requests one by one.
    `lora_modules`: adapter folders by name, given to the prompts in turn.
    """

    def __init__(self, request: Dict[str, Any]) -> None:
        self.output_tokens: Optional[int] = request.get("output_tokens")
        self.output_lengths: Optional[List[int]] = request.get("output_lengths")
        self.max_tokens: Optional[int] = request.get("max_tokens")
        self.sampling: Dict[str, Any] = dict(request.get("sampling") or {})
        self.lora_modules: Dict[str, str] = dict(request.get("lora_modules") or {})
        self.arrivals_s: Optional[List[float]] = request.get("arrivals_s")
        self.max_concurrency: Optional[int] = request.get("max_concurrency")

    def as_request(self) -> Dict[str, Any]:
        """The keys that make an equal Work again, for another process."""
        return dict(vars(self))

    def exact_tokens(self, index: int) -> Optional[int]:
        """What prompt `index` generates exactly; None: until it stops, within `max_tokens`."""
        return self.output_tokens if self.output_lengths is None else self.output_lengths[index]

    def of(self, indexes: List[int]) -> "Work":
        """The same asked of these prompts alone; of arrivals, as many as there are prompts, from the first."""
        part = Work(self.as_request())
        if self.arrivals_s is not None:
            part.arrivals_s = self.arrivals_s[: len(indexes)]
        if self.output_lengths is not None:
            part.output_lengths = [self.output_lengths[index] for index in indexes]
        return part

    def share(self, index: int, count: int) -> "Work":
        """What replica `index` of `count` does: every `count`-th prompt from `index` on, at the same times, with its
        part of the concurrency (at least 1)."""
        part = Work(self.as_request())
        if self.arrivals_s is not None:
            part.arrivals_s = self.arrivals_s[index::count]
        if self.output_lengths is not None:
            part.output_lengths = self.output_lengths[index::count]
        if self.max_concurrency is not None:
            part.max_concurrency = max(1, (self.max_concurrency + count - 1 - index) // count)
        return part


class PassResult:
    """What one traversal gave, in the order of the prompts. A latency column is None where the engine has none.

    `token_ids`: of all sequences of a prompt, one after another. `itl_s`: gaps between a request's consecutive chunks
    (streaming modes only), as `vllm bench serve` counts them. `send_s`: when each was sent, from the pass's start.
    """

    def __init__(self, input_tokens: List[int], token_ids: List[List[int]]) -> None:
        self.input_tokens = input_tokens
        self.token_ids = token_ids
        self.ttft_s: Optional[List[Optional[float]]] = None
        self.tpot_s: Optional[List[Optional[float]]] = None
        self.e2e_latency_s: Optional[List[Optional[float]]] = None
        self.itl_s: Optional[List[List[float]]] = None
        self.send_s: Optional[List[float]] = None


class Engine(abc.ABC):
    """One engine, in one process, for one trial: describe | preload → load → prepare → generate* → close."""

    can_probe = True
    """Whether `generate` may be given some of the prompts that `prepare` gave."""

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

    def check(self, work: Work) -> None:
        """Raise ValueError for work that this way of calling can't do, before anything is loaded."""
        return None

    @abc.abstractmethod
    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        """Turn prompt items into what `generate` takes (chat templates, token ids), outside any timed pass."""

    @abc.abstractmethod
    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        """Answer all prompts: exactly `work.output_tokens` each, or until each stops within `work.max_tokens`."""

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
