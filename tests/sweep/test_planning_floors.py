"""Whose quantization floors a plan has: the installed engine's, where it was asked before. A plan never asks it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vbench.errors import MachineError
from vbench.execution import interpreters
from vbench.execution.interpreters import Interpreter, cached_description, describe_engine
from vbench.planner.verdict import Verdict
from vbench.spec.loader import parse_spec
from vbench.sweep import forecast as forecast_module
from vbench.sweep.forecast import Forecast, forecast

TEXT = """\
name: cards
model: Qwen/Qwen2.5-7B-Instruct
engine: vllm
hardware: {hardware}
prompts: {{synthetic: {{count: 4, input_tokens: 8}}, output_tokens: 8}}
engine_args: {{dtype: float16, max_model_len: 1024}}
parameters: {{quantization: [awq, torchao, experts_int8]}}
search: {{method: grid}}
"""
FOUND = Interpreter(
    path="/opt/engine/bin/python", python_version="3.12.1", distribution="vllm", engine_version="0.32.0", packages={}
)
Plans = Callable[..., Forecast]


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Plans a sweep beside an installed vLLM 0.32.0 whose cached description, if any, has these methods."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(forecast_module, "find_interpreter", lambda *_: FOUND)
    monkeypatch.setattr(interpreters, "_describe", lambda *_: pytest.fail("a plan imported the engine"))

    def run(methods: dict[str, int | None] | None, platform: str = "cuda", hardware: str = "t4") -> Forecast:
        if methods is not None:
            cache = interpreters._cache_file(FOUND, "vllm")
            assert cache is not None
            described = {"version": "0.32.0", "platform": platform, "quantization_min_capability": methods}
            interpreters._write_cache(cache, described)
        return forecast(parse_spec(TEXT.format(hardware=hardware), tmp_path / "cards.yaml"), tmp_path / "results")

    return run


def verdicts(made: Forecast) -> list[Verdict]:
    """Of awq, torchao, experts_int8."""
    return [one.plan.verdict for one in made.configurations]


def test_the_installed_engines_answer_goes_before_the_table(plans: Plans) -> None:
    made = plans({"awq": 80, "experts_int8": 75})
    assert made.floors == "vLLM 0.32.0, as installed"
    assert verdicts(made) == [Verdict.UNSUPPORTED, Verdict.UNSUPPORTED, Verdict.FITS]
    awq, torchao, _ = made.configurations
    assert "needs compute capability 8.0, t4 has 7.5" in awq.plan.reason
    assert "torchao isn't in the installed vLLM 0.32.0" in torchao.plan.reason


def test_a_cpu_builds_values_hold_for_a_gpu_and_its_list_does_not(plans: Plans) -> None:
    made = plans({"awq": 80, "experts_int8": None}, platform="cpu")
    assert made.floors == "vLLM 0.32.0, as installed (its build for cpu; what that doesn't list: shipped table)"
    assert verdicts(made) == [Verdict.UNSUPPORTED, Verdict.FITS, Verdict.UNSUPPORTED]
    assert "experts_int8 needs compute capability 8.0" in made.configurations[2].plan.reason


def test_on_the_cpu_the_cpu_builds_list_is_the_list(plans: Plans) -> None:
    made = plans({"awq": 75}, platform="cpu", hardware="cpu")
    assert made.floors == "vLLM 0.32.0, as installed"
    assert [one.plan.verdict is Verdict.UNSUPPORTED for one in made.configurations] == [False, True, True]


@pytest.mark.parametrize(
    ("methods", "why"), [(None, "the installed engine wasn't asked yet"), ({}, "the installed engine doesn't say")]
)
def test_without_an_answer_the_table_of_that_version(
    plans: Plans, methods: dict[str, int | None] | None, why: str
) -> None:
    made = plans(methods)
    assert made.floors.startswith(f"shipped table for vLLM 0.32.0: {why}")
    assert verdicts(made) == [Verdict.FITS, Verdict.FITS, Verdict.UNSUPPORTED]


def test_without_an_engine_the_newest_table(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise MachineError("no engine")

    monkeypatch.setattr(forecast_module, "find_interpreter", none)
    assert plans({"awq": 80}).floors == "shipped table for vLLM 0.33.0: no engine was found here"


def test_an_option_of_another_interpreter_is_planned_by_what_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(python: str | None, _: str) -> Interpreter:
        if python == "/opt/gone/bin/python":
            raise MachineError("no such interpreter")
        return FOUND if python is None else dataclasses.replace(FOUND, path=python, engine_version="0.6.0")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(forecast_module, "find_interpreter", held)
    options = (
        "[squeezellm, {older: {quantization: squeezellm, python: /opt/old/bin/python}}, "
        "{gone: {quantization: squeezellm, python: /opt/gone/bin/python}}]"
    )
    text = TEXT.format(hardware="t4").replace("[awq, torchao, experts_int8]", options)
    made = forecast(parse_spec(text, tmp_path / "cards.yaml"), tmp_path / "results")
    assert verdicts(made) == [Verdict.UNSUPPORTED, Verdict.FITS, Verdict.UNCERTAIN]
    assert made.notes == (
        "python /opt/old/bin/python: vllm 0.6.0 (installed); quantization floors: shipped table for vLLM 0.6.0: "
        "the installed engine wasn't asked yet (a sweep or `vbench doctor` asks it)",
        "python /opt/gone/bin/python: no engine was found there: its configurations are tried",
    )


class TestCachedDescription:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        return tmp_path / "vbench"

    def test_nothing_before_it_was_asked_then_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(interpreters, "_describe", lambda *_: {"version": "as asked"})
        assert cached_description(FOUND, "vllm") is None
        assert describe_engine(FOUND, "vllm") == cached_description(FOUND, "vllm") == {"version": "as asked"}
        assert cached_description(FOUND, "fake") is None

    @pytest.mark.parametrize("kept", ["", '{"version": ', "[1]", "null"])
    def test_what_is_torn_or_no_description_is_none(
        self, cache: Path, kept: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        described: dict[str, Any] = {"version": "1"}
        monkeypatch.setattr(interpreters, "_describe", lambda *_: described)
        describe_engine(FOUND, "vllm")
        (file,) = cache.iterdir()
        file.write_text(kept)
        assert cached_description(FOUND, "vllm") is None
        assert describe_engine(FOUND, "vllm") == described
        assert json.loads(file.read_text()) == described

    def test_without_a_home_there_is_no_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
        assert cached_description(FOUND, "vllm") is None
