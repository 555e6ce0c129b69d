"""What speed costs: the Pareto fronts of the objective with memory, latency, context length and quality."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vbench.analysis.fronts import Front, fronts
from vbench.analysis.ranking import objective_value
from vbench.report import plots_fronts
from vbench.report.blocks import Block, Fold, Grid, Heading, Plot, Prose
from vbench.report.fronts_data import fronts_plot, show_cost
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import metric_label, show_metric, show_trials, show_value

MAX_ROWS = 30
MAX_OPEN = 10
"""Rows up to which the table isn't folded away."""


def fronts_blocks(subject: Subject) -> list[Block]:
    """Nothing where no ranked trial differs from another in any of them."""
    answer = subject.answer
    found = fronts(subject.standing, answer.objective, subject.contents)
    if not found:
        return []
    label = metric_label(answer.objective.metric)
    costs = _and([_inside(front) for front in found])
    only = [front for front in found if answer.best is not None and front.trials == (answer.best.trial,)]
    said = [f"The best trial is also the best in {_and([_inside(front) for front in only])}."] if only else []
    data = fronts_plot(found, answer)
    caption = (
        "Filled and joined: ranked trials that no other beats in both; what they gain in one they give in the other. "
        "Hollow: beaten by another. Ringed: the best. By what was measured, so that differences within the noise count."
    )
    if data.num_left_out:
        caption += " Of many trials an even part is drawn; fronts are of all."
    alt = f"{label} against {costs}. " + " ".join(
        f"On the front of {front.cost.label}: trials {show_trials(front.trials)}." for front in found
    )
    title = f"What {label.lower()} costs"
    plot = Plot(name="fronts", title=title, caption=caption, alt=alt, draw=partial(plots_fronts.draw_fronts, data))
    table, count = _table(subject, found)
    is_long = len(table.rows) > MAX_OPEN
    grid = Grid(table, "Trials on a front", is_interactive=is_long)
    shown = Fold("Trials on a front", (grid,)) if is_long else grid
    more = [Prose(f"{count - MAX_ROWS:,} more trials are on a front.", "muted")] if count > MAX_ROWS else []
    return [Heading(title), *(Prose(one) for one in said), plot, shown, *more]


def _table(subject: Subject, found: Sequence[Front]) -> tuple[Table, int]:
    """The trials on any front, best first, at most `MAX_ROWS`; and how many there are."""
    answer = subject.answer
    of: dict[int, list[str]] = {}
    for front in found:
        for trial in front.trials:
            of.setdefault(trial, []).append(front.cost.short)
    records = {record.trial: record for record in subject.standing if record.trial in of}
    sign = -1 if answer.objective.direction == "maximize" else 1
    order = sorted(records.values(), key=lambda one: (sign * (objective_value(one, answer.objective) or 0), one.trial))
    names = [effect.name for effect in subject.effects if len(effect.values) > 1]
    rows = tuple(
        Row(
            cells=(
                str(record.trial),
                show_metric(answer.objective.metric, objective_value(record, answer.objective)),
                *(show_cost(front.cost, front.cost.value_of(record)) for front in found),
                ", ".join(of[record.trial]),
                *(show_value(record.parameters[name]) if name in record.parameters else "–" for name in names),
            ),
            mark="best" if answer.best is not None and record.trial == answer.best.trial else "",
        )
        for record in order[:MAX_ROWS]
    )
    labels = [front.cost.heading for front in found]
    columns = ("Trial", metric_label(answer.objective.metric), *labels, "On the front of", *names)
    return Table(columns=columns, rows=rows, numeric=frozenset(range(2 + len(found)))), len(order)


def _inside(front: Front) -> str:
    """The cost's label within a sentence."""
    label = front.cost.label
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
