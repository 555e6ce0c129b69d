from __future__ import annotations

import random

import pytest

from tests.records.builders import make_pass, make_record
from vbench.analysis.statistics import Interval, interval_of, median_interval, pass_values, ratio_interval

THROUGHPUT = "output_throughput_tok_s"


def test_pass_values_are_of_timed_passes_only() -> None:
    record = make_record(0, [200.0, 250.0, 400.0])
    assert len(record.passes) == 4
    # 1000 tokens each: 1000 ÷ 5 s, ÷ 4 s, ÷ 2.5 s
    assert pass_values(record, THROUGHPUT) == [200.0, 250.0, 400.0]


def test_pass_values_of_a_latency_are_each_pass_s_own_percentile() -> None:
    record = make_record(0, [200.0, 250.0])
    # TTFT 0.1, 0.2, …, 1.0 s: p50 is halfway between the 5th and 6th, 0.55 s
    assert pass_values(record, "p50_ttft_s") == pytest.approx([0.55, 0.55])


def test_goodput_has_a_value_and_an_interval_of_its_passes() -> None:
    # Ten requests whose first tokens come after 0.1, 0.2, … 1.0 s, five of them in time; passes take 2, 1 and 4 s.
    record = make_record(0, [500.0, 1000.0, 250.0], config={"goodput": {"ttft": 500}})
    metric = "request_goodput_req_s"
    assert pass_values(record, metric) == pytest.approx([2.5, 5.0, 1.25])
    found = interval_of(record, metric)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([1.25, 5.0])
    assert found.kind == "range"
    assert pass_values(make_record(0, 500.0), metric) == []  # nobody said what good is


@pytest.mark.parametrize("metric", ["peak_memory_bytes", "startup_s", "num_preemptions"])
def test_what_belongs_to_the_whole_trial_has_no_interval(metric: str) -> None:
    assert pass_values(make_record(0, [200.0, 250.0]), metric) == []
    assert interval_of(make_record(0, [200.0, 250.0]), metric) is None


def test_an_unknown_metric_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        pass_values(make_record(), "tokens_per_second")


def test_few_passes_give_their_range_and_say_so() -> None:
    interval = interval_of(make_record(0, [240.0, 250.0, 200.0, 210.0]), THROUGHPUT)
    assert interval == Interval(low=200.0, high=250.0, kind="range", num_passes=4)
    assert interval.describe() == "smallest to largest of 4 timed passes, too few for a confidence interval"


def test_one_pass_claims_no_spread() -> None:
    interval = interval_of(make_record(0, 250.0), THROUGHPUT)
    assert interval == Interval(low=250.0, high=250.0, kind="single", num_passes=1)
    assert "spread is not known" in interval.describe()


def test_five_passes_give_a_bootstrap_interval_which_is_the_range() -> None:
    # P(3 of 5 draws or more are the smallest) = 10·0.2³·0.8² + 5·0.2⁴·0.8 + 0.2⁵ = 0.058 > 0.025: the ends are reached
    interval = median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval == Interval(low=1.0, high=5.0, kind="bootstrap", num_passes=5)
    assert interval.describe() == "95% bootstrap interval (BCa) of the median of 5 timed passes"


def test_nine_passes_give_the_order_statistics_of_theory() -> None:
    # P(median ≤ x₂) = P(Bin(9, 2/9) ≥ 5) = 0.030 and P(median ≤ x₁) = P(Bin(9, 1/9) ≥ 5) = 0.0014: the 2.5th percentile
    # is at x₂, or at x₃ should the 2000 draws fall so; by symmetry above.
    interval = median_interval([float(one) for one in range(1, 10)])
    assert interval.low in (2.0, 3.0)
    assert interval.high in (7.0, 8.0)


def test_the_same_samples_give_the_same_interval() -> None:
    samples = [10.0, 11.5, 9.0, 12.0, 10.5, 9.5, 13.0]
    assert median_interval(samples) == median_interval(samples)


def test_a_latency_never_claims_a_bootstrap() -> None:
    interval = interval_of(make_record(0, [200.0] * 6), "p95_ttft_s")
    assert interval is not None
    assert interval.kind == "range"


def test_equal_passes_have_an_interval_without_width() -> None:
    assert median_interval([7.0] * 8) == Interval(low=7.0, high=7.0, kind="percentile", num_passes=8)
    assert ratio_interval([9.0] * 5, [6.0] * 6) == Interval(low=1.5, high=1.5, kind="percentile", num_passes=5)


def test_where_bca_can_t_be_computed_the_percentile_interval_says_so() -> None:
    # whichever sample is left out, the median stays 7: BCa's acceleration is 0 ÷ 0. P(3 of 5 draws or more are the
    # odd one) = 0.058 > 0.025, so the percentile bootstrap reaches it
    interval = median_interval([7.0, 7.0, 7.0, 7.0, 9.0])
    assert interval == Interval(low=7.0, high=9.0, kind="percentile", num_passes=5)
    assert interval.is_confidence
    assert "(percentile)" in interval.describe()


def test_a_sample_that_is_no_number_leaves_the_range() -> None:
    interval = median_interval([1.0, 2.0, 3.0, 4.0, float("inf")])
    assert (interval.kind, interval.low, interval.is_confidence) == ("range", 1.0, False)


def test_the_interval_covers_the_median_as_often_as_its_docstring_says() -> None:
    """300 samples of 9, seeded: 95 % ± 1.3 % (one standard error) are expected."""
    draw = random.Random(9)
    intervals = [median_interval([draw.gauss(100, 1) for _ in range(9)]) for _ in range(300)]
    assert all(one.kind == "bootstrap" for one in intervals)
    assert 0.91 <= sum(one.low <= 100 <= one.high for one in intervals) / 300 <= 0.99


def test_a_ratio_of_few_passes_is_its_worst_and_best_case() -> None:
    # worst 300 ÷ 250 = 1.2, best 400 ÷ 200 = 2.0
    assert ratio_interval([300.0, 400.0], [200.0, 250.0]) == Interval(low=1.2, high=2.0, kind="range", num_passes=2)


def test_a_ratio_with_one_pass_on_a_side_says_so() -> None:
    interval = ratio_interval([300.0, 400.0], [200.0])
    assert interval == Interval(low=1.5, high=2.0, kind="single", num_passes=1)


def test_a_ratio_of_many_passes_is_bootstrapped() -> None:
    interval = ratio_interval([400.0, 402.0, 398.0, 401.0, 399.0], [200.0, 201.0, 199.0, 200.5, 199.5])
    assert interval is not None
    assert interval.kind == "bootstrap"
    # within 398 ÷ 201 = 1.980 and 402 ÷ 199 = 2.020, and around 400 ÷ 200 = 2
    assert 1.98 <= interval.low < 2.0 < interval.high <= 2.021


@pytest.mark.parametrize(("top", "bottom"), [([], [1.0]), ([1.0], []), ([1.0], [0.0])])
def test_no_ratio_without_samples_or_over_zero(top: list[float], bottom: list[float]) -> None:
    assert ratio_interval(top, bottom) is None


def test_a_pass_without_duration_is_left_out() -> None:
    broken = make_pass(1, 250.0).model_copy(update={"duration_s": 0.0})
    record = make_record(0, 250.0)
    record = record.model_copy(update={"passes": [*record.passes, broken]})
    assert pass_values(record, THROUGHPUT) == [250.0]
