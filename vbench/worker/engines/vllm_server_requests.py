"""The bodies of a pass's requests, in the words of vLLM's OpenAI-compatible server."""

from __future__ import annotations

import difflib
import json
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from .base import Work
from .vllm_server_process import SERVED_NAME

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
_SCHEMAS = {COMPLETIONS: "CompletionRequest", CHAT: "ChatCompletionRequest"}
Fields = Dict[str, FrozenSet[str]]


def fields_of(openapi: Any) -> Fields:
    """What the server's endpoints say they take, by path. Empty where it doesn't say."""
    try:
        schemas = openapi["components"]["schemas"]
        return {path: frozenset(schemas[name]["properties"]) for path, name in _SCHEMAS.items()}
    except (KeyError, TypeError):
        return {}


def bodies(prompts: Sequence[Mapping[str, Any]], work: Work, fields: Fields) -> List[Tuple[str, bytes]]:
    """Path and body of each prompt's request. Adapters are given to the prompts in turn."""
    models = list(work.lora_modules) or [SERVED_NAME]
    made: Dict[str, Dict[str, Any]] = {}
    requests = []
    for index, prompt in enumerate(prompts):
        path = CHAT if "messages" in prompt else COMPLETIONS
        if path not in made:
            made[path] = _common(path, work, fields.get(path))
        body = dict(made[path], model=models[index % len(models)])
        exact = work.exact_tokens(index)
        body.update({"max_tokens": work.max_tokens} if exact is None else {"max_tokens": exact, "ignore_eos": True})
        if path == CHAT:
            body["messages"] = prompt["messages"]
        else:
            body["prompt"] = prompt["prompt_token_ids"] if "prompt_token_ids" in prompt else prompt["prompt"]
        requests.append((path, json.dumps(body).encode()))
    return requests


def most_tokens(work: Work, count: int) -> List[Optional[int]]:
    """What the answer to each prompt may hold, all its sequences together; None where the request doesn't say."""
    sequences = work.sampling.get("beam_width") or work.sampling.get("n") or 1
    if not isinstance(sequences, int):
        return [None] * count
    exact = [work.exact_tokens(index) for index in range(count)]
    most = [work.max_tokens if one is None else one for one in exact]
    return [None if one is None else one * sequences for one in most]


def _common(path: str, work: Work, known: Optional[FrozenSet[str]]) -> Dict[str, Any]:
    """What all requests of the path have alike."""
    body: Dict[str, Any] = {"temperature": 0.0, **work.sampling}
    if "beam_width" in body:
        # Not streamed: the server refuses beam search with `stream`.
        body.update(use_beam_search=True, n=body.pop("beam_width"), return_token_ids=True)
    else:
        body.update(_streaming(known))
    if path == CHAT and isinstance(body.get("logprobs"), int):
        body.update(logprobs=True, top_logprobs=body["logprobs"])  # chat says it in two fields
    if known is not None:
        _refuse_unknown(path, body, known)
    return body


def _streaming(known: Optional[FrozenSet[str]]) -> Dict[str, Any]:
    """Streamed, with the ids of each event's tokens; where a version has no ids, with their count so far."""
    has_ids = known is None or "return_token_ids" in known
    if has_ids:
        return {"stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True}
    return {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}


def _refuse_unknown(path: str, body: Dict[str, Any], known: FrozenSet[str]) -> None:
    """TypeError for a field that the server would ignore without a word, with the nearest that it has."""
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = "; did you mean {!r}?".format(near[0]) if near else ""
            raise TypeError("the server's {} has no field {!r}{}".format(path, name, hint))
