"""Several objectives: the front as a table and as points to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.pareto import pareto_front, rankable_by_all
from vbench.analysis.ranking import objective_value
from vbench.records.record import TrialRecord
from vbench.report import plots_search
from vbench.report.blocks import Block, Grid, Heading, Plot, Prose, Section, blocks_of
from vbench.report.fronts_blocks import fronts_blocks
from vbench.report.plot_bins import thin_pareto
from vbench.report.plot_data import ParetoPlot, ParetoPoint, axis_of, scale_of_metric
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import metric_label, show_metric, show_trials, show_value
from vbench.spec.types import Objective

_AIMS = {"maximize": "the more the better", "minimize": "the less the better"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoSection:
    """The front, best by the first objective first."""

    note: str
    front: Table
    plot: ParetoPlot | None
    """None where no trial has all values."""


def pareto_section(
    records: Sequence[TrialRecord], objectives: Sequence[Objective], answer: Answer | None = None
) -> ParetoSection | None:
    """None where there is one objective. `answer` is by the first one, where it was found already."""
    if len(objectives) < 2:
        return None
    answer = answer or find_answer(records, objectives[0])
    front = pareto_front(records, objectives)
    rest = ", ".join(_aim(one) for one in objectives[1:])
    note = (
        f"No other trial is better than one of these in something without being worse in something else. What is "
        f"called the best on this page is so by the first objective, {_aim(objectives[0])}; besides: {rest}."
    )
    if any(record.origin == "final" for record in records):
        note += " Finalists stand with their finals, the other trials with their first measurements."
    return ParetoSection(
        note=note,
        front=front_table(records, front, objectives, answer),
        plot=_plot(records, front, objectives, answer),
    )


def front_table(
    records: Sequence[TrialRecord],
    front: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    answer: Answer | None = None,
) -> Table:
    """A row for each trial of the front: every objective, and the parameters that vary in the run."""
    best = (answer or find_answer(records, objectives[0])).best
    names = varied(records)
    rows = tuple(
        Row(
            cells=(
                str(record.trial),
                *(show_metric(one.metric, objective_value(record, one)) for one in objectives),
                *(show_value(record.parameters[name]) if name in record.parameters else "–" for name in names),
            ),
            mark="best" if best is not None and record.trial == best.trial else "",
        )
        for record in front
    )
    columns = ("Trial", *(metric_label(one.metric) for one in objectives), *names)
    return Table(columns=columns, rows=rows, numeric=frozenset(range(1 + len(objectives))))


def varied(records: Sequence[TrialRecord]) -> list[str]:
    """Parameters that had more than one value."""
    seen: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.parameters.items():
            seen.setdefault(name, set()).add(show_value(value))
    return [name for name, values in seen.items() if len(values) > 1]


def _aim(objective: Objective) -> str:
    return f"{metric_label(objective.metric)} ({_AIMS[objective.direction]})"


def _plot(
    records: Sequence[TrialRecord], front: Sequence[TrialRecord], objectives: Sequence[Objective], answer: Answer
) -> ParetoPlot | None:
    first, second = objectives[:2]
    on_front = {record.trial for record in front}
    points = tuple(
        ParetoPoint(
            trial=record.trial,
            x=x / scale_of_metric(second.metric),
            y=y / scale_of_metric(first.metric),
            is_on_front=record.trial in on_front,
            is_best=answer.best is not None and record.trial == answer.best.trial,
        )
        for record in rankable_by_all(records, objectives)
        if (y := objective_value(record, first)) is not None and (x := objective_value(record, second)) is not None
    )
    if not points:
        return None
    return ParetoPlot(
        x_axis=axis_of(second.metric),
        y_axis=axis_of(first.metric),
        points=points,
        is_whole=len(objectives) == 2,
        is_less_x_better=second.direction == "minimize",
    )


def front_section(subject: Subject) -> Section | None:
    """None where the sweep has one objective, and its ranked trials differ in nothing that it might cost."""
    blocks = blocks_of(_several(subject), fronts_blocks(subject))
    return Section("pareto", "Trade-offs", blocks) if blocks else None


def _several(subject: Subject) -> list[Block]:
    """Nothing where the sweep has one objective."""
    found = pareto_section(subject.records, subject.contents.objectives, subject.answer)
    if found is None:
        return []
    nothing = "No trial has a value of every objective and keeps the constraints."
    shown = Grid(found.front, "Trials on the Pareto front") if found.front.rows else Prose(nothing)
    plot = front_plot(found.plot) if found.plot else None
    drawn: list[Block] = [Heading(plot.title), plot] if plot else []
    return [Prose(found.note, "muted"), shown, *drawn]


def front_plot(data: ParetoPlot) -> Plot:
    """The plot and its words."""
    front = [point.trial for point in data.points if point.is_on_front]
    alt = f"{data.y_axis.label} against {data.x_axis.label} of {len(data.points)} trials; on the front: "
    alt += f"{show_trials(front)}."
    caption = "Filled: trials that no other beats in all objectives. Hollow: beaten by another. Ringed: the best."
    if not data.is_whole:
        caption += " Only the first two objectives are drawn: a trial may be on the front for another."
    title = f"{data.y_axis.label} against {data.x_axis.label}"
    draw = partial(plots_search.draw_pareto, thin_pareto(data))
    return Plot(name="pareto", title=title, caption=caption, alt=alt, draw=draw)
