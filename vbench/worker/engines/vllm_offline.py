"""vLLM, offline: one `LLM` in this process, one `generate` (or `beam_search`) a pass.

Sources: vLLM's `EngineArgs`, `LLM` and `RequestOutput.metrics` (RequestStateStats) as of 0.32. Without
`disable_log_stats=False` there is no `get_metrics()`.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from . import vllm_common as common
from .base import Engine, PassResult, Scores, Work
from .listening import listening_notes
from .vllm_compat import engine_config, platform, request_times
from .vllm_decoding import beam_params, is_beam_search, lora_requests, sampling_params
from .vllm_facts import facts_of, live_facts
from .vllm_scoring import cut_tokens, scores_of, scoring_params

_SLACK_S = 0.5
"""A latency that is put together from two clocks may be longer than its pass by what telling takes: never as much."""


class VllmOffline(Engine):
    """`vllm.LLM`, used as a library."""

    # Forking is safe where no GPU context can exist; what else it needs (one OpenMP thread) the keeper checks.
    is_fork_safe_on = ("cpu",)

    def __init__(self) -> None:
        self._llm: Any = None

    def describe(self) -> Dict[str, Any]:
        from .vllm_describe import describe

        return describe()

    def preload(self) -> None:
        common.preload()

    def platform(self) -> str:
        return platform()

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        arguments, notes = common.adapted(engine_args)
        weights = common.WeightsCount()
        if self.platform() == "cpu":
            # The engine core in this process: the real exception instead of a wrapper, and no second import of vLLM.
            wanted = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
            wanted.update(common.parallel_environment(engine_args))
            notes += common.set_environment(wanted)
            common.count_weights(weights)
        if is_forked:
            common.start_processes_by_fork()
        from vllm import LLM

        self._llm = LLM(model=model, disable_log_stats=False, **arguments)
        facts = facts_of(engine_config(self._llm.llm_engine))
        facts.update(live_facts(getattr(self._client(), "engine_core", None)))
        facts["weights_bytes"] = weights.of_fullest_process() or None  # on a GPU the engine's log has it
        facts["notes"] = notes + listening_notes()
        return facts

    def _client(self) -> Any:
        """What speaks with the engine core; has it as `engine_core` where it is in this process."""
        return getattr(self._llm.llm_engine, "engine_core", None)

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        return common.prepared(prompts, self._llm.get_tokenizer)

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        lora: Dict[str, Any] = {}
        requests = lora_requests(work, len(prompts))
        if requests is not None:
            lora["lora_request"] = requests
        if is_beam_search(work):
            return _beams(self._llm.beam_search(prompts, beam_params(work), **lora))
        begun = time.monotonic()
        outputs = self._llm.generate(prompts, sampling_params(work, len(prompts)), use_tqdm=False, **lora)
        took_s = time.monotonic() - begun
        result = PassResult(
            input_tokens=[len(output.prompt_token_ids or ()) for output in outputs],
            token_ids=[[token for one in output.outputs for token in one.token_ids] for output in outputs],
        )
        result.finish_reasons = [output.outputs[0].finish_reason for output in outputs]
        result.given_tokens = common.given_tokens(prompts)
        longest = [max(len(one.token_ids) for one in output.outputs) for output in outputs]
        _add_latencies(result, [output.metrics for output in outputs], longest, took_s)
        return result

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        context = int(engine_config(self._llm.llm_engine).model_config.max_model_len)
        cut = cut_tokens(texts, self._llm.get_tokenizer(), most_tokens, context)
        prompts = [{"prompt_token_ids": ids} for ids, _ in cut]
        outputs = self._llm.generate(prompts, scoring_params(), use_tqdm=False)
        return scores_of(cut, [output.prompt_logprobs for output in outputs])

    def counters(self) -> Dict[str, float]:
        get_metrics = getattr(self._llm, "get_metrics", None)  # from 0.10.2
        return common.counters_of(get_metrics()) if get_metrics is not None else {}

    def reset_prefix_cache(self) -> Optional[bool]:
        reset = getattr(self._llm, "reset_prefix_cache", None) or getattr(
            self._llm.llm_engine, "reset_prefix_cache", None
        )
        if reset is None:
            return None
        deadline = time.monotonic() + common.RESET_PATIENCE_S
        while reset() is False:  # None: a version that doesn't say
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        # Ranks and engine cores in other processes are told to end; an engine in this process ends with it, a second
        # sooner than by its own shutdown.
        client = self._client()
        is_in_process = hasattr(client, "engine_core")
        if not is_in_process or engine_config(self._llm.llm_engine).parallel_config.world_size > 1:
            shutdown = getattr(client, "shutdown", None)
            if shutdown is not None:
                shutdown()


def _beams(outputs: List[Any]) -> PassResult:
    """All beams of each prompt. vLLM runs beam search as many short requests and keeps no latencies of the whole."""
    result = PassResult(input_tokens=[], token_ids=[])
    for output in outputs:
        first = output.sequences[0]
        prompt = getattr(first, "orig_prompt", None)
        # Before `orig_prompt`, a token of the answer is one that has logprobs.
        length = len(prompt["prompt_token_ids"]) if prompt else len(first.tokens) - len(first.logprobs)
        result.input_tokens.append(length)
        result.token_ids.append([token for one in output.sequences for token in one.tokens[length:]])
    return result


def _add_latencies(result: PassResult, stats: List[Any], longest: List[int], took_s: float) -> None:
    """TTFT, E2E and TPOT as vLLM's `calculate_metrics` defines them, from RequestStateStats.

    `first_token_latency` is on the wall clock and the `*_ts` on the engine's monotonic one, so E2E is put together from
    one difference of each, never across. With several sequences a prompt they are those of the one that ended last.
    """
    times = [request_times(one) for one in stats]
    if not times or None in times:
        return
    ttft = [one[0] for one in times if one is not None]
    decode = [one[1] for one in times if one is not None]
    e2e = [first + rest for first, rest in zip(ttft, decode)]
    is_within = all(0.0 <= first <= 1.01 * took_s + 0.01 for first in ttft) and max(e2e) <= took_s + _SLACK_S
    if is_within:  # else that clock was set meanwhile
        result.ttft_s, result.e2e_latency_s = list(ttft), list(e2e)
    if max(decode) <= took_s + _SLACK_S:  # of V0 they are on that clock too
        result.tpot_s = [rest / (tokens - 1) if tokens > 1 else None for rest, tokens in zip(decode, longest)]
