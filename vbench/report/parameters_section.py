"""What each parameter did: how much it matters, the objective by its values, what pairs do together, what fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from vbench.analysis.additive import fit_additive
from vbench.analysis.coded import coded
from vbench.analysis.effects import ParameterEffect
from vbench.analysis.failing_values import FailingValue, failing_values
from vbench.analysis.importance import LEVEL, Importance, importance
from vbench.analysis.interactions import Pair, interactions, level_text
from vbench.report import plots_effects, plots_interactions, tables
from vbench.report.blocks import Block, Bullets, Fold, Grid, Heading, Plot, Prose, Section, blocks_of
from vbench.report.effect_panels import MAX_PANELS, effect_panels, in_order_of_importance
from vbench.report.load_section import load_advice
from vbench.report.pair_maps import MAX_BARS, cell_map, share_bars
from vbench.report.plot_data import objective_axis
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import metric_label, show_ratio, show_value

MAX_FAILING = 5
MAX_VALUES = 50
"""Of a parameter in the table."""


def parameters_section(subject: Subject) -> Section | None:
    """None where no parameter was set in any trial."""
    if not subject.effects:
        return None
    answer = subject.answer
    data = coded(subject.standing, answer.objective)
    fit = fit_additive(data)
    found = importance(data, fit)
    effects = in_order_of_importance(subject.effects, found)
    pairs = interactions(data, fit, found)
    table = tables.effects_table([_frequent(one) for one in effects], answer.objective.metric, answer.best)
    blocks = blocks_of(
        _importance(subject, found),
        _slices(subject, effects, found),
        _pairs(subject, pairs),
        _failing(subject),
        Prose(advice, "advice") if (advice := load_advice(subject)) else None,
        Fold("Every value as a table", blocks_of(Grid(table, "Parameter effects"), _left_out(effects))),
    )
    return Section("parameters", "What each parameter did", blocks)


def _frequent(effect: ParameterEffect) -> ParameterEffect:
    """With the values that most trials had, at most `MAX_VALUES`."""
    values = effect.values
    if len(values) <= MAX_VALUES:
        return effect
    kept = sorted(range(len(values)), key=lambda one: (-values[one].num_trials, one))[:MAX_VALUES]
    return replace(effect, values=tuple(values[one] for one in sorted(kept)))


def _left_out(effects: Sequence[ParameterEffect]) -> Prose | None:
    more = [f"{len(one.values) - MAX_VALUES:,} of {one.name}" for one in effects if len(one.values) > MAX_VALUES]
    return Prose(f"Values with fewer trials are left out: {_and(more)}.", "muted") if more else None


def _importance(subject: Subject, found: Importance) -> list[Block]:
    if not found.shares or found.predicted is None:
        return [Prose(f"{_upper(found.why_not)}.", "muted")] if found.why_not else []
    label = metric_label(subject.answer.objective.metric).lower()
    clear = [one for one in found.shares if one.is_clear]
    said = [f"{one.name} explains {one.share:.0%}" for one in clear[:3]]
    lead = (
        f"Of how the trials differ in {label}, {_and(said)}" + (f"; {_more(len(clear) - 3)}." if clear[3:] else ".")
        if clear
        else f"No single parameter’s part in how the trials differ in {label} can be told from chance."
    )
    how_many = f"{found.num_trials:,} completed trials"
    if found.num_trials < found.num_measured:
        how_many = f"an even {how_many} of {found.num_measured:,}"
    if subject.answer.num_pruned:
        how_many += f" (not the {subject.answer.num_pruned:,} that were stopped early, slow ones mostly)"
    alt = "Share of the variation explained: " + ", ".join(
        f"{one.name} {one.share:.0%}{'' if one.is_clear else ' (could be chance)'}" for one in found.shares[:MAX_BARS]
    )
    caption = (
        f"From {how_many}. The settings, taken one by one, predict {found.predicted:.0%} of the variation"
        f"{' of its logarithm' if found.is_log else ''} in trials left out of the fit; the bars are each parameter’s "
        "part of that, with a standard error, and what they leave is what settings do together, and noise. Hollow: "
        f"could be chance (permutation test at {LEVEL:.0%}, corrected for {len(found.shares)} parameters). Shares are "
        "of the trials that were tried, and a search tries few that it takes for slow."
    )
    draw = partial(plots_effects.draw_importance, share_bars(found))
    title = "How much each matters"
    plot = Plot(name="importance", title=title, caption=caption, alt=alt, draw=draw)
    rest = Fold("Shares as a table", (Grid(_shares_table(found), "Importance of the parameters", "narrow"),))
    return [Heading(title), Prose(lead), plot, rest]


def _shares_table(found: Importance) -> Table:
    rows = tuple(
        Row(cells=(one.name, f"{one.share:.1%}", f"±{one.error:.1%}", f"{one.p_value:.3f}")) for one in found.shares
    )
    columns = ("Parameter", "Share explained", "Standard error", "Corrected p")
    return Table(columns=columns, rows=rows, numeric=frozenset((1, 2, 3)))


def _slices(subject: Subject, effects: Sequence[ParameterEffect], found: Importance) -> list[Block]:
    if not any(value.results for effect in effects for value in effect.values):
        return []
    data = effect_panels(effects, subject.answer, found)
    caption = (
        "Each dot is a completed trial, each bar the median of a value, n how many completed with it. Other settings "
        "vary within a column. Ringed: the best trial."
    )
    if any(value.num_failed for effect in effects for value in effect.values):
        caption += " ×: how many failed."
    if found.shares:
        caption += " Beside each name: its share of the variation; with a question mark, that could be chance."
    if any(panel.middles and not panel.labels for panel in data.panels):
        caption += " On an axis to scale a bar is the median of neighbouring values together."
    if any(middle.low is not None for panel in data.panels for middle in panel.middles):
        caption += " Shaded: the middle half of the trials."
    if any(panel.bounds for panel in data.panels):
        side = "below" if data.is_more_better else "above"
        caption += (
            f" Open arrowheads: trials that were stopped early, whose value was estimated to lie {side}. They count in "
            "no median, so that values with many of them look too good."
        )
    left_out = len(effects) - len(data.panels)
    if left_out > 0:
        caption += f" {left_out} more parameters are in the table only."
    if any(panel.num_left_out for panel in data.panels):
        caption += " Of many trials an even part is drawn as dots; medians and counts are of all."
    if any(panel.num_columns_left_out for panel in data.panels):
        caption += " Rarer values are in the table only."
    names = ", ".join(effect.name for effect in effects[:MAX_PANELS])
    alt = f"One panel for each of {names}: {data.axis.label} of the completed trials by value."
    title = "By value"
    draw = partial(plots_effects.draw_effects, data)
    return [Heading(title), Plot(name="effects", title=title, caption=caption, alt=alt, draw=draw)]


def _pairs(subject: Subject, pairs: Sequence[Pair]) -> list[Block]:
    if not pairs:
        return []
    clear = [pair for pair in pairs if pair.is_clear]
    said = [_pair_sentence(pair) for pair in clear]
    if not clear:
        said = ["No two parameters can be told to do more together than one by one; shown are the most important ones."]
    unit = _unit(subject)
    caption = (
        f"In each cell the median{unit} and how many trials it is of; the fuller the colour, the more. Hatched: not "
        "tried. Which pairs are shown was decided by what they explain beyond the parameters one by one, against "
        "the largest over all pairs that chance gives."
    )
    cells = [cell for pair in pairs for row in pair.cells for cell in row]
    if any(cell.is_tried and cell.median is None for cell in cells):
        caption += " Outlined: tried, but none completed."
    if any(cell.num_pruned for cell in cells):
        caption += " Open arrowheads: how many were stopped early."
    if any(cell.num_failed for cell in cells):
        caption += " ×: how many failed."
    names = "; ".join(f"{pair.first.name} with {pair.second.name}" for pair in pairs)
    draw = partial(plots_interactions.draw_pairs, tuple(cell_map(pair, subject.answer) for pair in pairs))
    title = "What pairs do together"
    plot = Plot(name="pairs", title=title, caption=caption, alt=f"Heat maps of {names}.", draw=draw)
    return [Heading(title), *(Prose(one) for one in said), plot]


def _unit(subject: Subject) -> str:
    unit = objective_axis(subject.answer).unit
    return f" in {unit}" if unit else ""


def _pair_sentence(pair: Pair) -> str:
    names = f"{pair.first.name} and {pair.second.name} do more together than one by one"
    if pair.at is None or pair.ratio is None:
        return f"{names}."
    row, column = pair.at
    one, other = level_text(pair.first, row, show_value), level_text(pair.second, column, show_value)
    count = pair.cells[row][column].num_measured
    return (
        f"{names}: with {pair.first.name}={one} and {pair.second.name}={other} it is {show_ratio(pair.ratio)} of what "
        f"the two would give one by one ({_trials(count)})."
    )


def _failing(subject: Subject) -> list[Block]:
    found = failing_values(subject.effects)
    if not found:
        return []
    said = tuple(_failing_sentence(one) for one in found[:MAX_FAILING])
    refused = [Prose("What the planner refused counts as failed here.", "muted")] if subject.answer.num_refused else []
    return [Heading("What fails more often"), Bullets(said), *refused]


def _failing_sentence(one: FailingValue) -> str:
    return (
        f"{one.name}={show_value(one.value)}: {one.num_failed} of {_trials(one.num_trials)} failed; of the "
        f"{one.other_trials} with another value {one.other_failed or 'none'} did."
    )


def _trials(count: int) -> str:
    return f"{count:,} trial{'' if count == 1 else 's'}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _more(count: int) -> str:
    return f"{count} more explain{'s' if count == 1 else ''} less, yet more than chance would"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
