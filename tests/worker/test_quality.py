"""The check of the answers in the worker: exact with the fake engine, sound with vLLM in each way of calling."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.execution.bench import Bench, Ran
from vbench.analysis.quality import compare_quality
from vbench.execution import verdict
from vbench.execution.keeper_client import Exit
from vbench.execution.quality_check import quality_of
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.quality.texts import SHIPPED, read_texts
from vbench.records.record import Quality
from vbench.spec.types import Deadlines

TEXTS = read_texts(SHIPPED)[:6]
INCREASE = {"awq": 0.014, "gptq": 0.05}
# Nothing repeats in them, but answers of the tiny model do: what ngram speculation lives on.
PROMPTS = [{"prompt_token_ids": list(range(100 + 7 * one, 124 + 7 * one))} for one in range(4)]


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return path


def asked(texts_file: Path, **changes: Any) -> dict[str, Any]:
    whole = {"texts_file": str(texts_file), "most_tokens": 64, "greedy_prompts": 2, "greedy_tokens": 16, "alone": False}
    return {**whole, **changes}


def event_of(ran: Ran) -> dict[str, Any]:
    (event,) = ran.raw.of("quality")
    assert "problem" not in event, event
    return event


def fake_nll(quantization: str | None) -> list[float]:
    nll = []
    for text in TEXTS:
        share = hashlib.sha256(text.encode()).digest()[0] / 255
        tokens = min(len(text.split()), 64) - 1
        nll.append(2.0 * tokens * (1 + INCREASE.get(quantization or "", 0.0) * (0.5 + share)))
    return nll


class TestFakeEngine:
    @pytest.mark.parametrize("quantization", [None, "awq", "gptq"])
    def test_is_its_formula(self, fake_bench: Bench, texts_file: Path, quantization: str | None) -> None:
        ran = fake_bench.run(engine_args={"quantization": quantization}, quality=asked(texts_file, alone=True))

        event = event_of(ran)
        assert ran.outcome is Outcome.COMPLETED
        assert event["nll"] == pytest.approx(fake_nll(quantization), abs=1e-6)
        assert event["tokens"] == [min(len(text.split()), 64) - 1 for text in TEXTS]
        assert event["num_cut"] == sum(len(text.split()) > 64 for text in TEXTS) > 0
        assert [len(ids) for ids in event["greedy"]] == [16, 16]
        assert event["alone"] == event["greedy"]

    def test_comes_after_the_passes_and_is_none_of_them(self, fake_bench: Bench, texts_file: Path) -> None:
        ran = fake_bench.run(quality=asked(texts_file))

        assert ran.phases()[-2:] == ["quality", "close"]
        assert [one.kind for one in ran.passes] == ["warmup", "timed", "timed"]
        assert event_of(ran)["duration_s"] > 0

    def test_its_memory_is_not_the_configurations(self, fake_bench: Bench, texts_file: Path) -> None:
        ran = fake_bench.run(quality=asked(texts_file))
        phases = [
            phase.model_copy(update={"peak_memory_bytes": 10**12}) if phase.name in ("quality", "close") else phase
            for phase in verdict.phases_of(ran.raw)
        ]

        # The engine's allocator keeps what the check took.
        assert [phase.name for phase in phases][-2:] == ["quality", "close"]
        assert measure(ran.passes, phases)["peak_memory_bytes"] != 10**12  # None where all went by unsampled

    def test_replicas_answer_as_one_engine(self, fake_bench: Bench, texts_file: Path) -> None:
        one = event_of(fake_bench.run(quality=asked(texts_file)))
        two = event_of(fake_bench.run(quality=asked(texts_file), replicas=2))

        assert {**two, "duration_s": 0} == {**one, "duration_s": 0}

    def test_an_engine_that_is_kept_is_kept(self, fake_bench: Bench, texts_file: Path) -> None:
        ran = fake_bench.run(quality=asked(texts_file), keep_engine=True)

        assert ran.raw.is_kept
        assert event_of(ran)["nll"] == pytest.approx(fake_nll(None), abs=1e-6)
        assert ran.raw.engine is not None
        fake_bench.close(ran.raw.engine)


class TestFailures:
    """Whatever happens in the check, the trial stands."""

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("exception", "the fake engine was told to fail"),
            ("oom", "CUDA out of memory"),
            ("segfault", "SIGSEGV"),
            ("kill", "SIGKILL"),
            ("exit", "exit code 7"),
        ],
    )
    def test_costs_the_check_alone(self, fake_bench: Bench, texts_file: Path, kind: str, said: str) -> None:
        ran = fake_bench.run(engine_args={"fail": f"{kind}@quality"}, quality=asked(texts_file), keep_engine=True)

        assert (ran.outcome, ran.failure) == (Outcome.COMPLETED, None)
        assert len(ran.passes) == 3
        assert not ran.raw.is_kept  # such an engine serves no other trial
        quality, warnings = quality_of(ran.raw, "digest")
        assert quality is None
        assert "quality of its answers could not be checked" in warnings[0]
        assert said.lower() in warnings[0].lower()

    def test_how_an_engine_ends_that_it_hurt_is_not_how_the_trial_does(
        self, fake_bench: Bench, texts_file: Path
    ) -> None:
        ran = fake_bench.run(engine_args={"fail": "exception@quality"}, quality=asked(texts_file))
        ran.raw.exit = Exit(code=None, signal=11)
        count = len(ran.passes[0].requests.output_tokens)

        outcome, failure, passes = verdict.judge(ran.raw, "", Deadlines(), count)
        ran.raw.messages = [one for one in ran.raw.messages if one["event"] != "quality"]

        assert (outcome, failure, len(passes)) == (Outcome.COMPLETED, None, 3)
        assert verdict.judge(ran.raw, "", Deadlines(), count)[0] is Outcome.CRASHED  # had there been no such check

    def test_a_check_that_hangs_ends_with_a_passs_deadline(self, fake_bench: Bench, texts_file: Path) -> None:
        ran = fake_bench.run(
            engine_args={"fail": "hang@quality"}, quality=asked(texts_file),
            deadlines=Deadlines(load_s=60, pass_s=3, close_s=20),
        )  # fmt: skip

        assert (ran.outcome, ran.raw.timed_out) == (Outcome.COMPLETED, "pass")
        assert "longer than a pass may" in quality_of(ran.raw, "digest")[1][0]
        assert fake_bench.processes() == []

    def test_a_trial_that_failed_before_has_no_check_to_speak_of(self, fake_bench: Bench, texts_file: Path) -> None:
        ran = fake_bench.run(engine_args={"fail": "exception@pass"}, quality=asked(texts_file))

        assert ran.outcome is Outcome.CRASHED
        assert quality_of(ran.raw, "digest") == (None, [])

    @pytest.mark.parametrize(
        "event",
        [
            {"nll": [1.0], "tokens": [], "greedy": [], "duration_s": 1.0},
            {"nll": ["x"], "tokens": [1], "greedy": [], "duration_s": 1.0},
            {"tokens": [1]},
        ],
    )
    def test_what_is_malformed_is_none(self, fake_bench: Bench, texts_file: Path, event: dict[str, Any]) -> None:
        ran = fake_bench.run(quality=asked(texts_file))
        ran.raw.messages = [one for one in ran.raw.messages if one["event"] != "quality"]
        ran.raw.messages.append({"event": "quality", **event})

        quality, warnings = quality_of(ran.raw, "digest")

        assert quality is None
        assert "malformed" in warnings[0]


BATCH = {"prompts": PROMPTS, "output_tokens": 8, "warmup_passes": 0, "passes": 1}
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}


def check(bench: Bench, texts_file: Path, **changes: Any) -> dict[str, Any]:
    ran = bench.run(**{**BATCH, "quality": asked(texts_file, greedy_prompts=4, greedy_tokens=48), **changes})
    assert ran.outcome is Outcome.COMPLETED, ran.log
    return event_of(ran)


def quality(event: dict[str, Any]) -> Quality:
    return Quality.model_validate({"texts_sha256": "same", **event})


def jsonl(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def own_texts(bench: Bench, model: Path, folder: Path) -> Path:
    """Texts that this model writes by itself, so that it finds them likely."""
    begins = [{"prompt_token_ids": [300 + 11 * one]} for one in range(24)]
    of_all = asked(jsonl(folder / "any.jsonl", ["any text"]), greedy_prompts=24, greedy_tokens=24)
    said = check(bench, folder, model=model, prompts=begins, quality=of_all)["greedy"]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    ids = [[*begin["prompt_token_ids"], *answer] for begin, answer in zip(begins, said, strict=True)]
    texts = [text for one in ids if tokenizer.encode(text := tokenizer.decode(one)).ids == one]
    assert len(texts) >= 3
    return jsonl(folder / "own.jsonl", texts)


def sharpened(source: Path, folder: Path) -> Path:
    """A random model takes all tokens for about equally likely, and has no likelihood to lose. With the weights before
    its softmax 32 times as large (5 more in their exponents) it is sure of what it says."""
    folder.mkdir()
    for one in source.iterdir():
        (folder / one.name).write_bytes(one.read_bytes())
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    head = json.loads(content[8:start])["lm_head.weight"]
    first, last = (start + offset for offset in head["data_offsets"])
    values = np.frombuffer(bytes(content[first:last]), dtype="<u2").copy()
    shift = {"BF16": 7, "F16": 10}[head["dtype"]]
    is_plain = values & 0x7FFF >= 6 << shift  # neither zero nor so small that it has no exponent
    values[is_plain] += 5 << shift
    content[first:last] = values.tobytes()
    path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def of_base(vllm_bench: Bench, texts_file: Path) -> dict[str, Any]:
    """The tiny model in bfloat16; some prompts are answered alone too."""
    return check(vllm_bench, texts_file, quality=asked(texts_file, greedy_prompts=4, greedy_tokens=48, alone=True))


@pytest.mark.engine
class TestVllm:
    def test_scores_every_text(self, of_base: dict[str, Any]) -> None:
        assert of_base["tokens"] == [63] * len(TEXTS)
        assert of_base["num_cut"] == len(TEXTS)
        assert all(math.isfinite(nll) and nll > 0 for nll in of_base["nll"])
        assert [len(ids) for ids in of_base["greedy"]] == [48] * 4
        assert [len(ids) for ids in of_base["alone"]] == [48] * 2

    @pytest.mark.parametrize("mode", ["async", "server"])
    def test_other_ways_of_calling_say_the_same(
        self, vllm_bench: Bench, texts_file: Path, of_base: dict[str, Any], mode: str
    ) -> None:
        event = check(vllm_bench, texts_file, mode=mode)

        assert event["tokens"] == of_base["tokens"]
        assert event["nll"] == pytest.approx(of_base["nll"], rel=2e-3)  # bfloat16, in other batches

    def test_a_context_that_is_too_short_cuts_and_says_so(self, vllm_bench: Bench, texts_file: Path) -> None:
        event = check(vllm_bench, texts_file, engine_args={"max_model_len": 48}, quality=asked(texts_file))

        assert event["tokens"] == [46] * len(TEXTS)
        assert event["num_cut"] == len(TEXTS)

    def test_greedy_answers_end_where_the_context_does(self, vllm_bench: Bench, texts_file: Path) -> None:
        given = asked(texts_file, greedy_tokens=48)
        event = check(vllm_bench, texts_file, engine_args={"max_model_len": 48}, quality=given, mode="server")

        assert [len(ids) for ids in event["greedy"]] == [24, 24]  # of 24 tokens each is the prompt

    def test_rounding_to_4_bits_costs_likelihood(self, vllm_bench: Bench, tiny_model: Path, tmp_path: Path) -> None:
        base = sharpened(tiny_model / "base", tmp_path / "base")
        own = own_texts(vllm_bench, base, tmp_path)
        reference = quality(check(vllm_bench, own, model=base))

        event = check(vllm_bench, own, model=sharpened(tiny_model / "awq", tmp_path / "awq"))

        compared = compare_quality(quality(event), reference)
        assert compared.nll_increase is not None
        assert compared.greedy_agreement is not None
        assert 0.05 < compared.nll_increase < math.inf
        assert compared.greedy_agreement < 1

    @pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
    def test_ngram_speculation_changes_no_token(self, vllm_bench: Bench, texts_file: Path, dtype: str) -> None:
        plain = check(vllm_bench, texts_file, engine_args={"dtype": dtype})
        speculating = check(vllm_bench, texts_file, engine_args={"dtype": dtype, "speculative_config": NGRAM})

        compared = compare_quality(quality(speculating), quality(plain))
        assert compared.greedy_agreement is not None
        # Rounding in batches of other shapes may decide between two tokens as likely; what it does depends on the CPU.
        assert compared.greedy_agreement == 1 if dtype == "float32" else compared.greedy_agreement > 0.5
        assert compared.nll_increase == pytest.approx(0, abs=1e-3)
