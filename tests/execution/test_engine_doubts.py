from __future__ import annotations

from typing import Any

import pytest

from vbench.execution.engine_doubts import engine_doubts

LINE = "WARNING 11-21 [interface.py:1458] Unknown vLLM environment variable detected: VLLM_ATENTION_BACKEND"


@pytest.mark.parametrize(
    ("config", "facts", "log", "expected"),
    [
        ({}, {"attention_backends_in_use": ["CPU_ATTN"]}, "", []),
        ({"attention_backend": "CPU_ATTN"}, {"attention_backends_in_use": ["CPU_ATTN"]}, "", []),
        ({"attention_backend": "TRITON_ATTN"}, {"attention_backends_in_use": ["TRITON_ATTN_VLLM_V1"]}, "", []),
        ({"attention_backend": "FLASHINFER"}, {}, "", []),  # not known, so not doubted
        (
            {"attention_backend": "FLASHINFER"}, {"attention_backends_in_use": ["CPU_ATTN"]}, "",
            ["attention_backend FLASHINFER had no effect: the engine uses CPU_ATTN"],
        ),
        ({"environment": {"A": "1"}}, {}, LINE, []),  # the shell's, not the sweep's
        (
            {"environment": {"VLLM_ATENTION_BACKEND": "x"}}, {}, f"{LINE}\n{LINE}",
            ["this vLLM knows no variable VLLM_ATENTION_BACKEND: it had no effect; check its name"],
        ),
    ],
)  # fmt: skip
def test_what_was_asked_and_is_not_done(
    config: dict[str, Any], facts: dict[str, Any], log: str, expected: list[str]
) -> None:
    assert engine_doubts(config, facts, log) == expected
