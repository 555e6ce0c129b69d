"""The guard within a sweep of the fake engine, whose losses are known exactly: awq 1.4 %, gptq 5 %, about."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.records.builders import make_record
from tests.sweep.conftest import Sweeps
from vbench.analysis.ranking import best, remeasured
from vbench.quality.texts import load_texts
from vbench.records.record import Quality, TrialRecord
from vbench.records.store import RecordStore
from vbench.report.build import build_report
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep.quality_guard import QualityGuard

SEARCHED = "parameters: {quantization: [none, awq, gptq]}\nbaseline: {}\nsearch: {method: grid}\n"
INCREASE = {"none": 0.0, "awq": 0.014, "gptq": 0.05}
SAME_TOKENS = {"none": 64, "awq": 12, "gptq": 3}


def records_of(sweep: Sweeps, extra: str, **changes: Any) -> tuple[TrialRecord, ...]:
    return RecordStore(sweep(extra, **changes).run.trials_jsonl).read().records


def expected_increase(quantization: str) -> float:
    """The fake engine's formula, over the texts that ship."""
    top = bottom = 0.0
    for text in load_texts(None, 32).texts:
        tokens = min(len(text.split()), 512) - 1
        share = hashlib.sha256(text.encode()).digest()[0] / 255
        top += tokens * (1 + INCREASE[quantization] * (0.5 + share))
        bottom += tokens
    return top / bottom - 1


ASKING = """\
parameters: {sampling.top_k: [1, 2, 3]}
baseline: {}
search: {method: grid, reuse_engine: true, finalists: 2}
"""


class TestReusedEngines:
    """What the check takes, a GPU's allocator keeps: no later trial is to be measured on such an engine."""

    @pytest.mark.parametrize(("when", "reused"), [("never", [1, 2, 3]), ("finalists", [2, 3]), ("always", [])])
    def test_one_whose_answers_were_checked_serves_no_other_trial(
        self, sweep: Sweeps, when: str, reused: list[int]
    ) -> None:
        records = records_of(sweep, f"{ASKING}quality: {{when: {when}}}\n")

        assert [one.trial for one in records if one.environment["worker_start"] == "reused"] == reused


class TestAlways:
    def test_every_trial_is_compared_with_the_baseline(self, sweep: Sweeps) -> None:
        records = records_of(sweep, f"{SEARCHED}quality: {{when: always}}\n")

        assert [record.parameters.get("quantization") for record in records] == [None, "awq", "gptq"]  # none: baseline
        for record in records[1:]:
            quantization = str(record.parameters["quantization"])
            quality = record.quality
            assert quality is not None
            assert quality.reference_trial == 0
            assert quality.nll_increase is not None
            assert quality.nll_increase == pytest.approx(expected_increase(quantization), abs=1e-7)
            assert quality.greedy_agreement == SAME_TOKENS[quantization] / 64
            assert quality.nll_increase_interval is not None
            assert quality.nll_increase_interval[0] <= quality.nll_increase <= quality.nll_increase_interval[1]
            assert record.measurements["nll_increase"] == quality.nll_increase
            assert record.measurements["nll_per_token"] == pytest.approx(2 * (1 + quality.nll_increase), abs=1e-6)

    def test_the_reference_is_equal_to_itself(self, sweep: Sweeps) -> None:
        baseline = records_of(sweep, f"{SEARCHED}quality: {{when: always}}\n")[0]

        assert baseline.quality is not None
        assert baseline.quality.reference_trial is None
        assert (baseline.measurements["nll_increase"], baseline.measurements["greedy_agreement"]) == (0.0, 1.0)

    @pytest.mark.parametrize(
        ("bound", "winner"),
        [("max_nll_increase: 10%", "awq"), ("max_nll_increase: 1%", "none"), ("min_greedy_agreement: 0.5", "none")],
    )
    def test_who_breaks_a_bound_is_not_the_best(self, sweep: Sweeps, bound: str, winner: str) -> None:
        result = sweep(f"{SEARCHED}quality: {{{bound}}}\n")

        assert result.best is not None
        assert result.best.parameters.get("quantization", "none") == winner

    def test_constraints_may_name_it(self, sweep: Sweeps) -> None:
        records = records_of(sweep, f"{SEARCHED}constraints: [nll_increase <= 0.03]\n")

        kept = {
            record.parameters.get("quantization", "baseline"): record.constraint_violations["nll_increase <= 0.03"] <= 0
            for record in records
        }
        assert kept == {"baseline": True, "awq": True, "gptq": False}

    def test_a_check_that_fails_keeps_the_trial_and_no_bound(self, sweep: Sweeps) -> None:
        text = "parameters: {fail: [none, exception@quality]}\nbaseline: {}\nsearch: {method: grid}\n"

        records = records_of(sweep, f"{text}quality: {{max_nll_increase: 2%}}\n")

        failed = records[-1]
        assert (failed.outcome.value, failed.quality) == ("completed", None)
        assert failed.constraint_violations == {"nll_increase <= 0.02": 1.0}
        assert any("could not be checked" in warning for warning in failed.warnings)

    def test_the_texts_are_frozen_with_the_run(self, sweep: Sweeps) -> None:
        mine = sweep.folder / "mine.txt"
        mine.write_text("one two three four\nfive six seven eight\n")
        run = sweep(f"{SEARCHED}quality: {{when: always, texts: mine.txt}}\n").run
        digests = {
            record.quality.texts_sha256 for record in RecordStore(run.trials_jsonl).read().records if record.quality
        }

        assert digests == {load_texts(run.path / "quality-texts.jsonl", 32).sha256} == {load_texts(mine, 32).sha256}


class TestFinalists:
    TEXT = (
        "parameters: {quantization: [none, awq, gptq]}\nbaseline: {}\n"
        "search: {method: grid, finalists: 3, final_rounds: 2}\nengine_args: {noise: 0.9}\n"
    )

    def test_baseline_and_the_first_final_of_each_finalist(self, sweep: Sweeps) -> None:
        records = records_of(sweep, self.TEXT)

        checked = [record for record in records if record.quality is not None]
        finals = [record for record in records if record.origin == "final"]
        assert records[0] in checked
        assert all(record.quality is None for record in records if record.origin == "search")
        assert len(finals) >= 4
        first: dict[int | None, TrialRecord] = {}
        for final in finals:
            first.setdefault(final.repeat_of, final)
        wanted = [one.trial for of, one in first.items() if of != 0]
        assert [one.trial for one in checked if one.origin == "final"] == wanted

    def test_a_finalist_that_breaks_the_bound_is_not_the_best(self, sweep: Sweeps) -> None:
        result = sweep(f"{self.TEXT}quality: {{max_nll_increase: 1%}}\n")
        records = RecordStore(result.run.trials_jsonl).read().records
        stand = [record for record in remeasured(records) if record.quality is not None]

        assert {record.parameters.get("quantization", "none") for record in stand} & {"awq", "gptq"}
        for record in stand:
            is_kept = record.parameters.get("quantization", "none") == "none"
            assert (record.constraint_violations["nll_increase <= 0.01"] <= 0) is is_kept
        winner = best(records, parse_spec(sweep_text(self.TEXT), sweep.folder / "x.yaml").objective)
        assert winner is not None
        assert winner.parameters.get("quantization", "none") == "none"

    LONE = (
        "parameters: {quantization: [none, awq, gptq]}\nbaseline: {}\n"
        "search: {method: grid, finalists: 3, final_rounds: 2}\nquality: {max_nll_increase: 1%}\n"
    )

    def test_a_best_that_stands_clear_of_all_others_is_checked_too(self, sweep: Sweeps) -> None:
        result = sweep(self.LONE)
        records = RecordStore(result.run.trials_jsonl).read().records
        found = {one.trial: one.parameters.get("quantization", "none") for one in records if one.origin == "search"}
        finals = [one for one in records if one.origin == "final"]

        assert {found[int(one.repeat_of or 0)] for one in finals} == {"awq", "gptq"}  # both faster, both lose too much
        assert all(one.constraint_violations["nll_increase <= 0.01"] > 0 for one in finals)
        assert result.best is not None
        assert result.best.parameters.get("quantization", "none") == "none"
        spec = parse_spec(sweep_text(self.LONE), sweep.folder / "x.yaml")
        assert best(records, spec.objective) == result.best
        assert len(RecordStore(sweep(self.LONE).run.trials_jsonl).read().records) == len(
            records
        )  # nothing is left to do

    def test_one_that_keeps_the_bound_stays_the_best_as_it_was_measured(self, sweep: Sweeps) -> None:
        text = self.LONE.replace("1%", "20%")
        result = sweep(text)
        records = RecordStore(result.run.trials_jsonl).read().records
        winner = best(records, parse_spec(sweep_text(text), sweep.folder / "x.yaml").objective)

        assert [one.repeat_of for one in records if one.origin == "final"] == [winner.trial if winner else None]
        assert winner is not None
        assert winner.quality is not None
        assert winner.constraint_violations["nll_increase <= 0.2"] <= 0
        assert winner.passes == records[winner.trial].passes


def sweep_text(extra: str) -> str:
    return f"model: a/b\nengine: fake\nprompts: {{synthetic: {{count: 1, input_tokens: 1}}, output_tokens: 1}}\n{extra}"


class TestReference:
    """What is compared with what, record by record."""

    def guard(self, extra: str, tmp_path: Any) -> QualityGuard:
        return QualityGuard(self.spec(extra, tmp_path), [])

    def spec(self, extra: str, tmp_path: Any) -> SweepSpec:
        return parse_spec(sweep_text(extra), tmp_path / "x.yaml")

    def record(self, trial: int, nll: float, **changes: Any) -> TrialRecord:
        quality = Quality(texts_sha256="a", nll=[nll], tokens=[10], greedy=[[1, 2, int(nll)]], duration_s=1.0)
        return make_record(trial, quality=quality, **changes)

    def test_without_a_baseline_the_first_plain_trial(self, tmp_path: Any) -> None:
        guard = self.guard("parameters: {quantization: [none, awq]}\nquality: {when: always}\n", tmp_path)

        early = guard.judged(self.record(0, 12.0, config={"quantization": "awq"}), is_checked=True)
        plain = guard.judged(self.record(1, 10.0), is_checked=True)
        later = guard.judged(self.record(2, 12.0, config={"quantization": "awq"}), is_checked=True)

        assert early.quality is not None
        assert early.quality.nll_increase is None
        assert "no reference yet" in early.warnings[-1]
        assert plain.measurements["nll_increase"] == 0.0
        assert later.quality is not None
        assert later.quality.reference_trial == 1
        assert later.quality.nll_increase == pytest.approx(0.2)

    def test_a_baseline_that_failed_leaves_it_to_the_next(self, tmp_path: Any) -> None:
        guard = self.guard(f"{SEARCHED}quality: {{when: always}}\n", tmp_path)

        guard.judged(make_record(0, origin="baseline"), is_checked=True)
        plain = guard.judged(self.record(1, 10.0), is_checked=True)

        assert plain.measurements["nll_increase"] == 0.0

    def test_a_resumed_run_goes_on_with_its_reference(self, tmp_path: Any) -> None:
        spec = self.spec(f"{SEARCHED}quality: {{when: always}}\n", tmp_path)
        before = QualityGuard(spec, [])
        stored = [
            before.judged(self.record(trial, nll, origin=origin), is_checked=True)
            for trial, nll, origin in ((0, 10.0, "baseline"), (1, 11.0, "search"))
        ]

        after = QualityGuard(spec, stored).judged(self.record(2, 13.0), is_checked=True)

        assert after.quality is not None
        assert after.quality.reference_trial == 0
        assert after.quality.nll_increase == pytest.approx(0.3)

    @pytest.mark.parametrize(
        ("config", "itself", "said"),
        [
            (
                {"speculative_config": {"method": "ngram"}},
                1.0,
                "first in prompt 1 from token 3 on; rounding in another",
            ),
            ({"speculative_config": {"method": "ngram"}}, 0.5, "by itself answers otherwise than in a batch"),
            ({"speculative_config": {"method": "ngram"}, "quantization": "awq"}, 1.0, "it is quantized too"),
            ({"quantization": "awq"}, 1.0, None),
        ],
    )
    def test_speculation_that_changes_tokens_is_said(
        self, tmp_path: Any, config: dict[str, Any], itself: float, said: str | None
    ) -> None:
        guard = self.guard(f"{SEARCHED}quality: {{when: always}}\n", tmp_path)
        reference = self.record(0, 10.0, origin="baseline")
        assert reference.quality is not None
        quality = Quality.model_validate({**reference.quality.model_dump(), "self_agreement": itself})
        guard.judged(reference.model_copy(update={"quality": quality}), is_checked=True)

        other = guard.judged(self.record(1, 11.0, config=config), is_checked=True)

        assert (said is None and other.warnings == []) or (said is not None and said in other.warnings[0])


def test_the_report_says_what_the_best_costs(sweep: Sweeps) -> None:
    run = sweep(f"{SEARCHED}quality: {{max_nll_increase: 3%}}\n").run

    files = build_report(run, sweep.folder / "reports")

    text = files.markdown.read_text(encoding="utf-8")
    assert "The best loses 1.4% (95%: 1.2% to 1.5%) of likelihood per token against trial 0" in text
    assert "19% of its greedy tokens before the first that differs" in text
    assert "## Quality of the answers" in text
    assert any(path.name == "quality-fake.png" and path.stat().st_size > 0 for path in files.plots)
    assert "Quality of the answers" in files.html.read_text(encoding="utf-8")
