"""What memory bought, and when it was held."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vbench.analysis.headroom import headroom_bytes, memory_budget
from vbench.analysis.memory_course import MAX_POINTS, MemoryCourse, courses
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.records.samples import MemorySamples, read_samples
from vbench.report import plots_memory
from vbench.report.blocks import Plot, Prose, Section, blocks_of
from vbench.report.plot_bins import thin_memory
from vbench.report.subject import Subject
from vbench.report.text import show_trials
from vbench.units import GIB, format_bytes

_NEAR = 0.95
"""Of the budget: a peak above it has come near."""


def memory_section(subject: Subject) -> Section | None:
    """None where neither a peak nor a sample of any trial is there."""
    taken = _taken(subject)
    over_time = _over_time(subject)
    bought = _bought(subject, {budget for _, budget in taken})
    blocks = blocks_of(_words(taken, subject), bought, over_time)
    if bought is None and over_time is None:
        return None
    return Section("memory", "Memory", blocks)


def _taken(subject: Subject) -> list[tuple[float, float | None]]:
    """Peak and budget of each trial with a known peak; of one that ended early, more might have come."""
    whole = (record for record in subject.records if record.outcome.is_measured)
    peaks = ((value_of(record.measurements, "peak_memory_bytes"), record) for record in whole)
    return [(peak, _budget(subject, record)) for peak, record in peaks if peak is not None]


def _bought(subject: Subject, budgets: set[float | None]) -> Plot | None:
    """What more memory buys; with the budget where it is known and the same for all."""
    data = subject.history
    thin = thin_memory(data)
    trials = [mark.trial for mark in data.marks if mark.value is not None and mark.memory_gib is not None]
    if not (thin.marks or thin.cells):
        return None
    largest = max(mark.memory_gib or 0.0 for mark in data.marks)
    budget = next(iter(budgets)) if len(budgets) == 1 else None
    is_near = budget is not None and budget / GIB <= plots_memory.BUDGET_WITHIN * largest
    caption = "What more memory buys. Peak memory is the largest in any phase of the trial, loading included."
    if thin.cells:
        caption += f" Of {thin.num_trials:,} trials, those that lie near each other are one mark."
    if budget is not None and not is_near:
        caption += f" The budget, {format_bytes(budget)}, lies beyond the right edge."
    return Plot(
        name="memory",
        title=f"{data.axis.label} against peak memory",
        caption=caption,
        alt=f"{data.axis.label} against peak memory for trials {show_trials(trials)}.",
        draw=partial(plots_memory.draw_memory, thin, budget / GIB if budget is not None and is_near else None),
    )


def _words(taken: Sequence[tuple[float, float | None]], subject: Subject) -> Prose | None:
    """How near the budget the trials came, and the best of them."""
    shares = [peak / budget for peak, budget in taken if budget]
    if not shares:
        return None
    near = sum(_NEAR < share <= 1 for share in shares)
    over = sum(share > 1 for share in shares)
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    span = f"{high} of it" if low == high else f"{low} to {high} of it"
    text = f"{_count(len(shares), 'measured trial')} with a known peak and budget took {span}: "
    text += f"{near or 'none'} came within {1 - _NEAR:.0%} of the budget, {over or 'none'} went over it."
    return Prose(text + _left_by_best(subject))


def _left_by_best(subject: Subject) -> str:
    best = subject.answer.best
    budget = None if best is None else memory_budget(best, subject.contents)
    left = None if best is None else headroom_bytes(best, subject.contents)
    if best is None or budget is None or left is None or left < 0:
        return ""
    return f" The best, trial {best.trial}, left {format_bytes(left)} of {budget.what} ({left / budget.num_bytes:.0%})."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _over_time(subject: Subject) -> Plot | None:
    def samples_of(record: TrialRecord) -> MemorySamples | None:
        folder, number = subject.source_of(record.trial)
        return read_samples(folder.samples(number))

    found = tuple(courses(subject.records, subject.answer.best, samples_of, partial(_budget, subject)))
    if not found:
        return None
    return Plot(
        name="memory-over-time",
        title="Memory over time",
        caption=_caption(found),
        alt=". ".join(
            f"Trial {one.trial} ({', '.join(one.why)}): peak of {format_bytes(one.peak[1])} after {one.peak[0]:.1f} s"
            for one in found
        ),
        draw=partial(plots_memory.draw_courses, found),
    )


def _caption(found: Sequence[MemoryCourse]) -> str:
    source = "the fullest GPU, thin lines are each of them" if any(one.gpus for one in found) else "the whole trial"
    text = f"Memory of {source}, as it was sampled; closing is ending the engine and waiting for its memory to be free."
    if any(one.num_samples > len(one.points) for one in found):
        text += f" Lines have {MAX_POINTS} points at most: of each stretch its first, lowest, highest and last sample."
    budgets = {one.budget_bytes for one in found}
    if budgets == {None}:
        text += " The budget isn't known."
    elif all((one.budget_bytes or 0) > plots_memory.BUDGET_WITHIN * one.peak[1] for one in found):
        text += " Budgets lie above the plot."
    return text


def _budget(subject: Subject, record: TrialRecord) -> float | None:
    budget = memory_budget(record, subject.contents)
    return None if budget is None else float(budget.num_bytes)
