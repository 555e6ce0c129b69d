from __future__ import annotations

import pytest

from vbench.spec.constraints import parse_constraint

# 15,360 MiB and 15 GiB are both 15,360 × 1,048,576 = 16,106,127,360 bytes.
T4_BYTES = 16_106_127_360


@pytest.mark.parametrize(
    ("text", "quantity", "operator", "bound", "is_metric"),
    [
        ("peak_memory_mib <= 15360", "peak_memory_bytes", "<=", T4_BYTES, True),
        ("peak_memory_gib<15", "peak_memory_bytes", "<", T4_BYTES, True),
        ("peak_memory_bytes <= 1_000", "peak_memory_bytes", "<=", 1000, True),
        ("p95_ttft_ms <= 500", "p95_ttft_s", "<=", 0.5, True),
        ("startup_ms<=1e3", "startup_s", "<=", 1, True),
        ("mean_e2e_latency_s > .5", "mean_e2e_latency_s", ">", 0.5, True),
        ("output_throughput_tok_s >= 100", "output_throughput_tok_s", ">=", 100, True),
        ("max_model_len >= 4096", "max_model_len", ">=", 4096, False),
    ],
)
def test_a_constraint(text: str, quantity: str, operator: str, bound: float, is_metric: bool) -> None:
    read = parse_constraint(text, {"max_model_len"})

    assert (read.text, read.quantity, read.operator, read.is_metric) == (text, quantity, operator, is_metric)
    assert read.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("p95_ttft <= 5", "p95_ttft is neither a metric nor an argument", "did you mean p95_ttft_s?"),
        ("max_modle_len >= 4", "max_modle_len is neither", "did you mean max_model_len?"),
        ("ttft_s <= 5", "ttft_s is neither", "which? p50_ttft_s, p95_ttft_s, mean_ttft_s"),
        ("output_throughput_tok_ms > 1", "is neither", "did you mean output_throughput_tok_s?"),
        ("x > 5", "x is neither", "under engine_args or parameters"),
        ("peak_memory_mib == 5", "is not a constraint", "write NAME <= NUMBER"),
        ("peak_memory_mib <= 5 GiB", "is not a constraint", "no unit"),
        ("1 < startup_s < 5", "is not a constraint", "write NAME"),
        ("__import__('os') < 1", "is not a constraint", "write NAME"),
        ("startup_s <= 1e999", "too large", ""),
        ("", "is not a constraint", "write NAME"),
    ],
)
def test_what_is_not_a_constraint(text: str, message: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_constraint(text, {"max_model_len"})

    assert message in caught.value.args[0]
    assert hint in "".join(caught.value.args[1:])
