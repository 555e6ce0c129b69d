from __future__ import annotations

import pytest

from tests.records.builders import make_record
from tests.report.search_builders import make_final, make_stopped
from vbench.analysis.columns import columns_of
from vbench.analysis.merged import Origin, as_any_trial, first_numbers, moved, origin_in_run, origin_of
from vbench.records.record import Quality, TrialRecord


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ([], []),
        ([-1], [0]),
        ([5, 5], [0, 10]),
        ([9, 10], [0, 10]),
        ([20, 39, 3], [0, 30, 70]),
        ([249, -1, 7], [0, 300, 400]),
        ([99_999, 3], [0, 100_000]),
    ],
)
def test_numbers_of_runs_never_meet_and_keep_their_last_digits(highest: list[int], expected: list[int]) -> None:
    firsts = first_numbers(highest)
    assert firsts == expected
    taken = [add + trial for add, last in zip(firsts, highest, strict=True) for trial in range(last + 1)]
    assert len(taken) == len(set(taken))


def test_every_place_that_names_a_trial_moves() -> None:
    quality = Quality(texts_sha256="aa", nll=[1.0], tokens=[2], greedy=[], duration_s=1.0, reference_trial=2)
    (final,) = moved([make_final(13, 6, 388.0, quality=quality)], 30, "demo/1")
    assert (final.trial, final.repeat_of) == (43, 36)
    assert final.quality is not None
    assert final.quality.reference_trial == 32
    (stopped,) = moved([make_stopped(5, incumbent=4)], 30, "demo/1")
    assert stopped.stopped is not None
    assert stopped.stopped.incumbent_trial == 34
    assert origin_of(stopped) == Origin("demo/1", 5)
    said = ["the reference, trial 0, measured again is 5% slower", "2 trials of 7"]
    (warned,) = moved([make_record(9, warnings=said)], 30, "demo/1")
    assert warned.warnings == ["the reference, trial 30, measured again is 5% slower", "2 trials of 7"]


def test_a_record_of_one_run_has_no_other_origin() -> None:
    assert origin_of(make_record(3)) is None
    odd = TrialRecord.model_validate({**make_record(3).model_dump(), "run": 7, "trial_in_run": "x"})
    assert origin_of(odd) is None


def test_a_baseline_among_anothers_trials_is_still_known_as_one() -> None:
    one = as_any_trial(make_record(0, origin="baseline"))
    assert (one.origin, origin_in_run(one)) == ("search", "baseline")
    assert origin_in_run(make_record(1)) == "search"
    (origin,) = [column for column in columns_of([one]) if column.name == "origin"]
    assert origin.value(one) == "baseline"
