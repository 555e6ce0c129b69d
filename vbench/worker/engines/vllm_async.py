"""vLLM, async: `AsyncLLM` in this process, its requests streamed one by one.

The engine core, its scheduler and its workers live in a child process (vLLM has no other way for `AsyncLLM`). What only
they know is not among the facts: the scheduler's own limits, the attention backend in use. The KV space is told to this
process when the core is ready. Sources: vLLM 0.32, `vllm/v1/engine/async_llm.py`, `vllm/v1/metrics/reader.py`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import time
from typing import Any, AsyncIterator, Dict, List, Optional

from ..load import add_tpot, drive
from . import vllm_common as common
from .base import Engine, PassResult, Scores, Work
from .listening import listening_notes
from .vllm_compat import engine_config
from .vllm_decoding import is_beam_search, lora_requests, sampling_params
from .vllm_facts import facts_of
from .vllm_scoring import cut_tokens, scores_of, scoring_params

# (module, class), newest first.
_CLASSES = (("vllm.v1.engine.async_llm", "AsyncLLM"), ("vllm.engine.async_llm_engine", "AsyncLLMEngine"))
# Those that `AsyncEngineArgs` doesn't turn from a dict itself.
_SECTIONS = {
    "kv_transfer_config": "KVTransferConfig",
    "profiler_config": "ProfilerConfig",
    "structured_outputs_config": "StructuredOutputsConfig",
}


class VllmAsync(Engine):
    """`AsyncLLM`, used as a library; its event loop is kept across passes and turns only while one is made."""

    is_fork_safe_on = ("cpu",)

    def __init__(self) -> None:
        self._engine: Any = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._pass_number = 0

    def describe(self) -> Dict[str, Any]:
        from .vllm_describe import describe

        return describe()

    def preload(self) -> None:
        common.preload()

    def platform(self) -> str:
        return common.platform()

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        arguments, notes = common.adapted(engine_args)
        weights = common.WeightsCount()
        if self.platform() == "cpu":
            notes += common.set_environment(common.parallel_environment(engine_args))
            common.count_weights(weights)
        if is_forked:
            common.start_processes_by_fork()
        self._loop = asyncio.new_event_loop()
        self._engine = self._run(_start(model, arguments))
        facts = facts_of(self._config())
        facts["weights_bytes"] = weights.of_fullest_process() or None  # where the core was forked; a GPU's log has it
        facts["notes"] = notes + listening_notes()
        return facts

    def _run(self, what: Any) -> Any:
        assert self._loop is not None
        return self._loop.run_until_complete(what)

    def _config(self) -> Any:
        return engine_config(getattr(self._engine, "engine", self._engine))  # AsyncLLMEngine's is one level down

    def check(self, work: Work) -> None:
        if is_beam_search(work):
            raise ValueError("beam search is offline only: use mode offline, or leave beam_width out")

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        return common.prepared(prompts, self._tokenizer)

    def _tokenizer(self) -> Any:
        found = self._engine.get_tokenizer()
        return self._run(found) if inspect.isawaitable(found) else found  # a coroutine up to 0.11

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        from vllm.sampling_params import RequestOutputKind

        self._pass_number += 1
        params = sampling_params(work, len(prompts), output_kind=RequestOutputKind.DELTA)
        adapters = lora_requests(work, len(prompts))
        answers = [_Answer() for _ in prompts]

        def send(index: int, prompt: Any) -> AsyncIterator[List[int]]:
            request_id = "{}-{}".format(self._pass_number, index)
            extra = {} if adapters is None else {"lora_request": adapters[index]}
            # A copy each, as the engine writes into it.
            return answers[index].read(self._engine.generate(prompt, params[index].clone(), request_id, **extra))

        result: PassResult = self._run(drive(prompts, work, send, self.on_tokens))
        result.input_tokens = [answer.input_tokens for answer in answers]
        result.token_ids = [answer.token_ids() for answer in answers]
        result.finish_reasons = [answer.finish_reason for answer in answers]
        result.given_tokens = common.given_tokens(prompts)
        add_tpot(result, [answer.longest() for answer in answers])
        return result

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        cut = cut_tokens(texts, self._tokenizer(), most_tokens, int(self._config().model_config.max_model_len))
        return scores_of(cut, self._run(self._prompt_logprobs([ids for ids, _ in cut])))

    async def _prompt_logprobs(self, prompts: List[List[int]]) -> List[Any]:
        async def ask(number: int, ids: List[int]) -> Any:
            found = None
            request = self._engine.generate({"prompt_token_ids": ids}, scoring_params(), "score-{}".format(number))
            async for output in request:
                found = output.prompt_logprobs or found
            return found

        return list(await asyncio.gather(*(ask(number, ids) for number, ids in enumerate(prompts))))

    def counters(self) -> Dict[str, float]:
        try:
            reader = importlib.import_module("vllm.v1.metrics.reader")  # from 0.10
        except ImportError:
            return {}
        return common.counters_of(reader.get_metrics_snapshot())

    def reset_prefix_cache(self) -> Optional[bool]:
        was_reset: Optional[bool] = self._run(self._reset())
        return was_reset

    async def _reset(self) -> Optional[bool]:
        deadline = time.monotonic() + common.RESET_PATIENCE_S
        reset = getattr(self._engine, "reset_prefix_cache", None)  # from 0.7
        if reset is None:
            return None
        while await reset() is False:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def close(self) -> None:
        if self._loop is None:
            return
        if self._engine is not None:
            self._run(_shut_down(self._engine))
        self._loop.close()


async def _start(model: str, engine_args: Dict[str, Any]) -> Any:
    """Made while the loop runs, for the engine's output handler to be a task of it."""
    from vllm.engine.arg_utils import AsyncEngineArgs

    arguments = AsyncEngineArgs(model=model, disable_log_stats=False, **_sections(engine_args))
    return _engine_class().from_engine_args(arguments)


def _sections(engine_args: Dict[str, Any]) -> Dict[str, Any]:
    """Sections given as plain values, in vLLM's own classes: what `LLM(...)` does for offline mode, and only it."""
    from vllm import config

    made = dict(engine_args)
    for name, class_name in _SECTIONS.items():
        if isinstance(made.get(name), dict):
            made[name] = getattr(config, class_name)(**made[name])
    mode = made.get("compilation_config")
    if isinstance(mode, int):
        field = "mode" if "mode" in inspect.signature(config.CompilationConfig).parameters else "level"
        made["compilation_config"] = config.CompilationConfig(**{field: mode})
    return made


def _engine_class() -> Any:
    for module, name in _CLASSES:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError("this vLLM has none of " + ", ".join(".".join(one) for one in _CLASSES))


async def _shut_down(engine: Any) -> None:
    """End the core's process and what is left of the engine's tasks, so that the loop closes with nothing pending."""
    for name in ("shutdown", "shutdown_background_loop"):
        end = getattr(engine, name, None)
        if end is not None:
            end()
            break
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Answer:
    """What has come for one request, by sequence."""

    def __init__(self) -> None:
        self.input_tokens = 0
        self.finish_reason: Optional[str] = None
        self._sequences: Dict[int, List[int]] = {}

    async def read(self, outputs: Any) -> AsyncIterator[List[int]]:
        """The new token ids of each chunk: a chunk holds more than one where the engine was ahead of its reader."""
        async for output in outputs:
            self.input_tokens = len(output.prompt_token_ids or ()) or self.input_tokens
            new: List[int] = []
            for one in output.outputs:
                self._sequences.setdefault(one.index, []).extend(one.token_ids)
                new.extend(one.token_ids)
                if one.index == 0:
                    self.finish_reason = one.finish_reason
            yield new

    def token_ids(self) -> List[int]:
        """Of all sequences, one after another."""
        return [token for index in sorted(self._sequences) for token in self._sequences[index]]

    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max((len(ids) for ids in self._sequences.values()), default=0)
