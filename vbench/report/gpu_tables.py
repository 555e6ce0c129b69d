"""What the GPUs did, as text cells: for the page, Markdown, and in short for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.gpu_doubts import gpu_doubts
from vbench.analysis.gpu_work import GpuWork, gpu_works
from vbench.analysis.ranking import ranked
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Fold, Grid, Heading, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, show_trials
from vbench.units import MIB, format_number

MAX_TRIALS = 8
"""Trials that are shown at once, the best first; the page folds the others away."""
MAX_OTHERS = 200
"""Of those that are folded away, the best first too."""
# Short words, so that the last two columns are in sight: the text above the table has the long ones.
_COLUMNS = ("Trial", "GPU", "Memory", "Power", "1,000 tokens", "SM clock", "Heat", "Slowed by", "Others")
_NUMERIC = frozenset(range(7))
_TOGETHER = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSection:
    """The section of the page."""

    best: Table
    others: Table
    num_others: int
    """Trials in `others`."""
    num_left_out: int
    """Trials beyond these, that are in neither table."""
    doubts: Table


def gpu_section(
    records: Sequence[TrialRecord], answer: Answer, order: Sequence[TrialRecord] | None = None
) -> GpuSection | None:
    """None where no record has GPU data. `order`: the trials as `ranked`, where they were."""
    measured = [record for record in records if gpu_works(record)]
    if not measured:
        return None
    order = ranked(records, answer.objective) if order is None else order
    measured = _best_first(measured, order)
    doubts = tuple(Row(cells=(one.text, show_trials(one.trials))) for one in gpu_doubts(records))
    return GpuSection(
        best=_table(measured[:MAX_TRIALS], answer),
        others=_table(measured[MAX_TRIALS : MAX_TRIALS + MAX_OTHERS], answer),
        num_others=len(measured[MAX_TRIALS : MAX_TRIALS + MAX_OTHERS]),
        num_left_out=len(measured[MAX_TRIALS + MAX_OTHERS :]),
        doubts=Table(columns=("What the GPUs say against the numbers", "Trials"), rows=doubts),
    )


def doubts_of_best(records: Sequence[TrialRecord], answer: Answer) -> tuple[str, ...]:
    """The serious ones, as sentences; empty where no trial is the best."""
    if answer.best is None:
        return ()
    trials = {answer.best.trial, *answer.finals}
    found = [one.text for one in gpu_doubts(records) if one.is_serious and trials.intersection(one.trials)]
    return tuple(f"Don't rely on trial {answer.best.trial} yet: {text}." for text in found)


def gpu_lines(record: TrialRecord) -> dict[str, str]:
    """A line for each GPU of one trial, by `GPU 0`; what couldn't be read is left out."""
    return {f"GPU {work.gpu}": _line(work) for work in gpu_works(record)}


def _best_first(records: Sequence[TrialRecord], order: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The ranked ones, then the others by number; each with its own phases, finals too."""
    places = {record.trial: place for place, record in enumerate(order)}
    return sorted(records, key=lambda one: (places.get(one.trial, len(places)), one.trial))


def _table(records: Sequence[TrialRecord], answer: Answer) -> Table:
    return Table(columns=_COLUMNS, rows=tuple(row for one in records for row in _rows(one, answer)), numeric=_NUMERIC)


def _rows(record: TrialRecord, answer: Answer) -> list[Row]:
    """A row for each GPU, the trial's number in the first; where there are several, one for what adds up."""
    works = gpu_works(record)
    cells = [_cells(work) for work in works]
    if len(works) > 1:
        power = _sum([work.mean_power_w for work in works])
        energy = _sum([work.energy_j_per_1000_tokens for work in works])
        cells.append((_TOGETHER, "", _watts(power), _joules(energy), "", "", "", ""))
    is_best = answer.best is not None and record.trial == answer.best.trial
    mark = "best" if is_best else "" if record.outcome.is_measured else "failed"
    return [Row(cells=(str(record.trial) if place == 0 else "", *each), mark=mark) for place, each in enumerate(cells)]


def _cells(work: GpuWork) -> tuple[str, ...]:
    return (
        str(work.gpu),
        _mib(work.peak_used_bytes),
        _watts(work.mean_power_w),
        _joules(work.energy_j_per_1000_tokens),
        _clocks(work),
        MISSING if work.top_temperature_c is None else f"{work.top_temperature_c} °C",
        _list(work.slowed_by),
        _strangers(work),
    )


def _line(work: GpuWork) -> str:
    slowed = f"slowed by {', '.join(work.slowed_by)}" if work.slowed_by else MISSING
    others = f"other processes: {_strangers(work)}" if work.foreign_pids else MISSING
    energy = _joules(work.energy_j_per_1000_tokens)
    _, memory, power, _, clocks, heat, *_ = _cells(work)
    parts = (
        (memory, f"peak {memory}"),
        (power, f"{power} on average"),
        (energy, f"{energy} per 1,000 output tokens"),
        (clocks, f"SM clock {clocks}"),
        (heat, f"up to {heat}"),
        (slowed, slowed),
        (others, others),
    )
    return ", ".join(text for value, text in parts if value != MISSING) or MISSING


def _clocks(work: GpuWork) -> str:
    """`1,005 – 1,297 MHz`: the lowest sample and the mean of all; one number where they are the same."""
    low, mean = work.lowest_sm_clock_mhz, work.mean_sm_clock_mhz
    if low is None or mean is None:
        return MISSING
    return f"{low:,} MHz" if low == round(mean) else f"{low:,} – {mean:,.0f} MHz"


def _strangers(work: GpuWork) -> str:
    """`pid 41, 42 (300 MiB)`."""
    if not work.foreign_pids:
        return _list(work.foreign_pids)
    held = "" if work.peak_foreign_bytes is None else f" ({_mib(work.peak_foreign_bytes)})"
    return f"pid {show_trials(work.foreign_pids)}{held}"


def _list(found: Sequence[object] | None) -> str:
    return MISSING if found is None else ", ".join(map(str, found)) or "none"


def _mib(num_bytes: int | None) -> str:
    return MISSING if num_bytes is None else f"{num_bytes / MIB:,.0f} MiB"


def _watts(power_w: float | None) -> str:
    return MISSING if power_w is None else f"{format_number(power_w)} W"


def _joules(energy_j: float | None) -> str:
    return MISSING if energy_j is None else f"{format_number(energy_j)} J"


def _sum(values: Sequence[float | None]) -> float | None:
    """None where one of them couldn't be read."""
    known = [one for one in values if one is not None]
    return sum(known) if len(known) == len(values) else None


_NOTE = (
    "GPUs are numbered as in nvidia-smi. Memory is the whole device’s peak and heat its highest temperature, loading "
    "included; others are processes that aren’t the trial’s. Of the timed passes: mean power, the energy of 1,000 "
    "output tokens by the card’s own counter, the lowest SM clock and its mean, and what slowed it. – is what couldn’t "
    "be read."
)


def gpus_section(subject: Subject) -> Section | None:
    """None where no record has GPU data."""
    found = gpu_section(subject.records, subject.answer, subject.order)
    if found is None:
        return None
    others = f"The other {found.num_others} trial{'s' if found.num_others > 1 else ''}"
    if found.num_left_out:
        others = f"The next {found.num_others} of {found.num_others + found.num_left_out:,} others, the best first"
    doubts: list[Block] = [
        Heading("Before you trust these numbers"),
        Grid(found.doubts, "What the GPUs say against the numbers", "prose"),
    ]
    blocks = blocks_of(
        Prose(_NOTE, "muted"),
        Grid(found.best, "What the GPUs did"),
        Fold(others, (Grid(found.others, "What the GPUs did in the other trials"),)) if found.num_others else None,
        doubts if found.doubts.rows else None,
    )
    return Section("gpus", "What the GPUs did", blocks)
