"""The same findings for a terminal: rich renderables, printed by the CLI. Nothing is printed here.

Foreign text enters as `Text`, never as rich markup, and without control characters: a log line can't move the cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.failures import group_failures
from vbench.analysis.pareto import pareto_front
from vbench.analysis.statistics import interval_of
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report import recipes
from vbench.report.gpu_tables import doubts_of_best
from vbench.report.pareto_section import front_table, varied
from vbench.report.quality_section import quality_sentences
from vbench.report.recipe_parts import Provenance, limits_of
from vbench.report.summary import late_trials, missing_finals, summary_facts, summary_headline
from vbench.report.tables import differences_table, outcome_text, value_text
from vbench.report.text import (
    FAKE_MARK,
    MISSING,
    metric_label,
    printable,
    shorten,
    show_bounds,
    show_metric,
    show_trials,
    show_value,
)
from vbench.report.trust_section import trust_lines
from vbench.spec.types import Objective
from vbench.units import format_duration

_STYLES = {
    Outcome.COMPLETED: "",
    Outcome.OVER_BUDGET: "yellow",
    Outcome.PRUNED: "dim",
    Outcome.INFEASIBLE: "dim",
    Outcome.UNSUPPORTED: "dim",
    Outcome.INTERRUPTED: "dim",
}


_ONE_LINE = {ord("\n"): " ", ord("\t"): " "}
_LONGEST_ADVICE = 300
_WIDTH_FOR_COST = 72
"""Columns from which the table of trials has room for memory and time; one trial's details have them anyway."""
_MOST_BOUNDS = 1000
"""Trials up to which each has its interval: a bootstrap for each of very many takes minutes."""
_NOT_IN_TURNS = (
    "The gain is between trials run at different times, not in turns: `vbench compare RUN:baseline RUN:best --again` "
    "measures both in turns."
)


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """Every trial with the parameters that vary; the best in bold, with a star that shows without colour too.

    Fits itself to the console: where a column for each parameter has no room, they share one, named below the table.
    """

    records: Sequence[TrialRecord]
    objective: Objective
    mark: str | None = None
    """What the numbers are, where they aren't a plain measurement (`marks.Mark.text`)."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich asks of a renderable."""
        yield _table(self.records, self.objective, options.max_width, self.mark)


def trials_table(records: Sequence[TrialRecord], objective: Objective, mark: str | None = None) -> TrialsTable:
    """The table of a run's trials, to be printed by a rich console."""
    return TrialsTable(records, objective, mark)


def _table(records: Sequence[TrialRecord], objective: Objective, width: int, mark: str | None) -> Table:
    answer = find_answer(records, objective)
    names = varied(records)
    headings = [shorten(name.rpartition(".")[2], 24) for name in names]
    is_wide = width >= 84 + sum(min(len(heading), 16) + 2 for heading in headings)
    title = mark or (FAKE_MARK if answer.is_fake else None)
    table = Table(title=title, title_style="bold yellow", title_justify="left", box=None, pad_edge=False)
    table.header_style = "dim"
    if names and not is_wide:
        table.caption = Text("Parameters: " + " · ".join(headings), justify="left", style="dim")
    table.add_column("Trial", justify="right", no_wrap=True)
    has_cost, has_bounds = width >= _WIDTH_FOR_COST, is_wide and len(records) <= _MOST_BOUNDS
    table.add_column("Outcome", overflow="fold", min_width=19 if has_cost else 12)
    cost = ("Peak memory", "Took") if has_cost else ()
    for heading in (metric_label(objective.metric), *(("Interval",) if has_bounds else ()), *cost):
        table.add_column(heading, justify="right")
    for heading in headings if is_wide or not names else ("Parameters",):
        table.add_column(Text(heading), overflow="fold")
    for record in sorted(records, key=lambda one: one.trial):
        is_best = answer.best is not None and record.trial == answer.best.trial
        cells = [
            f"{record.trial}{' ★' if is_best else '  '}",
            outcome_text(record),
            value_text(record, objective),
            *([_bounds(record, objective)] if has_bounds else []),
            *(_cost_cells(record) if has_cost else ()),
            *_settings_cells(record, names, is_wide=is_wide),
        ]
        style = "bold green" if is_best else _STYLES.get(record.outcome, "red")
        table.add_row(*(Text(printable(cell).translate(_ONE_LINE)) for cell in cells), style=style)
    return table


def _bounds(record: TrialRecord, objective: Objective) -> str:
    return show_bounds(objective.metric, interval_of(record, objective.metric) if not record.stopped else None)


def _cost_cells(record: TrialRecord) -> tuple[str, str]:
    peak = show_metric("peak_memory_bytes", value_of(record.measurements, "peak_memory_bytes"))
    return peak, format_duration(record.duration_s)


def _settings_cells(record: TrialRecord, names: list[str], *, is_wide: bool) -> list[str]:
    values = [shorten(show_value(record.parameters.get(name, MISSING)), 30) for name in names]
    if is_wide or not names:
        return values
    return [" · ".join(values)]


def pareto_table(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> Table:
    """The trials that no other beats in all objectives, best by the first one first; a star at the best."""
    rows = front_table(records, pareto_front(records, objectives), objectives)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(rows.columns):
        heading = Text(printable(column))
        table.add_column(heading, justify="right" if index in rows.numeric else "left", overflow="fold")
    for row in rows.rows:
        trial, *cells = (printable(cell) for cell in row.cells)
        star = " ★" if row.mark == "best" else "  "
        table.add_row(Text(f"{trial}{star}"), *map(Text, cells), style="bold green" if row.mark == "best" else "")
    return table


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a sweep: the answer in a box, and the line that starts the best, outside of the box and never broken,
    so that it can be copied as it stands."""

    panel: Panel
    command: Text | None
    """None where nothing is the best."""


def summary(
    records: Sequence[TrialRecord], objective: Objective, mark: str | None = None, distribution: str = "vllm"
) -> Summary:
    """The answer for a terminal: the best trial, its numbers, what it changes, what failed, how to run it; above all
    the mark of what isn't a plain measurement. `distribution`: the engine's, as pip names it."""
    answer = find_answer(records, objective)
    best = answer.best
    limits = {} if best is None else limits_of(best)
    origin = Provenance(distribution=distribution, limits=limits)
    command = None if best is None else Text(printable(recipes.as_serve(best.config, origin)).rstrip("\n"))
    return Summary(panel=_panel(records, answer, mark), command=command)


def summary_panel(records: Sequence[TrialRecord], objective: Objective) -> Panel:
    """The box alone."""
    return _panel(records, find_answer(records, objective), None)


def _panel(records: Sequence[TrialRecord], answer: Answer, mark: str | None) -> Panel:
    mark = mark or (FAKE_MARK if answer.is_fake else None)
    parts: list[RenderableType] = [Text(summary_headline(answer), style="bold")]
    if mark:
        parts.insert(0, Text(printable(mark), style="bold yellow"))
    facts = _grid()
    for fact in summary_facts(answer, records):
        facts.add_row(Text(fact.label, style="dim"), Text(fact.value, style="bold"), Text(fact.note, style="dim"))
    parts += [facts, *(Text(printable(line)) for line in quality_sentences(records, answer))]
    doubts = [*doubts_of_best(records, answer), missing_finals(answer), late_trials(answer), *trust_lines(records)]
    parts += [Text(printable(line), style="yellow") for line in doubts if line]
    if answer.gain is not None and answer.best is not answer.baseline:
        parts.append(Text(_NOT_IN_TURNS, style="dim"))
    if answer.best is not None and answer.differences:
        parts += [Text(), _changes(answer)]
    groups = group_failures(records)
    if groups:
        failures = _grid()
        for group in groups:
            trials = f"{group.count}× (trial{'s' if group.count > 1 else ''} {show_trials(group.trials)})"
            advice = Text(shorten(group.advice, _LONGEST_ADVICE))
            failures.add_row(Text(printable(group.failure_class), style="red"), Text(trials, style="dim"), advice)
        parts += [Text(), failures]
    return Panel(Group(*parts), border_style="yellow" if mark else "green" if answer.best else "red")


def _changes(answer: Answer) -> Table:
    changes = _grid()
    for row in differences_table(answer).rows:
        name, best, baseline = (printable(cell) for cell in row.cells)
        changes.add_row(Text(shorten(name, 40), no_wrap=True), Text.assemble(best, (f"  was {baseline}", "dim")))
    return changes


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=False, overflow="fold")
    grid.add_column(overflow="fold")
    return grid
