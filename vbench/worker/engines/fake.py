"""A fake engine with closed-form times and memory, for logic that needs exact arithmetic. Never a measurement.

Time of a pass of n prompts with p prompt and o output tokens each, s = min(max_num_seqs, n) at a time:

    ceil(n / s) · ( s·p·PREFILL_S + o · (STEP_S + s·SEQUENCE_S) · block_factor ) · quantization_factor · (1 + noise)

(the first `cold_passes` take `cold_factor` times as long) on a clock of its own, unless `sleep_scale` says how much of
that to really sleep. `fail` makes it misbehave on purpose: the engine argument from its start on, the sampling setting
in the passes that ask for it.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from typing import Any, Dict, List, Optional

from ..telling import TELL_S
from .base import Engine, PassResult, Scores, Work
from .misbehaving_results import SPOILED
from .misbehaviours import misbehave, parts_of

STEP_S = 0.010
SEQUENCE_S = 0.0005
PREFILL_S = 0.00001
QUANTIZATION_FACTOR = {None: 1.0, "awq": 0.6, "gptq": 0.65}
NLL_PER_TOKEN = 2.0
NLL_INCREASE = {None: 0.0, "awq": 0.014, "gptq": 0.05}
"""By quantization, of a text whose words are of middling length; see `score`."""
FIRST_DIFFERENCE = {"awq": 12, "gptq": 3}
"""By quantization, the greedy token from which on answers differ."""
BLOCK_FACTOR = {16: 1.1, 32: 1.0, 64: 0.9, 128: 1.2}
KV_BYTES_PER_TOKEN = 2048
WEIGHTS_BYTES = 64 * 1024**2
MEMORY_BYTES = 1024**3
CONTEXT_TOKENS = 8192

ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "max_num_seqs": {"type": "int", "choices": None},
    "max_model_len": {"type": "int", "choices": None},
    "block_size": {"type": "int", "choices": sorted(BLOCK_FACTOR)},
    "quantization": {"type": "str", "choices": ["awq", "gptq"]},
    "dtype": {"type": "str", "choices": ["float16", "bfloat16", "float32"]},
    "gpu_memory_utilization": {"type": "float", "choices": None},
    "enable_prefix_caching": {"type": "bool", "choices": None},
    "speculative_config": {"type": "dict", "choices": None},
    "seed": {"type": "int", "choices": None},
    "noise": {"type": "float", "choices": None},
    "sleep_scale": {"type": "float", "choices": None},
    "load_seconds": {"type": "float", "choices": None},
    "cold_passes": {"type": "int", "choices": None},
    "cold_factor": {"type": "float", "choices": None},
    "fail": {"type": "str", "choices": None},
    "hf_token": {"type": "str", "choices": None},
    "model_loader_extra_config": {"type": "dict", "choices": None},
    "trust_remote_code": {"type": "bool", "choices": None},
}
DEFAULTS: Dict[str, Any] = {
    "max_num_seqs": 256,
    "max_model_len": 2048,
    "block_size": 32,
    "quantization": None,
    "dtype": "bfloat16",
    "gpu_memory_utilization": 0.9,
    "enable_prefix_caching": False,
    "seed": 0,
    "noise": 0.0,
    "sleep_scale": 0.0,
    "load_seconds": 0.0,
    "cold_passes": 0,
    "cold_factor": 1.0,
    "fail": None,
}


class FakeEngine(Engine):
    """See the module. The argument `fail` is a kind of `misbehaviours`, at its phase (load where it says none, pass for
    those of `SPOILED`); the sampling setting is one too, `@reused` for an engine that has served a pass with other
    sampling before."""

    is_fork_safe_on = ("cpu",)

    def __init__(self) -> None:
        self._args: Dict[str, Any] = dict(DEFAULTS)
        self._time_s = 0.0
        self._random = random.Random(0)
        self._num_passes = 0
        self._counters = {"prompt_tokens": 0.0, "generation_tokens": 0.0}
        self._first_sampling: Optional[Dict[str, Any]] = None

    def describe(self) -> Dict[str, Any]:
        return {
            "engine": "fake",
            "version": "1",
            "platform": "cpu",
            "arguments": ARGUMENTS,
            "nested_keys": {"speculative_config": ["method", "num_speculative_tokens"]},
        }

    def preload(self) -> None:
        """Nothing to import."""

    def platform(self) -> str:
        return "cpu"

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        for name in engine_args:
            if name not in ARGUMENTS:
                raise TypeError("FakeEngine.__init__() got an unexpected keyword argument " + repr(name))
        self._args.update(engine_args)
        args = self._args
        self._random = random.Random(args["seed"])
        time.sleep(args["load_seconds"])
        self._misbehave("load")
        if args["max_model_len"] > CONTEXT_TOKENS:
            raise ValueError(
                "User-specified max_model_len ({}) is greater than the derived max_model_len "
                "(max_position_embeddings={})".format(args["max_model_len"], CONTEXT_TOKENS)
            )
        kv_bytes = int(MEMORY_BYTES * args["gpu_memory_utilization"]) - WEIGHTS_BYTES
        if kv_bytes < args["max_model_len"] * KV_BYTES_PER_TOKEN:
            raise ValueError("No available memory for the cache blocks.")
        return {
            "dtype": args["dtype"],
            "quantization": args["quantization"],
            "max_model_len": args["max_model_len"],
            "max_num_seqs": args["max_num_seqs"],
            "weights_bytes": WEIGHTS_BYTES,
            "kv_cache_tokens": kv_bytes // KV_BYTES_PER_TOKEN,
        }

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        return [
            item.get("prompt_token_ids") or str(item.get("prompt", item.get("messages"))).split() for item in prompts
        ]

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        self._misbehave("pass")
        self._misbehave_as_asked(work.sampling)
        lengths = [work.exact_tokens(index) or work.max_tokens or 16 for index in range(len(prompts))]
        num_tokens = max(lengths)
        seconds = self.pass_seconds(len(prompts), sum(map(len, prompts)) / len(prompts), num_tokens)
        seconds *= 1 + self._random.uniform(-1, 1) * self._args["noise"]
        if self._num_passes < self._args["cold_passes"]:
            seconds *= self._args["cold_factor"]
        self._num_passes += 1
        self._sleep(seconds, sum(lengths))
        self._time_s += seconds
        result = PassResult([len(prompt) for prompt in prompts], [_tokens(*one) for one in zip(prompts, lengths)])
        step_s = seconds / num_tokens
        result.ttft_s = [step_s] * len(prompts)
        result.e2e_latency_s = [seconds] * len(prompts)
        result.finish_reasons = ["length"] * len(prompts)
        result.given_tokens = [len(prompt) if isinstance(prompt[0], int) else None for prompt in prompts]
        result.tpot_s = [(seconds - step_s) / (num_tokens - 1) if num_tokens > 1 else None] * len(prompts)
        self._counters["prompt_tokens"] += sum(map(len, prompts))
        self._counters["generation_tokens"] += sum(lengths)
        for fail in (self._args["fail"], work.sampling.get("fail")):
            SPOILED.get(parts_of(fail or "")[0], _leave_sound)(result)
        return result

    def pass_seconds(self, num_prompts: int, prompt_tokens: float, output_tokens: int) -> float:
        """The formula of the module, without noise."""
        args = self._args
        at_once = min(args["max_num_seqs"], num_prompts)
        step_s = (STEP_S + at_once * SEQUENCE_S) * BLOCK_FACTOR[args["block_size"]]
        waves = math.ceil(num_prompts / at_once)
        seconds: float = (
            waves
            * (at_once * prompt_tokens * PREFILL_S + output_tokens * step_s)
            * QUANTIZATION_FACTOR[args["quantization"]]
        )
        return seconds

    def _sleep(self, seconds: float, tokens: int) -> None:
        """What of a pass is really slept, and what it says meanwhile: as if its tokens came evenly."""
        wall_s = seconds * self._args["sleep_scale"]
        begun = time.monotonic()
        done = 0.0
        while self.on_tokens is not None and wall_s - done > TELL_S:
            time.sleep(TELL_S)
            done = time.monotonic() - begun
            share = min(1.0, done / wall_s)
            self.on_tokens(int(share * tokens), share * seconds)
        time.sleep(max(0.0, wall_s - done))

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        """A token is a word: NLL = (tokens − 1) · NLL_PER_TOKEN · (1 + increase · (0.5 + r)), r in 0 … 1, a text's."""
        self._misbehave("quality")
        scores = Scores()
        for text in texts:
            count = len(text.split())
            tokens = min(count, most_tokens, self._args["max_model_len"] - 1)
            share = hashlib.sha256(text.encode()).digest()[0] / 255
            factor = 1 + NLL_INCREASE[self._args["quantization"]] * (0.5 + share)
            scores.nll.append((tokens - 1) * NLL_PER_TOKEN * factor)
            scores.tokens.append(tokens - 1)
            scores.num_cut += tokens < count
        return scores

    def greedy(self, items: List[Dict[str, Any]], work: Work) -> List[List[int]]:
        answers = super().greedy(items, work)
        same = FIRST_DIFFERENCE.get(self._args["quantization"])
        return answers if same is None else [ids[:same] + [token + 1 for token in ids[same:]] for ids in answers]

    def counters(self) -> Dict[str, float]:
        return dict(self._counters)

    def reset_prefix_cache(self) -> bool:
        """No cache to reset."""
        return True

    def close(self) -> None:
        self._misbehave("close")

    def clock(self) -> float:
        return self._time_s

    def idle(self, seconds: float) -> None:
        time.sleep(seconds * self._args["sleep_scale"])
        self._time_s += seconds

    def _misbehave(self, phase: str) -> None:
        kind, text, where = parts_of(self._args["fail"] or "")
        if kind and kind not in SPOILED and (where or "load") == phase:
            misbehave(kind, text)

    def _misbehave_as_asked(self, sampling: Dict[str, Any]) -> None:
        if self._first_sampling is None:
            self._first_sampling = sampling
        kind, text, where = parts_of(sampling.get("fail") or "")
        if kind and kind not in SPOILED and (not where or sampling != self._first_sampling):
            misbehave(kind, text)


def _leave_sound(result: PassResult) -> None:
    """Do nothing to it."""


def _tokens(prompt: Any, count: int) -> List[int]:
    digest = hashlib.sha256(repr(prompt).encode()).digest()
    return [digest[i % len(digest)] for i in range(count)]
