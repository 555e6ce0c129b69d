"""Comparing answers: by hand where it can be done by hand, and the interval by what it must cover."""

from __future__ import annotations

import random
from typing import Any

import pytest

from vbench.analysis.quality import Difference, compare_quality, greedy_agreement
from vbench.records.record import Quality


def made(nll: list[float], **changes: Any) -> Quality:
    fields = {"texts_sha256": "a", "nll": nll, "tokens": [10] * len(nll), "greedy": [], "duration_s": 1.0}
    return Quality.model_validate({**fields, **changes})


class TestIncrease:
    def test_is_the_ratio_of_the_sums(self) -> None:
        compared = compare_quality(made([11.0, 22.0]), made([10.0, 20.0]))

        assert compared.nll_increase == pytest.approx(0.1)
        assert compared.interval is None  # two texts carry none

    def test_equal_shares_everywhere_leave_no_doubt(self) -> None:
        reference = [10.0, 20.0, 30.0, 40.0, 50.0]

        compared = compare_quality(made([1.25 * nll for nll in reference]), made(reference))

        assert compared.interval == pytest.approx((0.25, 0.25))

    def test_the_interval_covers_the_truth_nine_times_in_ten_or_more(self) -> None:
        draw = random.Random(5)
        covered = 0
        for _ in range(100):
            reference = [draw.uniform(50, 150) for _ in range(24)]
            measured = [nll * (1.03 + draw.gauss(0, 0.02)) for nll in reference]
            interval = compare_quality(made(measured), made(reference)).interval
            assert interval is not None
            assert interval[0] < interval[1]
            covered += interval[0] <= 0.03 <= interval[1]

        assert 82 <= covered <= 99  # 91 are expected of 24 texts, give or take 3

    def test_the_same_texts_give_the_same_interval(self) -> None:
        one, reference = made([3.0, 4.0, 6.0, 7.0, 9.0]), made([3.0, 3.5, 5.0, 7.0, 8.0])

        assert compare_quality(one, reference) == compare_quality(one, reference)

    def test_a_text_of_another_length_is_left_out(self) -> None:
        compared = compare_quality(made([1.0, 9.0, 3.0], tokens=[10, 7, 10]), made([1.0, 1.0, 2.0]))

        assert compared.nll_increase == pytest.approx(4 / 3 - 1)
        assert "1 of 3 texts have another number of tokens" in compared.notes[0]

    def test_another_tokenizer_is_refused(self) -> None:
        compared = compare_quality(made([1.0, 9.0, 3.0], tokens=[9, 7, 10]), made([1.0, 1.0, 2.0]))

        assert compared.nll_increase is None
        assert "keep one tokenizer" in compared.notes[0]

    def test_other_texts_are_refused(self) -> None:
        compared = compare_quality(made([1.0], texts_sha256="b"), made([1.0]))

        assert compared.nll_increase is None
        assert "other texts" in compared.notes[0]


class TestGreedyAgreement:
    @pytest.mark.parametrize(
        ("one", "reference", "share", "difference"),
        [
            ([[1, 2, 3]], [[1, 2, 3]], 1.0, None),
            ([[1, 2, 9, 3]], [[1, 2, 3, 3]], 0.5, Difference(num_prompts=1, prompt=0, token=2)),
            ([[1, 2], [9, 2]], [[1, 2], [1, 2]], 0.5, Difference(num_prompts=1, prompt=1, token=0)),
            ([[9], [9]], [[1], [1]], 0.0, Difference(num_prompts=2, prompt=0, token=0)),
            ([[1, 2]], [[1, 2, 3, 4]], 1.0, None),  # the context ended: only what both have is compared
            ([], [[1]], None, None),
            ([[]], [[]], None, None),
        ],
    )
    def test_by_hand(
        self, one: list[list[int]], reference: list[list[int]], share: float | None, difference: Difference | None
    ) -> None:
        assert greedy_agreement(one, reference) == (share, difference)
