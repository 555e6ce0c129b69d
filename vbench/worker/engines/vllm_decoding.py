"""How a pass's tokens are chosen, in the words of vLLM's SamplingParams, BeamSearchParams and LoRARequest."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any, Dict, List, Optional, Tuple

from .base import Work

# Given as plain values in a sweep file; vLLM wants its own classes, whichever of the names a version has.
_NESTED = {"structured_outputs": "StructuredOutputsParams", "guided_decoding": "GuidedDecodingParams"}


def is_beam_search(work: Work) -> bool:
    """Whether the pass asks for beam search, which vLLM offers beside sampling."""
    return "beam_width" in work.sampling


def sampling_params(work: Work, count: int, **ours: Any) -> List[Any]:
    """The SamplingParams of each of `count` requests of a pass; greedy unless the pass says otherwise.

    One object where all are alike: vLLM reads it, and where it writes into it the caller makes copies.
    """
    if work.output_lengths is None:
        return [_sampling_params(work, 0, ours)] * count
    return [_sampling_params(work, index, ours) for index in range(count)]


def _sampling_params(work: Work, index: int, ours: Dict[str, Any]) -> Any:
    from vllm import SamplingParams

    fields: Dict[str, Any] = {"temperature": 0.0}
    fields.update(work.sampling)
    for name, class_name in _NESTED.items():
        if isinstance(fields.get(name), dict):
            fields[name] = _nested_class(class_name)(**fields[name])
    fields.update(_lengths(work, index), **ours)
    _check(SamplingParams, fields)
    return SamplingParams(**fields)


def beam_params(work: Work) -> Any:
    """The BeamSearchParams of a pass. Raises ValueError where lengths differ: vLLM takes one for all requests."""
    if work.output_lengths is not None:
        raise ValueError("beam search takes one output_tokens for all prompts")
    from vllm.sampling_params import BeamSearchParams

    fields = dict(work.sampling, **_lengths(work, 0))
    _check(BeamSearchParams, fields)
    return BeamSearchParams(**fields)


def _lengths(work: Work, index: int) -> Dict[str, Any]:
    exact = work.exact_tokens(index)
    if exact is not None:
        return {"max_tokens": exact, "ignore_eos": True}
    return {"max_tokens": work.max_tokens}


def _nested_class(name: str) -> Any:
    from vllm import sampling_params as module

    return getattr(module, name)


def _check(kind: Any, fields: Dict[str, Any]) -> None:
    """TypeError for a field that this version doesn't have, with the nearest that it has."""
    known = _fields_of(kind)
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = "; did you mean {!r}?".format(near[0]) if near else ""
            raise TypeError("{} has no field {!r}{}".format(kind.__name__, name, hint))


@functools.lru_cache(maxsize=None)
def _fields_of(kind: Any) -> Tuple[str, ...]:
    """Asked once: it takes 0.25 ms, and each request of a timed pass may have parameters of its own."""
    return tuple(sorted(inspect.signature(kind).parameters))


def lora_requests(work: Work, count: int) -> Optional[List[Any]]:
    """The adapter of each of `count` prompts, given in turn; None without adapters."""
    if not work.lora_modules:
        return None
    from vllm.lora.request import LoRARequest

    adapters = [LoRARequest(name, number, path) for number, (name, path) in enumerate(work.lora_modules.items(), 1)]
    return [adapters[index % len(adapters)] for index in range(count)]
