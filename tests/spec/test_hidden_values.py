from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.errors import SpecError
from vbench.spec.hidden_values import refuse_hidden_values
from vbench.spec.types import SweepSpec

Parse = Callable[..., SweepSpec]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('environment: {HF_TOKEN: "***"}\n', "environment.HF_TOKEN"),
        ('environment: {HTTPS_PROXY: "http://me:***@host"}\n', "environment.HTTPS_PROXY"),
        ('engine_args: {a: {token: "***"}}\n', "engine_args.a"),
    ],
)
def test_what_vbench_hid_is_never_given_to_an_engine(parse: Parse, text: str, key: str) -> None:
    spec = parse(text)
    with pytest.raises(SpecError) as raised:
        refuse_hidden_values(spec, Path("x.yaml"))
    assert [problem.key for problem in raised.value.problems] == [key]
    assert "your own environment" in str(raised.value)


def test_what_is_not_hidden_is_let_through(parse: Parse) -> None:
    refuse_hidden_values(parse('environment: {A: "a *** b"}\nengine_args: {b: 2}\nbaseline: {}\n'), Path("x.yaml"))
