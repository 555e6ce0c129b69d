"""The memory planner's estimates beside what engines said and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from vbench.analysis.estimates import (
    Compared,
    EstimateCheck,
    VerdictCount,
    check_estimates,
    count_verdicts,
    errors_of,
    is_comparable,
)
from vbench.report import plots_estimates
from vbench.report.blocks import Bullets, Fold, Grid, Plot, Prose, Section, blocks_of
from vbench.report.plots_estimates import PairsPanel
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, show_share
from vbench.units import GIB, MIB, format_bytes

MAX_ROWS = 200
MAX_CHECKED = 5000
"""Trials whose estimates are compared, evenly spread over more of them: errors repeat themselves."""
_CELLS = 40  # a panel's marks are put together where they would cover each other
_NOTE = (
    "What the memory planner expected before each trial, beside what the engine said of itself and what was measured. "
    "Weights are one GPU's; the planned peak is the most that was expected. Trials of the same kind narrow the "
    "planner's margin."
)
_ELSEWHERE = (
    "Plans are for the emulated card, and a CPU stood in for it: what the engine said of its memory can't be held "
    "against them."
)
_SAID = {
    "fits": "Said to fit",
    "uncertain": "Too close to call, might fit",
    "infeasible": "Said not to fit, but fitted",
}
_EXACT = 0.001
"""Errors below it are the rounding of what engines print."""
_QUANTITIES: tuple[tuple[str, str, float, Callable[[EstimateCheck], Compared]], ...] = (
    ("Weights", "GiB", GIB, lambda one: one.weights),
    ("KV cache", "thousand tokens", 1e3, lambda one: one.kv_tokens),
    ("Peak memory", "GiB", GIB, lambda one: one.peak),
)


def estimates_section(subject: Subject) -> Section | None:
    """None where nothing was planned."""
    # A configuration that is measured again says nothing new of its plan.
    planned = [record for record in subject.records if record.repeat_of is None]
    comparable = [record for record in planned if is_comparable(record, subject.contents.run)]
    counts = count_verdicts(planned)
    step = max(1, len(comparable) // MAX_CHECKED)
    checks = check_estimates(comparable[::step])
    if not counts and not checks:
        return None
    title = "Estimate against measurement"
    if not comparable:  # nor does what fitted here say anything of the card
        return Section("estimates", title, (Prose(_ELSEWHERE, "muted"),))
    blocks = blocks_of(
        Prose(_NOTE, "muted"),
        Prose(f"Of {len(comparable):,} trials one in {step:,} was compared.", "muted") if step > 1 else None,
        Bullets(sentences) if (sentences := tuple(_sentences(checks, counts))) else None,
        _plot(checks),
        Grid(verdicts_table(counts), "What came of the planner's verdicts"),
        _fold(checks),
    )
    return Section("estimates", title, blocks)


def _sentences(checks: Sequence[EstimateCheck], counts: Sequence[VerdictCount]) -> Iterator[str]:
    for one in counts:
        if one.tried:
            yield f"{_SAID.get(one.verdict, one.verdict)}: {one.fitted:,} of {one.tried:,} trials did."
    for name, _, _, quantity in _QUANTITIES:
        errors = errors_of(checks, quantity)
        if errors is None:
            continue
        trials = f"{errors.count:,} trial" if errors.count == 1 else f"{errors.count:,} trials"
        if -_EXACT < errors.low <= errors.high < _EXACT:
            yield f"{name}: planned right to {_EXACT:.1%} in {trials}."
        elif errors.count == 1:
            yield f"{name}: planned {_more_or_less(errors.median)}, in one trial."
        else:
            spread = f"5th to 95th percentile {show_share(errors.low)} to {show_share(errors.high)}"
            yield f"{name}: planned {_more_or_less(errors.median)} (median of {trials}; {spread})."


def _more_or_less(share: float) -> str:
    if abs(share) < _EXACT:
        return "as it was found"
    return f"{abs(share):.1%} {'more' if share > 0 else 'less'} than was found"


def _plot(checks: Sequence[EstimateCheck]) -> Plot | None:
    panels = tuple(
        panel
        for name, unit, scale, quantity in _QUANTITIES
        if (panel := _panel(name, unit, scale, [quantity(one) for one in checks])) is not None
    )
    if not panels:
        return None
    return Plot(
        name="estimates",
        title="Planned against measured",
        caption=(
            "On the dashed line the estimate was right; above it more was planned than there was, below it less. "
            "Trials that stand in one place are one mark, larger the more there are."
        ),
        alt="Planned over measured: " + ", ".join(f"{panel.title}, {len(panel.points)} marks" for panel in panels),
        draw=partial(plots_estimates.draw_estimates, panels),
    )


def _panel(name: str, unit: str, scale: float, compared: Sequence[Compared]) -> PairsPanel | None:
    largest = max((max(one.planned or 0.0, one.reported or 0.0) for one in compared), default=0.0)
    if unit == "GiB" and largest < GIB / 2:
        unit, scale = "MiB", MIB
    points = pairs(compared, scale)
    return PairsPanel(title=name, unit=unit, points=points) if points else None


def pairs(compared: Iterable[Compared], scale: float) -> tuple[tuple[float, float, int], ...]:
    """Measured and planned, divided by `scale`, and how many trials are within a fortieth of the largest of them."""
    known = [
        (one.reported / scale, one.planned / scale)
        for one in compared
        if one.planned is not None and one.reported is not None
    ]
    end = max((max(pair) for pair in known), default=0.0)
    if end <= 0:
        return ()
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for x, y in known:
        cells.setdefault((round(x / end * _CELLS), round(y / end * _CELLS)), []).append((x, y))
    return tuple((*found[0], len(found)) for found in cells.values())


def verdicts_table(counts: Sequence[VerdictCount]) -> Table:
    """What the planner said, and what came of it."""
    columns = ("Verdict", "Fitted", "Ran out of memory", "Ended otherwise", "Not tried")
    rows = tuple(
        Row(cells=(one.verdict, *(f"{n:,}" for n in (one.fitted, one.no_memory, one.unclear, one.not_tried))))
        for one in counts
    )
    return Table(columns=columns, rows=rows, numeric=frozenset((1, 2, 3, 4)))


def _fold(checks: Sequence[EstimateCheck]) -> Fold | None:
    if not checks:
        return None
    title = f"{len(checks):,} trials, one by one"
    shown = checks
    if len(checks) > MAX_ROWS:
        worst = sorted(checks, key=lambda one: (-_worst(one), one.trial))[:MAX_ROWS]
        shown = sorted(worst, key=lambda one: one.trial)
        title = f"The {MAX_ROWS} of {len(checks):,} trials whose estimates were furthest off"
    return Fold(title, (Grid(estimates_table(shown), "Estimates of each trial"),))


def _worst(check: EstimateCheck) -> float:
    return max((abs(one.error or 0.0) for one in (check.weights, check.kv_tokens, check.peak)), default=0.0)


def estimates_table(checks: Sequence[EstimateCheck]) -> Table:
    """What the planner expected beside what the engine said and what was measured."""
    columns = ("Trial", "Verdict", "Weights planned", "reported", "off", "KV tokens planned", "reported", "off")
    rows = tuple(
        Row(
            cells=(
                str(one.trial),
                one.verdict,
                *_three(one.weights, format_bytes),
                *_three(one.kv_tokens, lambda value: f"{value:,.0f}"),
                *_three(one.peak, format_bytes),
            )
        )
        for one in checks
    )
    return Table(
        columns=(*columns, "Peak planned", "measured", "off"), rows=rows, numeric=frozenset((0, *range(2, 11)))
    )


def _three(compared: Compared, show: Callable[[float], str]) -> tuple[str, str, str]:
    planned, reported = (MISSING if value is None else show(value) for value in (compared.planned, compared.reported))
    return planned, reported, MISSING if compared.error is None else show_share(compared.error)
