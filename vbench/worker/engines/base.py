"""The contract of an engine in a worker. Any engine, the fake included, passes tests/worker/test_engine_contract.py."""

from __future__ import annotations

import abc
import time
from typing import Any, Dict, List, Optional, Tuple, Union

from ..telling import OnTokens


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

    def asked_tokens(self) -> Optional[Union[int, List[int]]]:
        """What each prompt generates exactly, all its answers together: one number where all are alike; None where each
        runs until it stops, or where the number of answers is nothing that an engine takes."""
        answers = self.sampling.get("beam_width") or self.sampling.get("n") or 1
        if not isinstance(answers, int):
            return None
        if self.output_lengths is not None:
            return [length * answers for length in self.output_lengths]
        return None if self.output_tokens is None else self.output_tokens * answers

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
    `finish_reasons`: why each answer ended (of several the first's), in the engine's words. `given_tokens`: how many
    prompt tokens it was handed; None for a prompt that was handed over as text. `ended_t`: when the last answer had
    come, on the monotonic clock, where what is done with it then isn't the engine's; None: when `generate` returns.
    """

    def __init__(self, input_tokens: List[int], token_ids: List[List[int]]) -> None:
        self.input_tokens = input_tokens
        self.token_ids = token_ids
        self.ttft_s: Optional[List[Optional[float]]] = None
        self.tpot_s: Optional[List[Optional[float]]] = None
        self.e2e_latency_s: Optional[List[Optional[float]]] = None
        self.itl_s: Optional[List[List[float]]] = None
        self.send_s: Optional[List[float]] = None
        self.finish_reasons: Optional[List[Optional[str]]] = None
        self.given_tokens: Optional[List[Optional[int]]] = None
        self.ended_t: Optional[float] = None

    def late_s(self) -> float:
        """Seconds since it ended."""
        return 0.0 if self.ended_t is None else time.monotonic() - self.ended_t


class Scores:
    """How likely fixed texts are, in their order. `nll`: nats, of all of a text's tokens but the first, each given
    those before it. `tokens`: how many that sum is over. `num_cut`: texts that were longer than what was scored."""

    def __init__(self) -> None:
        self.nll: List[float] = []
        self.tokens: List[int] = []
        self.num_cut = 0


class Engine(abc.ABC):
    """One engine, in one process, for one trial: describe | preload → load → prepare → generate* → close."""

    can_probe = True
    """Whether `generate` may be given some of the prompts that `prepare` gave."""

    on_tokens: Optional[OnTokens] = None
    """Told now and then, within a pass whose answers come one by one, how many tokens there are so far."""

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

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        """The likelihood of the first `most_tokens` tokens of each text, at temperature 1, whatever the sweep samples
        at; fewer where the engine's context is shorter. Raises ValueError where it isn't a number."""
        raise NotImplementedError("this way of calling can't score texts")

    def greedy(self, items: List[Dict[str, Any]], work: Work) -> List[List[int]]:
        """The token ids that `work` gets to these prompt items (not what `prepare` made of them), outside any pass."""
        return self.generate(self.prepare(items), work).token_ids

    @abc.abstractmethod
    def counters(self) -> Dict[str, float]:
        """Monotonic counters of the engine's own metrics; the trial takes differences over each pass."""

    @abc.abstractmethod
    def reset_prefix_cache(self) -> Optional[bool]:
        """Forget cached prefixes, so that no pass profits from an earlier one. False: the engine goes on refusing.
        None: it has no such call. A version that doesn't say whether it did counts as one that did."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release what can be released; the process ends right after."""

    def clock(self) -> float:
        """The clock that passes are timed with, in seconds. Only the fake engine and replicas have one of their own."""
        return time.monotonic()

    def idle(self, seconds: float) -> None:
        """Let so much time pass on that clock, doing nothing: what makes an engine slower by a known share."""
        time.sleep(seconds)
