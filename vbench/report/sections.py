"""Which sections a report has, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple, Protocol

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

Maker = Callable[[Subject], Section | None]
SECTIONS: tuple[Maker, ...] = (
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


_BESIDE = frozenset(
    (load_section, history_section, memory_section, time_section, searched_section, failures_section, latencies_section)
)
"""What of a large run another process computes: about half of the work, and the least of what others need too."""


class Made(NamedTuple):
    """A section and its place among `makers_of`; None where it has nothing to say."""

    place: int
    section: Section | None


class Elsewhere(Protocol):
    """Where some sections are computed meanwhile."""

    def ready(self, subject: Subject, *, wait: bool) -> Iterator[Made]:
        """Those of the subject that nobody has taken yet, as far as they are ready, or all of them once they are. One
        that never comes has to be computed here."""


def makers_of(subject: Subject) -> list[Maker]:
    """The sections that the subject's page may have, in order; what failed comes early where nothing could be
    ranked."""
    order = SECTIONS if subject.answer.best is not None else _FAILURES_FIRST
    return [make for make in order if not (subject.is_merged and make in _OF_ONE_RUN)]


def is_made_beside(make: Maker) -> bool:
    """Whether it is computed elsewhere, where there is such."""
    return make in _BESIDE


def each_section(subject: Subject, elsewhere: Elsewhere | None = None) -> Iterator[tuple[int, Section]]:
    """Those that have something to say, with what they are ordered by; as soon as each is there."""
    left = dict(enumerate(makers_of(subject)))
    for place, make in list(left.items()):
        if elsewhere is None or not is_made_beside(make):
            yield from _said(Made(place, make(subject)))
            del left[place]
            for made in elsewhere.ready(subject, wait=False) if elsewhere is not None else ():
                del left[made.place]
                yield from _said(made)
    for made in elsewhere.ready(subject, wait=True) if elsewhere is not None else ():
        del left[made.place]
        yield from _said(made)
    for place, make in left.items():
        yield from _said(Made(place, make(subject)))


def _said(made: Made) -> Iterator[tuple[int, Section]]:
    if made.section is not None:
        yield made.place, made.section


def sections_of(subject: Subject) -> tuple[Section, ...]:
    """All of them, in order."""
    return tuple(section for _, section in sorted(each_section(subject), key=itemgetter(0)))
