"""What is made once for all passes of a trial, and what must have happened before the next one begins."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vbench.worker.engines import vllm_common
from vbench.worker.engines.base import PassResult, Work
from vbench.worker.engines.fake import FakeEngine
from vbench.worker.engines.vllm_decoding import sampling_params
from vbench.worker.engines.vllm_offline import VllmOffline
from vbench.worker.protocol import Channel
from vbench.worker.replica import _Replica
from vbench.worker.trial import _Trial


class Remembering(FakeEngine):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Work] = []

    def generate(self, prompts: list[Any], work: Work) -> PassResult:
        self.asked.append(work)
        return super().generate(prompts, work)


def test_a_replica_asks_its_engine_for_the_same_work_in_every_pass() -> None:
    """In server mode the bodies of the requests are kept with it: writing them down isn't to be timed."""
    engine = Remembering()
    replica = _Replica(engine, is_forked=True)
    replica.prepare([{"prompt_token_ids": [1, 2]}])
    for tokens in (4, 4, 5):
        replica.generate(Work({"output_tokens": tokens}).as_request())

    first, second, other = engine.asked
    assert first is second
    assert (first.output_tokens, other.output_tokens) == (4, 5)


def test_the_names_of_sampling_settings_are_asked_once_not_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class SamplingParams:
        def __init__(self, temperature: float, max_tokens: int, ignore_eos: bool) -> None:
            self.max_tokens = max_tokens

    asked: list[object] = []
    signature = inspect.signature

    def counted(kind: Callable[..., Any]) -> inspect.Signature:
        asked.append(kind)
        return signature(kind)

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SamplingParams))
    monkeypatch.setattr(inspect, "signature", counted)
    made = sampling_params(Work({"output_lengths": [3, 5, 7]}), 3)

    assert [one.max_tokens for one in made] == [3, 5, 7]
    assert asked == [SamplingParams]


class TestOfflineReset:
    def engine(self, answers: list[Any]) -> VllmOffline:
        made = VllmOffline()
        made._llm = SimpleNamespace(reset_prefix_cache=lambda: answers.pop(0) if len(answers) > 1 else answers[0])
        return made

    @pytest.mark.parametrize("answers", [[True], [None], [False, False, True]])
    def test_is_tried_again_until_it_is_done(self, answers: list[Any]) -> None:
        assert self.engine(answers).reset_prefix_cache() is True
        assert len(answers) == 1

    def test_that_is_refused_for_good_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vllm_common, "RESET_PATIENCE_S", 0.02)

        assert self.engine([False]).reset_prefix_cache() is False

    def test_that_a_version_does_not_have_is_said(self) -> None:
        made = VllmOffline()
        made._llm = SimpleNamespace(llm_engine=SimpleNamespace())

        assert made.reset_prefix_cache() is None


class LateResult(PassResult):
    def late_s(self) -> float:
        return 5.0


class Slow(FakeEngine):
    """A pass takes 12 s of its clock; of these the last 5 came after the last answer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def idle(self, seconds: float) -> None:
        self.now += seconds

    def generate(self, prompts: list[Any], work: Work) -> PassResult:
        self.now += 12.0
        return LateResult(input_tokens=[1], token_ids=[[2, 3]])


@pytest.mark.parametrize(("slow_share", "duration_s"), [(0.0, 7.0), (0.5, 10.5)])
def test_what_comes_after_the_last_answer_is_not_timed(tmp_path: Path, slow_share: float, duration_s: float) -> None:
    said = tmp_path / "said"
    channel = Channel(os.open(said, os.O_WRONLY | os.O_CREAT))
    trial = _Trial({"slow_share": slow_share}, channel)

    took = trial._pass(Slow(), [[1]], Work({}), "timed", 0)
    channel.close()

    assert took == (duration_s, 2)
    assert json.loads(said.read_text())["duration_s"] == duration_s


def test_nor_is_it_of_a_replica() -> None:
    engine = Slow()
    said = _Replica(engine, is_forked=True).generate(Work({}).as_request())

    assert said["clock_s"] == 7.0
    assert said["end_t"] < said["begin_t"]  # nothing took place but those 5 s
