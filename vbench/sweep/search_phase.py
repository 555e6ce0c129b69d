"""The search's own trials: the baseline, what a killed session left, then what the method asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.records.runs import RunFolder
from vbench.search.base import Asking, Searcher
from vbench.spec.config import engine_key
from vbench.spec.space import Point, point_of
from vbench.sweep.budget import Budget
from vbench.sweep.job_maker import JobMaker
from vbench.sweep.jobs import Job, read_pending
from vbench.sweep.reserve import search_stop

MOST_REFUSED = 500
"""Refusals in a row after which a search is given up: all that it asks for can't run."""


class SearchPhase:
    """Hands out jobs until `end` says why there are no more."""

    def __init__(self, maker: JobMaker, run: RunFolder, searcher: Searcher, budget: Budget) -> None:
        self.maker, self.searcher, self.budget = maker, searcher, budget
        self.spec, self.history = maker.spec, maker.history
        self.end: str | None = None
        self.note: str | None = None
        """What is to be said of the end."""
        self._pending = read_pending(run)
        maker.cut_short = {earlier["trial"] for earlier in self._pending}

    @property
    def has_pending(self) -> bool:
        """Whether trials of the search that an earlier session left running may still have to be run."""
        return any(self._is_open(earlier) for earlier in self._pending)

    def _is_open(self, earlier: Mapping[str, Any]) -> bool:
        """Whether it is a trial of the search that has no record."""
        number = earlier["trial"]
        is_cut_short = number >= self.history.next_number or number in self.history.missing
        return earlier.get("origin", "search") == "search" and is_cut_short

    def next(self, running: Sequence[Job]) -> Job | None:
        """The next job, beside those that run; None when the search has come to its end."""
        standing = self.history.standing
        if standing.done + len(running) >= standing.planned:
            self.end = "finished"
        elif self.history.num_refused_in_row >= MOST_REFUSED:
            self.end = "exhausted"
            self.note = (
                f"the planner refused {MOST_REFUSED} configurations in a row, so the search was ended: search smaller "
                "settings, or try these all the same with --no-plan --new"
            )
        else:
            self.end = search_stop(self.budget, standing)
        if self.end is not None:
            return None
        job = self._job(running)
        if job is not None and job.gpus > 1:
            self.end = self.budget.may_start(job.gpus)
        return job if self.end is None else None

    def _job(self, running: Sequence[Job]) -> Job | None:
        number = self.maker.next_number(running)
        is_running = any(job.origin == "baseline" for job in running)
        if self.maker.baseline is not None and (number == 0 or (self.history.wants_baseline and not is_running)):
            return self.maker.job(number, self.maker.baseline, "baseline")
        while self._pending:
            earlier = self._pending.pop(0)
            point = point_of(self.spec.parameters, earlier["parameters"])
            if self._is_open(earlier) and point is not None and self.maker.is_allowed(point, running):
                return self.maker.job(earlier["trial"], point, "search")
        point = self._ask(number, running)
        if point is None:
            self.end = "exhausted"
            self.note = _said_of(self.history.num_spoilt)
            return None
        return self.maker.job(number, point, "search" if self.spec.parameters else "run")

    def _ask(self, number: int, running: Sequence[Job]) -> Point | None:
        live = self.maker.asked_keys
        return self.searcher.ask(
            Asking(
                number=number,
                is_allowed=lambda point: self.maker.is_allowed(point, running),
                running=[job.point for job in running],
                is_cheap=(lambda point: engine_key(self.spec, point.settings) in live) if live else None,
            )
        )


def _said_of(num_spoilt: int) -> str | None:
    """Of configurations that were asked for, and whose trials the machine spoilt."""
    if not num_spoilt:
        return None
    which = "1 configuration wasn't" if num_spoilt == 1 else f"{num_spoilt:,} configurations weren't"
    return f"{which} measured, as the machine spoilt what was tried: the same command tries again"
