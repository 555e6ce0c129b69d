"""What the check of the answers found: a table, a sentence on the best, and speed against likelihood as points."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from vbench.analysis.answer import Answer
from vbench.analysis.pareto import pareto_front, rankable_by_all
from vbench.analysis.ranking import objective_value
from vbench.analysis.remeasure import finals_of, standing
from vbench.records.record import Quality, TrialRecord
from vbench.report import plots_search
from vbench.report.blocks import Fold, Grid, Heading, Plot, Prose, Section, blocks_of
from vbench.report.plot_bins import thin_pareto
from vbench.report.plot_data import Axis, ParetoPlot, ParetoPoint, objective_axis, scale_of
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, metric_label, show_metric, show_small_share, show_trials
from vbench.spec.types import Objective
from vbench.units import format_duration

MAX_OPEN = 10
"""Rows up to which the table isn't folded away."""
_INCREASE = Objective(metric="nll_increase", direction="minimize")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySection:
    """The page's part on quality."""

    sentences: tuple[str, ...]
    is_more_better: bool
    table: Table
    plot: ParetoPlot | None
    """The objective against the increase of the NLL; None where fewer than two trials have both."""

    @property
    def plot_words(self) -> tuple[str, str, str]:
        """Title, caption, and what the plot shows, for who can't see it."""
        assert self.plot is not None
        label, count = self.plot.y_axis.label, len(self.plot.points)
        side = "Up" if self.is_more_better else "Down"
        caption = f"{side} and to the left is better. Filled: trials that no other beats in both. Ringed: the best."
        alt = f"{label} against the increase of the negative log-likelihood of {count} trials."
        return f"{label} against quality", caption, alt


def quality_section(records: Sequence[TrialRecord], answer: Answer) -> QualitySection | None:
    """None where no trial was checked."""
    if not any(record.quality is not None for record in records):
        return None
    checked = [record for record in standing(records) if record.quality is not None]
    if not checked:
        return None
    return QualitySection(
        sentences=(*quality_sentences(records, answer), _what_it_is(checked)), table=_table(checked, answer),
        plot=_plot(records, checked, answer), is_more_better=answer.objective.direction == "maximize",
    )  # fmt: skip


def quality_sentences(records: Sequence[TrialRecord], answer: Answer) -> tuple[str, ...]:
    """What the best costs in accuracy, or that nobody knows; empty where no trial was checked."""
    costs = [record.quality.duration_s for record in records if record.quality is not None]
    if not costs:
        return ()
    many = f"{len(costs):,} trials" if len(costs) > 1 else "one trial"
    cost = f"Cost of the check: {format_duration(statistics.median(costs))} a trial, in {many}."
    best = answer.best
    if best is None:
        return (cost,)
    if best.quality is None or best.quality.nll_increase is None:
        return (
            f"Trial {best.trial}, the best, was not checked against the reference: check it before relying on its "
            f"answers (`quality: {{when: always}}`). {cost}",
        )
    if best.quality.reference_trial is None:
        return (f"The best is the reference itself. {cost}",)
    return (f"{_loss(best.quality)}{_agreement(best.quality)}. {cost}",)


def _loss(quality: Quality) -> str:
    increase, interval = quality.nll_increase or 0.0, quality.nll_increase_interval
    bounds = ""
    if interval is not None:
        signs = (1, -1) if increase >= 0 else (-1, 1)
        low, high = sorted(interval, key=lambda bound: bound * signs[0])
        bounds = f" (95%: {signs[0] * 100 * low:.2g}% to {signs[0] * 100 * high:.2g}%)"
        if interval[0] <= 0 <= interval[1]:
            return (
                f"No loss of likelihood shown for the best against trial {quality.reference_trial}: "
                f"{show_small_share(increase)} of NLL per token "
                f"(95%: {show_small_share(interval[0])} to {show_small_share(interval[1])})"
            )
    verb = "loses" if increase >= 0 else "gains"
    share = f"{100 * abs(increase):.2g}%{bounds}"
    return f"The best {verb} {share} of likelihood per token against trial {quality.reference_trial}"


def _agreement(quality: Quality) -> str:
    if quality.greedy_agreement is None:
        return ""
    if quality.greedy_agreement == 1:
        return "; it gives the same greedy answers, token for token"
    return f"; it gives {quality.greedy_agreement:.0%} of its greedy tokens before the first that differs"


def _what_it_is(checked: Sequence[TrialRecord]) -> str:
    texts = {len(record.quality.nll) for record in checked if record.quality is not None}
    return (
        f"NLL is the negative log-likelihood of {show_trials(sorted(texts))} fixed texts, in nats per token; its "
        "interval is over texts. Greedy agreement is the share of the reference's tokens before the first difference: "
        "two roundings of one model may part early and answer equally well."
    )


def _table(checked: Sequence[TrialRecord], answer: Answer) -> Table:
    metric = answer.objective.metric
    rows = []
    for record in sorted(checked, key=lambda one: one.trial):
        quality = record.quality
        assert quality is not None
        interval = quality.nll_increase_interval
        is_reference = quality.reference_trial is None and quality.nll_increase == 0
        rows.append(
            Row(
                cells=(
                    _name(record, is_reference),
                    show_metric(metric, objective_value(record, answer.objective)),
                    show_metric("nll_per_token", record.measurements.get("nll_per_token")),
                    MISSING if quality.nll_increase is None or is_reference else show_small_share(quality.nll_increase),
                    MISSING if interval is None else " to ".join(map(show_small_share, interval)),
                    MISSING if quality.greedy_agreement is None else f"{quality.greedy_agreement:.1%}",
                    format_duration(quality.duration_s),
                ),
                mark="best" if answer.best is not None and record.trial == answer.best.trial else "",
            )
        )
    columns = (
        "Trial", metric_label(metric), "NLL per token", "NLL increase", "95% interval", "Greedy agreement",
        "Check took",
    )  # fmt: skip
    return Table(columns=columns, rows=tuple(rows), numeric=frozenset(range(len(columns))))


def _name(record: TrialRecord, is_reference: bool) -> str:
    again = f" (in {show_trials(finals_of(record))})" if finals_of(record) else ""
    return f"{record.trial}{again}{' (reference)' if is_reference else ''}"


def _plot(records: Sequence[TrialRecord], checked: Sequence[TrialRecord], answer: Answer) -> ParetoPlot | None:
    objectives = (answer.objective, _INCREASE)
    if answer.objective.metric == _INCREASE.metric:
        return None
    front = {record.trial for record in pareto_front(records, objectives)}
    there = {record.trial for record in checked}
    points = tuple(
        ParetoPoint(
            trial=record.trial, x=100 * x, y=y / scale_of(answer), is_on_front=record.trial in front,
            is_best=answer.best is not None and record.trial == answer.best.trial,
        )
        for record in rankable_by_all(records, objectives)
        if record.trial in there
        and (y := objective_value(record, answer.objective)) is not None
        and (x := objective_value(record, _INCREASE)) is not None
    )  # fmt: skip
    if len(points) < 2:
        return None
    return ParetoPlot(
        x_axis=Axis(label="NLL increase", unit="%"), y_axis=objective_axis(answer), points=points, is_whole=True,
        is_less_x_better=True,
    )  # fmt: skip


def _shown(table: Table) -> Grid | Fold:
    """Folded away where it is long: the sentences say what counts."""
    if len(table.rows) <= MAX_OPEN:
        return Grid(table, "Quality of the answers")
    grid = Grid(table, "Quality of the answers", is_interactive=True)
    return Fold(f"{len(table.rows):,} trials, one by one", (grid,))


def answers_section(subject: Subject) -> Section | None:
    """None where no trial's answers were checked."""
    found = quality_section(subject.records, subject.answer)
    if found is None:
        return None
    plot = None
    if found.plot:
        title, caption, alt = found.plot_words
        draw = partial(plots_search.draw_pareto, thin_pareto(found.plot))
        plot = Plot(name="quality", title=title, caption=caption, alt=alt, draw=draw)
    blocks = blocks_of(
        [Prose(sentence) for sentence in found.sentences],
        _shown(found.table),
        [Heading(plot.title), plot] if plot else None,
    )
    return Section("quality", "Quality of the answers", blocks)
