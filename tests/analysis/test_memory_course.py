"""Which trials' memory is shown over time, and that no peak gets lost on the way."""

from __future__ import annotations

import random

from tests.records.builders import MIB, make_failure, make_record
from vbench.analysis.memory_course import MAX_POINTS, MemoryCourse, courses, spans_of, thinned
from vbench.outcome import Outcome
from vbench.records.record import Phase, TrialRecord
from vbench.records.samples import MemorySamples

SAMPLES = MemorySamples(t_s=(0.0, 1.0, 2.0), memory_bytes=(100.0, 300.0, 200.0), gpus={})
PHASES = [Phase(name="load", start_s=0.0, end_s=3.0)]


def make_records() -> list[TrialRecord]:
    return [
        make_record(0, 200.0, peak_mib=1000, origin="baseline"),
        make_record(1, 400.0, peak_mib=2000),
        make_record(2, 300.0, peak_mib=4000),
        make_record(3, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), phases=PHASES),
        make_record(4, 390.0, peak_mib=5000, origin="final", repeat_of=1),
    ]


def why_of(found: list[MemoryCourse]) -> dict[int, tuple[str, ...]]:
    return {course.trial: course.why for course in found}


def test_the_best_the_baseline_the_hungriest_and_one_that_ran_out() -> None:
    records = make_records()
    found = courses(records, records[1], lambda _: SAMPLES, lambda _: 8000.0 * MIB)
    # A final is its trial's second measurement: it isn't the hungriest setting.
    assert why_of(found) == {1: ("best",), 0: ("baseline",), 2: ("largest peak",), 3: ("ran out of memory",)}
    assert found[0].peak == (1.0, 300.0)
    assert found[0].budget_bytes == 8000.0 * MIB


def test_a_trial_is_shown_once_with_all_its_reasons() -> None:
    records = make_records()
    found = courses(records, records[2], lambda _: SAMPLES, lambda _: None)
    assert why_of(found) == {2: ("best", "largest peak"), 0: ("baseline",), 3: ("ran out of memory",)}


def test_the_next_one_stands_in_where_a_file_is_missing() -> None:
    records = make_records()
    found = courses(records, None, lambda record: None if record.trial in (0, 2, 3) else SAMPLES, lambda _: None)
    assert why_of(found) == {1: ("largest peak",)}
    unread = MemorySamples(t_s=(0.0,), memory_bytes=(None,), gpus={})
    assert courses(records, records[1], lambda _: unread, lambda _: None) == []


def test_lines_of_single_gpus_only_where_there_are_several() -> None:
    one = MemorySamples(t_s=(0.0,), memory_bytes=(5.0,), gpus={0: (5.0,)})
    two = MemorySamples(t_s=(0.0,), memory_bytes=(5.0,), gpus={0: (5.0,), 1: (4.0,)})
    record = make_record(0, 200.0, origin="baseline")
    assert courses([record], None, lambda _: one, lambda _: None)[0].gpus == {}
    assert courses([record], None, lambda _: two, lambda _: None)[0].gpus == {0: ((0.0, 5.0),), 1: ((0.0, 4.0),)}


def test_thinning_keeps_every_peak_in_order() -> None:
    draw = random.Random(3)
    points = [(float(t), draw.random()) for t in range(100_000)]
    points[77_777] = (77_777.0, 9.0)
    points[5] = (5.0, -9.0)
    thin = thinned(points)
    assert len(thin) <= MAX_POINTS
    assert list(thin) == sorted(thin)
    assert {points[77_777], points[5], points[0], points[-1]} <= set(thin)
    assert thinned(points[:MAX_POINTS]) == tuple(points[:MAX_POINTS])


def test_phases_of_one_kind_are_one_span() -> None:
    phases = [
        Phase(name="pass", index=0, start_s=5.0, end_s=6.0),
        Phase(name="start", start_s=0.0, end_s=1.0),
        Phase(name="load", start_s=1.0, end_s=3.0),
        Phase(name="warmup", start_s=3.0, end_s=5.0),
        Phase(name="pass", index=1, start_s=6.5, end_s=8.0),
        Phase(name="close", start_s=8.0, end_s=9.0),
    ]
    spans = spans_of(make_record(0, None, phases=phases))
    assert [(one.kind, one.start_s, one.end_s) for one in spans] == [
        ("start-up", 0.0, 3.0),
        ("warm-up", 3.0, 5.0),
        ("timed passes", 5.0, 8.0),
        ("closing", 8.0, 9.0),
    ]
