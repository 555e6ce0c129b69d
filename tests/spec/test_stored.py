"""The space of a run, from the file that is stored with it."""

from __future__ import annotations

import pytest

from vbench.spec.redacted_text import text_without_secrets
from vbench.spec.stored import stored_parameters
from vbench.spec.types import Range

SPACE = "parameters:\n  max_num_seqs: {low: 1, high: 16}\n"


@pytest.mark.parametrize(
    "environment",
    ["environment: {HF_TOKEN: hf_abc, A: b}\n", "environment:\n  HF_TOKEN: hf_abc  # mine\n  A: b\n"],
)
def test_a_hidden_secret_is_no_reason_to_forget_the_space(environment: str) -> None:
    text = text_without_secrets(environment + SPACE)
    assert "hf_abc" not in text

    (parameter,) = stored_parameters(text)
    assert isinstance(parameter.domain, Range)
