"""A copy that computes a part of the sections: the same page as without it, and none of it left over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.records.builders import make_record, make_run, make_sweep_records
from vbench.report import section_process as module
from vbench.report.build import build_report
from vbench.report.contents import read_run
from vbench.report.page import make_page
from vbench.report.processes import has_cores
from vbench.report.section_process import SectionProcess, section_process
from vbench.report.sections import each_section, is_made_beside, makers_of, sections_of
from vbench.report.subject import Subject


@pytest.fixture(autouse=True)
def _every_run_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 1)
    if not has_cores():
        pytest.skip("one core: no process beside")


def subject_of(tmp_path: Path, name: str = "small", add: int = 0) -> Subject:
    records = [make_record(one.trial + add) if add else one for one in make_sweep_records()]
    run = make_run(tmp_path / name, records)
    return Subject(folder=run, contents=read_run(run))


def test_the_page_is_the_same(tmp_path: Path) -> None:
    subjects = [subject_of(tmp_path), subject_of(tmp_path, "other", 20)]
    alone = make_page(*subjects)
    heard: list[str] = []
    with section_process(subjects) as copy:
        assert copy is not None
        page = make_page(*subjects, on_plots=lambda plots, _: heard.extend(one.name for one in plots), elsewhere=copy)
    assert [one.title for one in page.sections] == [one.title for one in alone.sections]
    assert [[one.name for one in plots] for _, plots in page.plots] == [
        [one.name for one in plots] for _, plots in alone.plots
    ]
    assert sorted(heard) == sorted(one.name for _, plots in alone.plots for one in plots)


def test_files_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(tmp_path)
    helped = build_report(subject.folder, tmp_path / "helped")
    monkeypatch.setattr(module, "LARGE", 1 << 40)
    alone = build_report(subject.folder, tmp_path / "alone")
    for one, other in ((helped.html, alone.html), (helped.markdown, alone.markdown), (helped.csv, alone.csv)):
        assert one.read_bytes() == other.read_bytes()


def test_about_half_is_made_beside(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    beside = [is_made_beside(make) for make in makers_of(subject)]
    assert any(beside)
    assert not all(beside)


def test_a_copy_that_is_killed_is_done_without(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    with section_process([subject]) as copy:
        assert copy is not None
        os.kill(copy.pid, signal.SIGKILL)
        found = dict(each_section(subject, copy))
    assert [found[place].title for place in sorted(found)] == [one.title for one in sections_of(subject)]
    assert not Path(f"/proc/{copy.pid}").exists()


def test_what_fails_in_the_copy_is_said_by_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(tmp_path)

    def fail(_: Subject) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("vbench.report.sections.SECTIONS", (fail,))
    monkeypatch.setattr("vbench.report.sections._BESIDE", frozenset((fail,)))
    with section_process([subject]) as copy, pytest.raises(ZeroDivisionError, match="here"):
        list(each_section(subject, copy))


def test_none_where_there_can_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> SectionProcess:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module, "SectionProcess", refused)
    with section_process([subject_of(tmp_path)]) as copy:
        assert copy is None
