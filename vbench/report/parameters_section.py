"""What each parameter did."""

from __future__ import annotations

from functools import partial

from vbench.report import plots_effects, tables
from vbench.report.blocks import Fold, Grid, Plot, Section, blocks_of
from vbench.report.history_section import bounds_caption
from vbench.report.plot_data import History, history, scale_of
from vbench.report.subject import Subject


def parameters_section(subject: Subject) -> Section | None:
    """None where no parameter was set in any trial."""
    if not subject.effects:
        return None
    answer = subject.answer
    table = tables.effects_table(subject.effects, answer.objective.metric, answer.best)
    has_results = any(value.results for effect in subject.effects for value in effect.values)
    blocks = blocks_of(
        _plot(subject, history(subject.records, answer)) if has_results else None,
        Fold("The same as a table", (Grid(table, "Parameter effects"),)),
    )
    return Section("parameters", "What each parameter did", blocks)


def _plot(subject: Subject, data: History) -> Plot:
    effects = subject.effects
    names = ", ".join(effect.name for effect in effects[: plots_effects.MAX_PANELS])
    left_out = len(effects) - plots_effects.MAX_PANELS
    caption = "Each dot is a completed trial, each bar the median of a value. Other parameters vary within a column."
    if any(value.bounds for effect in effects for value in effect.values):
        caption += f" {bounds_caption(data)} They count in no median, so that values with many of them look too good."
    if left_out > 0:
        caption += f" {left_out} more parameters are in the table only."
    draw = partial(plots_effects.draw_effects, effects, data, scale_of(subject.answer))
    alt = f"One panel for each of {names}: {data.axis.label} of the completed trials by value."
    return Plot(name="effects", title="What each parameter did", caption=caption, alt=alt, draw=draw)
