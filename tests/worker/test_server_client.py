"""What the client of a server makes of bytes: streamed answers, requests' bodies, metrics. No engine runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.execution.bench import PROMPTS
from vbench.worker.engines.base import Work
from vbench.worker.engines.http_control import HttpError, error_message
from vbench.worker.engines.http_stream import Answer
from vbench.worker.engines.vllm_server_metrics import cache_facts, counters_of
from vbench.worker.engines.vllm_server_requests import CHAT, COMPLETIONS, bodies, fields_of

CHAT_PROMPT = {"messages": [{"role": "user", "content": "Count to three."}]}
TEXT_PROMPT = {"prompt": "The river was high that year."}


class TestAnswer:
    def test_sequences_are_put_one_after_another(self) -> None:
        answer = Answer()
        for index, ids in ((0, [1]), (1, [7]), (0, [2, 3]), (1, [8])):
            assert answer.take({"choices": [{"index": index, "token_ids": ids}]}) == ids
        answer.take({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 5}})
        answer.check()

        assert (answer.token_ids, answer.input_tokens) == ([1, 2, 3, 7, 8], 4)

    def test_tokens_are_counted_by_usage_where_a_version_sends_no_ids(self) -> None:
        answer = Answer()
        came = [
            len(answer.take({"choices": [{"index": 0}], "usage": {"prompt_tokens": 4, "completion_tokens": so_far}}))
            for so_far in (1, 3, 3, 4)
        ]
        answer.check()

        assert came == [1, 2, 0, 1]

    @pytest.mark.parametrize(
        ("usage", "said"),
        [
            (None, "ended without its usage, after 2 tokens"),
            ({"prompt_tokens": 4, "completion_tokens": 3}, "the server counts 3 tokens where 2 came"),
        ],
    )
    def test_a_count_that_differs_is_an_error(self, usage: dict[str, int] | None, said: str) -> None:
        answer = Answer()
        answer.take({"choices": [{"index": 0, "token_ids": [1, 2]}], "usage": usage})

        with pytest.raises(RuntimeError, match=said):
            answer.check()

    def test_an_error_amid_the_stream_is_raised(self) -> None:
        with pytest.raises(HttpError, match="HTTP 500: EngineCore encountered an issue"):
            Answer().take({"error": {"message": "EngineCore encountered an issue", "code": 500}})


class TestBodies:
    def test_prompts_of_each_kind_ask_for_the_same(self) -> None:
        work = Work({"output_tokens": 5, "sampling": {"top_p": 0.5, "logprobs": 2}})
        made = [(path, json.loads(body)) for path, body in bodies([PROMPTS[0], TEXT_PROMPT, CHAT_PROMPT], work, {})]

        alike = {"temperature": 0.0, "max_tokens": 5, "ignore_eos": True, "top_p": 0.5, "model": "vbench",
                 "stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True}  # fmt: skip
        assert made == [
            (COMPLETIONS, {**alike, "prompt": PROMPTS[0]["prompt_token_ids"], "logprobs": 2}),
            (COMPLETIONS, {**alike, "prompt": TEXT_PROMPT["prompt"], "logprobs": 2}),
            (CHAT, {**alike, "messages": CHAT_PROMPT["messages"], "logprobs": True, "top_logprobs": 2}),
        ]

    def test_a_version_without_token_ids_is_asked_for_counts(self) -> None:
        known = {"prompt", "temperature", "max_tokens", "ignore_eos", "stream", "stream_options"}
        schema: dict[str, Any] = {"properties": {name: {} for name in known}}
        fields = fields_of({"components": {"schemas": {"CompletionRequest": schema, "ChatCompletionRequest": schema}}})
        ((_, body),) = bodies([TEXT_PROMPT], Work({"output_tokens": 5}), fields)

        assert json.loads(body)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
        assert "return_token_ids" not in json.loads(body)

    def test_a_server_that_doesnt_say_its_fields_is_asked_all_the_same(self) -> None:
        assert fields_of({"openapi": "3.1.0"}) == fields_of(None) == {}


def test_metrics_are_read_from_prometheus_text() -> None:
    text = (
        "# TYPE vllm:generation_tokens_total counter\n"
        'vllm:generation_tokens_total{engine="0",model_name="a b, c"} 30.0\n'
        'vllm:generation_tokens_total{engine="1",model_name="a b, c"} 1.2e+01\n'
        'vllm:generation_tokens_created{engine="0"} 1.7e+09\n'
        'vllm:cache_config_info{block_size="32",engine="0",num_gpu_blocks="256",sliding_window="None"} 1.0\n'
    )

    assert counters_of(text) == {"generation_tokens": 42.0}
    assert cache_facts(text) == {"block_size": 32, "num_gpu_blocks": 256, "kv_cache_tokens": 8192}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": {"message": "no such model", "code": 404}}', "no such model"),
        ('{"object": "error", "message": "too long"}', "too long"),
        ("Internal Server Error", "Internal Server Error"),
    ],
)
def test_a_servers_own_words_are_found(text: str, message: str) -> None:
    assert error_message(text) == message
