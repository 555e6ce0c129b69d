"""What memory bought and when it was held, on the page."""

from __future__ import annotations

from pathlib import Path

from tests.records.builders import MIB, make_failure, make_record
from tests.report.section_builders import make_subject, plots_of, words_of
from vbench.execution.memory import MemorySample, write_samples
from vbench.outcome import Outcome
from vbench.records.record import Phase
from vbench.report.memory_section import memory_section
from vbench.report.subject import Subject

LIMIT = {"target": {"profile": "t4", "limit_bytes": 2000 * MIB}, "constraints": []}


def write(subject: Subject, trial: int, *sizes_mib: int) -> None:
    samples = [
        MemorySample(t=float(place), used_bytes=size * MIB, num_processes=1) for place, size in enumerate(sizes_mib)
    ]
    write_samples(samples, subject.folder.samples(trial), origin=0.0)


def make(tmp_path: Path) -> Subject:
    records = [
        make_record(0, 200.0, peak_mib=500, origin="baseline"),
        make_record(1, [400.0, 410.0], peak_mib=1000),
        make_record(2, 300.0, peak_mib=1950),
        make_record(3, 310.0, peak_mib=None),
    ]
    return make_subject(tmp_path, records, **LIMIT)


def test_peaks_against_the_budget_and_courses_of_those_that_matter(tmp_path: Path) -> None:
    subject = make(tmp_path)
    write(subject, 1, 100, 900, 1000, 950)
    write(subject, 2, 100, 1950)
    section = memory_section(subject)
    found = plots_of(section)
    assert list(found) == ["memory", "memory-over-time"]
    assert words_of(section) == (
        "3 measured trials with a known peak and budget took 25% to 98% of it: 1 came within 5% of the budget, "
        "none went over it. The best, trial 1, left 1,000 MiB of the t4 (50%)."
    )
    assert "beyond the right edge" not in found["memory"].caption
    assert found["memory-over-time"].alt == (
        "Trial 1 (best): peak of 1,000 MiB after 2.0 s. Trial 2 (largest peak): peak of 1.90 GiB after 1.0 s"
    )
    assert "above the plot" not in found["memory-over-time"].caption


def test_a_budget_far_above_is_told_in_words(tmp_path: Path) -> None:
    facts = {**LIMIT, "target": {"profile": "t4", "limit_bytes": 16_000 * MIB}}
    subject = make_subject(tmp_path, [make_record(0, 200.0, peak_mib=500)], **facts)
    write(subject, 0, 400, 500)
    found = plots_of(memory_section(subject))
    assert "The budget, 15.62 GiB, lies beyond the right edge." in found["memory"].caption
    assert "Budgets lie above the plot." in found["memory-over-time"].caption


def test_two_gpus_and_a_trial_that_ran_out_for_twenty_minutes(tmp_path: Path) -> None:
    phases = [Phase(name="load", start_s=0.0, end_s=1200.0)]
    gone = make_record(1, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), phases=phases, peak_mib=None)
    subject = make_subject(tmp_path, [make_record(0, 200.0), gone], **LIMIT)
    lines = [f"{t},{t * MIB},1,,{t * MIB},{t * MIB // 2}" for t in range(0, 1200, 2)]
    header = "t_s,memory_bytes,num_processes,host_bytes,gpu0_used_bytes,gpu1_used_bytes"
    subject.folder.samples(1).write_text("\n".join([header, *lines]))
    found = plots_of(memory_section(subject))["memory-over-time"]
    assert found.alt == "Trial 1 (ran out of memory): peak of 1.17 GiB after 1198.0 s"
    assert found.caption.startswith("Memory of the fullest GPU, thin lines are each of them")
    assert "Lines have 400 points at most" in found.caption


def test_readings_of_nothing_can_be_drawn(tmp_path: Path) -> None:
    subject = make_subject(tmp_path, [make_record(0, 200.0, phases=[])], constraints=[])
    write(subject, 0, 0)
    assert "peak of 0 MiB" in plots_of(memory_section(subject))["memory-over-time"].alt


def test_without_samples_or_a_budget(tmp_path: Path) -> None:
    subject = make_subject(tmp_path, [make_record(0, 200.0, peak_mib=500)], constraints=[])
    subject.folder.samples(0).write_bytes(b"\xff\x00 not a table")
    section = memory_section(subject)
    assert list(plots_of(section)) == ["memory"]
    assert words_of(section) == ""  # nothing is said of a budget that isn't known


def test_nothing_was_measured(tmp_path: Path) -> None:
    assert memory_section(make_subject(tmp_path, [make_record(0, 200.0, peak_mib=None)])) is None
    assert memory_section(make_subject(tmp_path / "empty", [])) is None
