"""The proofs themselves, each shown a record with the lever and one without: what can't fail proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import lever_proofs as proofs
from benchmarks.lever_load_proofs import goodput, in_flight, sent_as
from benchmarks.lever_proofs import Proof
from benchmarks.lever_sweep import BASELINE, LOADS, Case
from benchmarks.levers import judge
from tests.records.builders import make_record
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.records.record import Failure, Pass, PromptSetFacts, Requests, TrialRecord
from vbench.worker.load import arrival_offsets

FACTS = {"kv_cache_tokens": 1000, "weights_bytes": 4000, "attention_backends_in_use": ["A"], "max_num_seqs": 16}


def record(
    facts: dict[str, Any] | None = None, metrics: dict[str, float] | None = None, digest: str | list[str] = "plain",
    **columns: Any,
) -> TrialRecord:  # fmt: skip
    """Two prompts of 100 tokens and 10 of output, in passes of 2 s; a digest for each pass."""
    whole: dict[str, Any] = {
        "input_tokens": [100, 100],
        "output_tokens": [10, 10],
        "e2e_latency_s": [1.0, 1.0],
        **columns,
    }
    passes = [
        Pass(index=index, kind="timed", start_s=0.0, duration_s=2.0, requests=Requests(**whole), output_sha256=one,
             engine_metrics=metrics or {})
        for index, one in enumerate([digest] * 2 if isinstance(digest, str) else digest)
    ]  # fmt: skip
    prompts = PromptSetFacts(sha256="0", num_prompts=2, output_tokens=10, source="two")
    made = make_record(engine_facts={**FACTS, **(facts or {})}, prompt_set=prompts)
    measurements = measure(passes, [], {"ttft": 200, "e2el": 5000})
    return made.model_copy(update={"passes": passes, "measurements": measurements})


BASE = record()
SPECULATED = {
    "spec_decode_num_drafts": 4.0,
    "spec_decode_num_draft_tokens": 12.0,
    "spec_decode_num_accepted_tokens": 6.0,
}
CACHED = {"prefix_cache_hits": 100.0, "prompt_tokens": 200.0}
SPREAD: dict[str, Any] = {"ttft_s": [0.1, 0.2], "tpot_s": [0.01, 0.02], "itl_s": [[0.01], [0.02]]}
PROOFS: dict[str, tuple[Proof, TrialRecord, TrialRecord]] = {
    "fact": (proofs.fact(max_num_seqs=4), record({"max_num_seqs": 4}), BASE),
    "a fact that isn't said": (proofs.fact(quantization="awq"), record({"quantization": "awq"}), BASE),
    "fact_ratio": (proofs.fact_ratio("weights_bytes", 0.2, 0.6), record({"weights_bytes": 2000}), BASE),
    "fact_ratio, too far": (proofs.fact_ratio("weights_bytes", 0.5, 0.6), record({"weights_bytes": 2400}),
                            record({"weights_bytes": 1999})),
    "fact_differs": (proofs.fact_differs("max_num_seqs"), record({"max_num_seqs": 4}), BASE),
    "fact_differs, not said": (proofs.fact_differs("x"), record({"x": 1}), record({"x": None})),
    "absent": (proofs.absent("speculative_method"), BASE, record({"speculative_method": "ngram"})),
    "uncounted": (proofs.uncounted("spec_decode_num_drafts"), BASE, record(metrics=SPECULATED)),
    "measured": (proofs.measured("prefix_cache_hit_rate", 0.5, 0.5), record(metrics=CACHED),
                 record(metrics={**CACHED, "prefix_cache_hits": 0.0})),
    "measured, no counter": (proofs.measured("prefix_cache_hit_rate", 0.0), record(metrics=CACHED), BASE),
    "latencies": (proofs.latencies("ttft_s", "itl_s"), record(**SPREAD), record(ttft_s=[0.1, 0.2])),
    "drafted": (proofs.drafted(0.5, 0.5), record(metrics=SPECULATED), BASE),
    "drafted, another rate": (proofs.drafted(0.5, 0.5), record(metrics=SPECULATED),
                              record(metrics={**SPECULATED, "spec_decode_num_accepted_tokens": 5.0})),
    "drafted nothing": (proofs.drafted(), record(metrics=SPECULATED), record(metrics=dict.fromkeys(SPECULATED, 0.0))),
    "generated": (proofs.generated(40), record(metrics={"generation_tokens": 80.0}),
                  record(metrics={"generation_tokens": 20.0})),
    "answered": (proofs.answered(40), record(output_tokens=[40, 40]), record(output_tokens=[40, 39])),
    "other_tokens": (proofs.other_tokens(), record(digest="other"), BASE),
    "other_tokens, not stable": (proofs.other_tokens(), record(digest="other"), record(digest=["one", "two"])),
    "other_tokens each time": (proofs.other_tokens(False), record(digest=["one", "two"]), record(digest="other")),
    "same_tokens": (proofs.same_tokens, record(), record(digest="other")),
    "idle": (proofs.idle, record(), record({"weights_bytes": 2000})),
    "idle, other tokens": (proofs.idle, record(), record(digest="other")),
    "chunked": (proofs.chunked, record({"enable_chunked_prefill": True, "scheduler_max_num_scheduled_tokens": 64}),
                record({"enable_chunked_prefill": True, "scheduler_max_num_scheduled_tokens": 128})),
    "chunked, off": (proofs.chunked, record({"enable_chunked_prefill": True, "scheduler_max_num_scheduled_tokens": 64}),
                     record({"enable_chunked_prefill": False, "scheduler_max_num_scheduled_tokens": 64})),
    "in_flight": (in_flight(1, 1), record(send_s=[0.0, 1.0]), record(send_s=[0.0, 0.9])),
    "in_flight, not sent": (in_flight(1, 2), record(send_s=[0.0, 0.0]), BASE),
    "goodput": (goodput({"ttft": 200, "e2el": 5000}), record(ttft_s=[0.1, 0.3]), BASE),
    "both": (proofs.both(proofs.fact(max_num_seqs=4), proofs.same_tokens), record({"max_num_seqs": 4}),
             record({"max_num_seqs": 4}, digest="other")),
}  # fmt: skip


@pytest.mark.parametrize("name", PROOFS)
def test_is_shown_by_the_lever_and_by_nothing_else(name: str) -> None:
    proof, with_it, without = PROOFS[name]

    assert proof(with_it, BASE).is_shown
    assert not proof(without, BASE).is_shown
    assert proof(with_it, BASE).text


def test_a_trial_that_measured_nothing_shows_nothing() -> None:
    nothing = make_record(throughput=None, outcome=Outcome.CRASHED)
    for name, (proof, _, _) in PROOFS.items():
        assert not proof(nothing, BASE).is_shown, name


def test_a_goodput_that_its_requests_dont_have_is_refused() -> None:
    sound = record(ttft_s=[0.1, 0.3])
    assert sound.measurements["request_goodput_req_s"] == 0.5
    wrong = sound.model_copy(update={"measurements": {**sound.measurements, "request_goodput_req_s": 1.0}})

    assert not goodput({"ttft": 200, "e2el": 5000})(wrong, BASE).is_shown


def sent(load: dict[str, Any], late_s: float = 0.01) -> TrialRecord:
    plan = arrival_offsets(12, load) or [0.0] * 12
    return record(
        send_s=[at + late_s for at in plan], input_tokens=[1] * 12, output_tokens=[1] * 12, e2e_latency_s=[0.1] * 12
    )


@pytest.mark.parametrize("kind", [name for name, load in LOADS.items() if load])
class TestArrivals:
    @pytest.mark.parametrize("other", LOADS)
    def test_of_each_kind_are_told_from_all_others(self, kind: str, other: str) -> None:
        assert sent_as(LOADS[kind], LOADS)(sent(LOADS[other]), BASE).is_shown is (kind == other)

    def test_before_their_time_are_refused(self, kind: str) -> None:
        assert not sent_as(LOADS[kind], LOADS)(sent(LOADS[kind], late_s=-0.02), BASE).is_shown


class TestJudging:
    CASE = Case(lever="seqs", value="4", proof=proofs.fact(max_num_seqs=4))
    REFUSED = Case(
        lever="seqs", value="0", outcome=Outcome.INFEASIBLE, failure_class="batch_too_small", evidence="must be above 0"
    )

    def judged(self, case: Case, one: TrialRecord, base: TrialRecord = BASE) -> bool:
        return judge(case, {case.name: one, BASELINE: base}).is_expected

    def test_a_proof_that_the_baseline_passes_too_is_none(self) -> None:
        four = record({"max_num_seqs": 4})

        assert self.judged(self.CASE, four)
        assert not self.judged(self.CASE, four, base=four)
        assert not self.judged(self.CASE, BASE)

    def test_a_twin_that_differs_is_told(self) -> None:
        case = Case(lever="seqs", value="4", proof=proofs.fact(max_num_seqs=4), twin="other", effect="none")
        four = record({"max_num_seqs": 4})

        for twin, is_same in ((record(), True), (record(digest="other"), False), (record({"weights_bytes": 1}), False)):
            assert judge(case, {case.name: four, BASELINE: BASE, "other": twin}).is_expected is is_same
        assert not self.judged(case, four)

    def test_a_failure_is_held_against_class_and_line(self) -> None:
        def failed(name: str, line: str, outcome: Outcome = Outcome.INFEASIBLE) -> TrialRecord:
            failure = Failure(failure_class=name, evidence=line, advice="do")
            return make_record(throughput=None, outcome=outcome, failure=failure)

        assert self.judged(self.REFUSED, failed("batch_too_small", "ValueError: must be above 0"))
        assert not self.judged(self.REFUSED, failed("exception", "ValueError: must be above 0"))
        assert not self.judged(self.REFUSED, failed("batch_too_small", "ValueError: something"))
        assert not self.judged(self.REFUSED, failed("batch_too_small", "must be above 0", Outcome.CRASHED))
        assert not self.judged(self.REFUSED, record({"max_num_seqs": 0}))
        assert not self.judged(self.CASE, failed("batch_too_small", "must be above 0"))
