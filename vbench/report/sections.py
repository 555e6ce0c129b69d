"""Which sections a report has, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vbench.report.answer_section import answer_section
from vbench.report.blocks import Section
from vbench.report.estimates_section import estimates_section
from vbench.report.failures_section import failures_section, next_section, problems_section, warnings_section
from vbench.report.gpu_tables import gpus_section
from vbench.report.history_section import history_section
from vbench.report.latency_table import latencies_section
from vbench.report.load_section import load_section
from vbench.report.memory_section import memory_section
from vbench.report.method_section import method_section
from vbench.report.parameters_section import parameters_section
from vbench.report.pareto_section import front_section
from vbench.report.quality_section import answers_section
from vbench.report.roofline_section import roofline_section
from vbench.report.search_section import searched_section
from vbench.report.subject import Subject
from vbench.report.time_section import time_section
from vbench.report.trials_section import trials_section
from vbench.report.trust_section import stillness_section

SECTIONS: tuple[Callable[[Subject], Section | None], ...] = (
    answer_section,
    next_section,
    problems_section,
    front_section,
    history_section,
    parameters_section,
    load_section,
    memory_section,
    answers_section,
    estimates_section,
    roofline_section,
    time_section,
    latencies_section,
    gpus_section,
    searched_section,
    stillness_section,
    failures_section,
    warnings_section,
    trials_section,
    method_section,
)

_OF_ONE_RUN = (searched_section, stillness_section)
"""About one run's search and its machine's drift: of several runs in one ranking they would mix what was apart."""
_EARLY = (answer_section, next_section, problems_section, failures_section)
_FAILURES_FIRST = (*_EARLY, *(make for make in SECTIONS if make not in _EARLY))


def each_section(subject: Subject) -> Iterator[Section]:
    """Those that have something to say, in order; what failed comes early where nothing could be ranked."""
    order = SECTIONS if subject.answer.best is not None else _FAILURES_FIRST
    made = (make for make in order if not (subject.is_merged and make in _OF_ONE_RUN))
    return (section for make in made if (section := make(subject)) is not None)


def sections_of(subject: Subject) -> tuple[Section, ...]:
    """All of them."""
    return tuple(each_section(subject))
