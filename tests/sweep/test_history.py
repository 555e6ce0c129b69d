"""What the loop remembers of records: here, whose numbers are given again."""

from __future__ import annotations

from tests.records.builders import make_record
from vbench.spec.types import Objective
from vbench.sweep.history import History


def history_of(*trials: int, beyond: tuple[int, ...] = ()) -> History:
    history = History(
        Objective(metric="output_throughput_tok_s", direction="maximize"),
        [make_record(trial) for trial in trials],
        planned=9,
    )
    history.reserve(beyond)
    return history


def test_numbers_without_a_record_are_missing() -> None:
    history = history_of(0, 3)
    assert (history.next_number, history.missing) == (4, {1, 2})
    history.add(make_record(1))
    assert history.missing == {2}


def test_numbers_of_a_newer_version_are_not_given_again() -> None:
    history = history_of(0, 3, beyond=(2, 5))
    assert (history.next_number, history.missing) == (6, {1, 4})
    history.add(make_record(8))
    assert history.missing == {1, 4, 6, 7}
    assert history_of(beyond=(1, 3)).missing == {0, 2}
    later = history_of(beyond=(7,))
    assert later.next_number == 8
