"""The same findings for a terminal: rich renderables, printed by the CLI. Nothing is printed here.

Foreign text enters as `Text`, never as rich markup, and without control characters: a log line can't move the cursor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vbench.analysis.answer import FAKE_ENGINE, Answer, find_answer
from vbench.analysis.failures import group_failures
from vbench.analysis.pareto import pareto_front
from vbench.analysis.ranking import objective_value
from vbench.analysis.remeasure import finals_of
from vbench.analysis.statistics import interval_of
from vbench.analysis.wording import explain_stop
from vbench.metrics import METRICS, value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report import recipes
from vbench.report.gpu_tables import doubts_of_best, gpu_lines
from vbench.report.pareto_section import front_table, varied
from vbench.report.quality_section import quality_sentences
from vbench.report.summary import late_trials, missing_finals, summary_facts, summary_headline
from vbench.report.tables import differences_table, outcome_text, value_text
from vbench.report.text import (
    FAKE_MARK,
    MISSING,
    NOT_MEASURED,
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

_COUNTED = ("warmup", "pass")
"""Phases of which a trial may have several, counted from 1 as in the live view."""


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """Every trial with the parameters that vary; the best in bold, with a star that shows without colour too.

    Fits itself to the console: where a column for each parameter has no room, they share one, named below the table.
    """

    records: Sequence[TrialRecord]
    objective: Objective

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich asks of a renderable."""
        yield _table(self.records, self.objective, options.max_width)


def trials_table(records: Sequence[TrialRecord], objective: Objective) -> TrialsTable:
    """The table of a run's trials, to be printed by a rich console."""
    return TrialsTable(records, objective)


def _table(records: Sequence[TrialRecord], objective: Objective, width: int) -> Table:
    answer = find_answer(records, objective)
    names = varied(records)
    headings = [shorten(name.rpartition(".")[2], 24) for name in names]
    is_wide = width >= 84 + sum(min(len(heading), 16) + 2 for heading in headings)
    title = FAKE_MARK if answer.is_fake else None
    table = Table(title=title, title_style="bold yellow", box=None, pad_edge=False, header_style="dim")
    if names and not is_wide:
        table.caption = Text("Parameters: " + " · ".join(headings), justify="left", style="dim")
    table.add_column("Trial", justify="right", no_wrap=True)
    table.add_column("Outcome", overflow="fold", min_width=19)
    for heading in (metric_label(objective.metric), *(("Interval",) if is_wide else ()), "Peak memory", "Took"):
        table.add_column(heading, justify="right")
    for heading in headings if is_wide or not names else ("Parameters",):
        table.add_column(Text(heading), overflow="fold")
    for record in sorted(records, key=lambda one: one.trial):
        is_best = answer.best is not None and record.trial == answer.best.trial
        bounds = show_bounds(objective.metric, interval_of(record, objective.metric) if not record.stopped else None)
        cells = [
            f"{record.trial}{' ★' if is_best else '  '}",
            outcome_text(record),
            value_text(record, objective),
            *([bounds] if is_wide else []),
            show_metric("peak_memory_bytes", value_of(record.measurements, "peak_memory_bytes")),
            format_duration(record.duration_s),
            *_settings_cells(record, names, is_wide=is_wide),
        ]
        style = "bold green" if is_best else _STYLES.get(record.outcome, "red")
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style)
    return table


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


def summary_panel(records: Sequence[TrialRecord], objective: Objective) -> Panel:
    """The answer in a box: the best trial, its numbers, what it changes, how to run it, and what failed."""
    answer = find_answer(records, objective)
    parts: list[RenderableType] = [Text(summary_headline(answer), style="bold")]
    if answer.is_fake:
        parts.insert(0, Text(FAKE_MARK, style="bold yellow"))
    facts = _grid()
    for fact in summary_facts(answer, records):
        facts.add_row(Text(fact.label, style="dim"), Text(fact.value, style="bold"), Text(fact.note, style="dim"))
    parts += [facts, *(Text(printable(line)) for line in quality_sentences(records, answer))]
    doubts = [*doubts_of_best(records, answer), missing_finals(answer), late_trials(answer), *trust_lines(records)]
    parts += [Text(printable(line), style="yellow") for line in doubts if line]
    if answer.differences or answer.best:
        parts += [Text(), *_settings(answer)]
    groups = group_failures(records)
    if groups:
        failures = _grid()
        for group in groups:
            trials = f"{group.count}× (trials {show_trials(group.trials)})"
            advice = Text(printable(group.advice))
            failures.add_row(Text(printable(group.failure_class), style="red"), Text(trials, style="dim"), advice)
        parts += [Text(), failures]
    return Panel(Group(*parts), border_style="yellow" if answer.is_fake else "green" if answer.best else "red")


def _settings(answer: Answer) -> list[RenderableType]:
    if answer.best is None:
        return []
    command = Text(printable(recipes.as_serve(answer.best.config)))
    if not answer.differences:
        return [command]
    changes = _grid()
    for row in differences_table(answer).rows:
        name, best, baseline = (Text(printable(cell)) for cell in row.cells)
        changes.add_row(name, best, Text(f"was {baseline.plain}", style="dim"))
    return [changes, Text(), command]


def trial_details(record: TrialRecord, objective: Objective | None = None, again: TrialRecord | None = None) -> Group:
    """All that is stored of one trial but its requests: settings, every metric, passes, phases, failure, warnings.

    Of a sweep, `objective` is what tells why a trial was stopped early, and `again` the same trial as
    `analysis.ranking.remeasured` has it.
    """
    heading = Text(f"Trial {record.trial}: {printable(outcome_text(record))}", style="bold")
    parts: list[RenderableType] = [heading]
    if FAKE_ENGINE in (record.engine.name, record.config.get("engine")):
        parts.append(Text(FAKE_MARK, style="bold yellow"))
    if record.failure is not None:
        parts += [Text(printable(record.failure.evidence), style="red"), Text(printable(record.failure.advice))]
    if record.stopped is not None and objective is not None:
        parts.append(Text(explain_stop(record.stopped, objective)))
    if again is not None and objective is not None and finals_of(again):
        value = show_metric(objective.metric, objective_value(again, objective))
        parts.append(Text(f"measured again in trials {show_trials(finals_of(again))}: {value}, which is what counts"))
    parts += [Text(printable(warning), style="yellow") for warning in record.warnings]
    if record.spoiled is not None:
        parts.append(Text(printable(f"run twice; of the attempt that was set aside: {'; '.join(record.spoiled.why)}")))
    passes = {
        f"{one.kind} pass {one.index + 1}": f"{format_duration(one.duration_s)}, "
        f"{sum(one.requests.output_tokens):,} tokens"
        for one in record.passes
    }
    phases = {
        f"{one.name} {one.index + 1}" if one.name in _COUNTED else one.name: (
            f"{format_duration(one.end_s - one.start_s)}, "
            f"peak {show_metric('peak_memory_bytes', one.peak_memory_bytes)}"
        )
        for one in record.phases
    }
    facts = {"engine": record.engine.name, "version": record.engine.version, **record.engine.facts}
    sections: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("Settings", record.config),
        ("Measurements", _measurements(record)),
        ("Passes", passes),
        ("Phases", phases),
        ("GPUs", gpu_lines(record)),
        ("Engine", facts),
        ("Hardware", record.hardware),
        ("Environment", record.environment),
    )
    for title, rows in sections:
        if rows:
            grid = _grid()
            for name, value in rows.items():
                grid.add_row(Text(printable(f"  {name}"), style="dim"), Text(show_value(value)))
            parts += [Text(f"\n{title}", style="bold"), grid]
    return Group(*parts)


def _measurements(record: TrialRecord) -> dict[str, str]:
    """One line a metric, distributions on one; at the end the names of what wasn't measured."""
    lines: dict[str, str] = {}
    missing: list[str] = []
    for metric in METRICS:
        names = [f"{part}_{metric.name}" for part in ("mean", "p50", "p95", "p99")]
        names = names if metric.is_distribution else [metric.name]
        values = [(name, value) for name in names if (value := value_of(record.measurements, name)) is not None]
        if not values:
            missing.append(metric.label)
        elif metric.is_distribution:
            shown = (f"{name.partition('_')[0]} {show_metric(name, value)}" for name, value in values)
            lines[metric.label] = ", ".join(shown)
        else:
            lines[metric.label] = show_metric(*values[0])
    return {**lines, NOT_MEASURED: ", ".join(missing)} if missing else lines


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=False, overflow="fold")
    grid.add_column(overflow="fold")
    return grid
