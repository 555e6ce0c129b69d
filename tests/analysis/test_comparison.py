from __future__ import annotations

from typing import Any, Literal

import pytest

from tests.analysis.comparison_builders import THROUGHPUT, make_side, two_sides
from tests.records.builders import MIB, make_record
from vbench.analysis.comparability import NLL, Side
from vbench.analysis.comparison import Differing, compare, repeats_in_turns
from vbench.analysis.comparison_wording import gate_sentence, method_of, percent, sentence
from vbench.analysis.gate import gate
from vbench.analysis.paired import Ratio, ratio_of_pairs
from vbench.analysis.unpaired import ratio_of_passes
from vbench.errors import UsageError
from vbench.outcome import Outcome
from vbench.records.record import EngineFacts, Quality, TrialRecord


def one_run(*records: TrialRecord) -> tuple[Side, Side]:
    """Trials 0 and 1 of a run."""
    return make_side(records[0], records=records), make_side(records[1], records=records)


def repeat(trial: int, of: int, rate: float, origin: Literal["final", "compare"], **changes: Any) -> TrialRecord:
    return make_record(trial, [rate, rate], origin=origin, repeat_of=of, **changes)


def test_passes_are_compared_as_they_are_where_nothing_was_measured_in_turns() -> None:
    found = compare(*two_sides())
    assert found.metric == THROUGHPUT
    assert found.ratio == ratio_of_passes([200.0, 202.0, 198.0], [210.0, 212.0, 208.0])
    assert (found.rows[0].a, found.rows[0].b) == (200.0, 210.0)
    assert found.verdict == "better"
    assert not found.is_paired
    assert any("weren't measured in turns" in note for note in found.notes)


def test_every_metric_that_both_have_stands_beside_it() -> None:
    rows = {row.metric: row for row in compare(*two_sides()).rows}
    assert next(iter(rows)) == THROUGHPUT
    assert {"request_throughput_req_s", "p95_ttft_s", "peak_memory_bytes", "startup_s"} <= set(rows)
    assert not {"p95_itl_s", "request_goodput_req_s"} & set(rows)  # nobody measured them
    assert rows["peak_memory_bytes"].a == 1000 * MIB
    memory = rows["peak_memory_bytes"].ratio
    assert memory is not None
    assert memory.method == "single"


def test_another_metric_may_decide_and_has_its_own_direction() -> None:
    a, b = two_sides()
    found = compare(a, b, "p50_e2e_latency_s")
    assert found.rows[0].metric == "p50_e2e_latency_s"
    assert found.ratio is not None
    assert found.ratio.high < 1
    assert found.verdict == "better"
    assert compare(b, a, "p50_e2e_latency_s").verdict == "worse"


def test_what_is_refused_is_a_usage_error_with_every_reason() -> None:
    a, b = two_sides(engine="fake", outcome=Outcome.CRASHED)
    with pytest.raises(UsageError, match=r"(?s)aren't comparable.*crashed.*estimate"):
        compare(a, b)


@pytest.mark.parametrize("origin", ["final", "compare"])
def test_repeats_of_one_run_are_pairs_in_their_order(origin: Literal["final", "compare"]) -> None:
    records = [make_record(0, [900.0] * 3), make_record(1, [900.0] * 3)]
    for number, (one, two) in enumerate([(100.0, 125.0), (80.0, 100.0), (200.0, 200.0)]):
        records += [repeat(10 + 2 * number, 0, one, origin), repeat(11 + 2 * number, 1, two, origin)]
    found = compare(*one_run(*records))
    assert found.is_paired
    assert found.ratio == ratio_of_pairs([(100.0, 125.0), (80.0, 100.0), (200.0, 200.0)])
    assert (found.rows[0].a, found.rows[0].b) == (100.0, 125.0)
    assert any("finals" in note for note in found.notes) == (origin == "final")


def test_a_pair_of_which_one_failed_is_left_out_and_the_others_stay_together() -> None:
    records = [make_record(0), make_record(1)]
    for number in range(3):
        failed: dict[str, Any] = {"outcome": Outcome.CRASHED} if number == 1 else {}
        records.append(repeat(10 + 2 * number, 0, 100.0 + number, "final", **failed))
        records.append(repeat(11 + 2 * number, 1, 100.0 + number, "final"))
    pairs = repeats_in_turns(*one_run(*records))
    assert [(one.trial, two.trial) for one, two in pairs] == [(10, 11), (14, 15)]


def test_a_repeat_says_itself_which_pair_it_is_of() -> None:
    records = [make_record(0), make_record(1)]
    for trial, of, pair in ((10, 0, 0), (11, 1, 0), (12, 1, 1), (13, 0, 1), (14, 0, 2)):
        records.append(repeat(trial, of, 100.0 + trial, "compare", pair=pair))
    pairs = repeats_in_turns(*one_run(*records))
    assert [(one.trial, two.trial) for one, two in pairs] == [(10, 11), (13, 12)]


def test_repeats_of_two_runs_took_no_turns() -> None:
    a, b = (
        make_side(make_record(0), run, records=[make_record(0), repeat(1, 0, 9.0, "final"), repeat(2, 0, 9.0, "final")])
        for run in ("old/1", "new/1")
    )
    assert repeats_in_turns(a, b) == []
    assert not compare(a, b).is_paired


def test_pairs_may_be_given() -> None:
    a, b = two_sides()
    pairs = [(make_record(2 * n, 100.0), make_record(2 * n + 1, 101.0 + n % 2)) for n in range(6)]
    found = compare(a, b, pairs=pairs)
    assert found.is_paired
    assert found.ratio is not None
    assert (found.ratio.method, found.ratio.num_pairs) == ("signed_rank", 6)
    assert "6 pairs" in method_of(found)
    assert not any("turns" in note for note in found.notes)


def test_only_what_differs_is_listed() -> None:
    a = make_side(make_record(0, config={"max_num_seqs": 8, "environment": {"X": "1", "Y": "2"}, "dtype": "auto"}))
    record = make_record(
        1, config={"max_num_seqs": 16, "environment": {"X": "1", "Y": "3"}, "dtype": "auto"}, hardware={"driver": "999"}
    )
    newer = EngineFacts(name="vllm", version="0.33.0", python="3.11.7")
    b = make_side(record.model_copy(update={"engine": newer}), machine={"cpu": "Other CPU", "vbench_version": "0.1.0"})
    assert compare(a, b).differing == (
        Differing(name="hardware", a="Example CPU, 2 cores", b="Other CPU"),
        Differing(name="engine version", a="vllm 0.32.0", b="vllm 0.33.0"),
        Differing(name="driver", a=None, b="999"),
        Differing(name="max_num_seqs", a=8, b=16),
        Differing(name="environment.Y", a="2", b="3"),
    )


def test_the_likelihood_of_the_same_texts_is_compared_text_by_text() -> None:
    def quality(nll: list[float], sha: str = "ee" * 32) -> Quality:
        return Quality(texts_sha256=sha, nll=nll, tokens=[10, 30, 20], greedy=[], duration_s=1.0)

    a, b = two_sides(quality=quality([22.0, 66.0, 44.0]))
    a = make_side(a.record.model_copy(update={"quality": quality([20.0, 60.0, 40.0])}))
    row = compare(a, b).rows[-1]
    assert row.metric == NLL
    assert row.a == pytest.approx(2.0)
    assert row.b == pytest.approx(2.2)
    assert row.ratio is not None
    assert row.ratio.ratio == pytest.approx(1.1)
    for side in (a, b):
        side.record.measurements[NLL] = 2.0
    chosen = compare(a, b, NLL)
    assert [one for one in chosen.rows if one.metric == NLL] == [row]
    assert chosen.ratio == row.ratio
    assert method_of(chosen) == "3 texts, each against itself; Student's t"
    others = make_side(a.record.model_copy(update={"quality": quality([1.0, 1.0, 1.0], sha="ff" * 32)}))
    assert compare(others, b).rows[-1].metric != NLL
    with pytest.raises(UsageError, match="nll_per_token isn't comparable: the texts differ"):
        compare(others, b, NLL)


def make_ratio(ratio: float, low: float, high: float, **changes: Any) -> Ratio:
    fields: dict[str, Any] = {"num_pairs": 8, "method": "signed_rank", "detectable": 0.024}
    return Ratio(ratio=ratio, low=low, high=high, **{**fields, **changes})


@pytest.mark.parametrize(
    ("ratio", "metric", "words"),
    [
        (make_ratio(1.031, 1.019, 1.042), THROUGHPUT, "B is 3.1 % faster (95 %: 1.9 to 4.2)"),
        (make_ratio(0.969, 0.958, 0.981), THROUGHPUT, "B is 3.1 % slower (95 %: 1.9 to 4.2)"),
        (make_ratio(0.9, 0.85, 0.95), "p95_ttft_s", "B has 10.0 % lower p95 time to first token (95 %: 5.0 to 15.0)"),
        (make_ratio(1.2, 1.1, 1.3), "p95_itl_s", "B has 20.0 % higher p95 inter-token latency (95 %: 10.0 to 30.0)"),
        (
            make_ratio(1.01, 0.99, 1.03),
            THROUGHPUT,
            "no difference shown; this comparison could have seen 2.4 % or more",
        ),
        (make_ratio(1.0, 1.0, 1.0, detectable=0.0), THROUGHPUT, "no difference: every value is the same"),
        (
            make_ratio(1.2, 1.2, 1.2, method="single", detectable=None),
            THROUGHPUT,
            "B is 20.0 % faster, by a single value of a side: how sure that is can't be told",
        ),
        (None, THROUGHPUT, "output throughput has no ratio: a value is 0"),
    ],
)
def test_the_sentence_is_plain(ratio: Ratio | None, metric: str, words: str) -> None:
    assert sentence(ratio, metric) == words


def test_a_difference_without_turns_says_so() -> None:
    assert sentence(make_ratio(1.031, 1.019, 1.042), THROUGHPUT, is_paired=False).endswith(
        "(95 %: 1.9 to 4.2), by passes that weren't measured in turns"
    )


def test_the_gate_s_sentence_says_what_could_have_been_seen() -> None:
    def said(low: float, high: float) -> str:
        return gate_sentence(gate(make_ratio(1.0, low, high, detectable=0.02), THROUGHPUT, 0.03), THROUGHPUT)

    assert said(0.90, 0.95) == "a loss of more than 3.0 % of output throughput is shown"
    assert said(0.99, 1.01) == "a loss of more than 3.0 % of output throughput is excluded"
    assert said(0.95, 1.01).endswith(
        "neither shown nor excluded; this comparison would have shown one of 4.9 % or more"
    )
    assert "no spread" in gate_sentence(gate(None, THROUGHPUT, 0.03), THROUGHPUT)


@pytest.mark.parametrize(("share", "text"), [(0.0312, "3.1"), (0.0004, "0.04"), (0.0, "0.0"), (0.5, "50.0")])
def test_percent_keeps_what_is_small(share: float, text: str) -> None:
    assert percent(share) == text
