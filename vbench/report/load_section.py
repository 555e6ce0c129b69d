"""Throughput and latency against how much runs at once; and what to try where that was never varied."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

from vbench.analysis.concurrency import LoadPoint, LoadStudy, load_studies
from vbench.analysis.loads import LOADS, load_of, whole_load
from vbench.records.record import TrialRecord
from vbench.report import plots_load
from vbench.report.blocks import Block, Bullets, Fold, Grid, Plot, Section, blocks_of
from vbench.report.load_data import LoadPlot, line_label, load_plot
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, metric_label, show_metric, show_ratio


def load_section(subject: Subject) -> Section | None:
    """None where nothing of it was measured at two values."""
    answer = subject.answer
    studies = load_studies(subject.standing, answer.objective, answer.best)
    if not studies:
        return None
    data = load_plot(studies, answer)
    said = tuple(sentence for study in studies for sentence in _sentences(study))
    blocks = blocks_of(
        Bullets(said) if said else None,
        _plot(subject, studies, data),
        [Fold(f"{study.name} as a table", (_table(subject, study),)) for study in studies],
    )
    return Section("load", f"{metric_label(answer.objective.metric)} against concurrency", blocks)


def _plot(subject: Subject, studies: Sequence[LoadStudy], data: LoadPlot) -> Block:
    label = metric_label(subject.answer.objective.metric)
    caption = (
        "Each small ring is a completed trial. Solid lines: trials that are alike in every other setting. Dashed: the "
        "best trial at each value, whose other settings differ, so that it shows what was reached, not what the value "
        "alone did; the more trials a value has, the better its best."
    )
    if any(study.knee is not None for study in studies):
        caption += " Knee: from there on at most 5% more is gained."
    if data.num_left_out:
        caption += " Of many trials an even part is drawn; lines are of all."
    names = ", ".join(study.name for study in studies)
    alt = f"{label} and, where measured, latency against {names}."
    draw = partial(plots_load.draw_load, data)
    return Plot(name="load", title=f"{label} against {names}", caption=caption, alt=alt, draw=draw)


def _sentences(study: LoadStudy) -> list[str]:
    """What the first line's shape says, and what alike trials say of the two ends; nothing where they say nothing."""
    said = [one for one in (_shape(study), _ends(study)) if one]
    if study.whole is not None:
        said.append(f"{study.name}: {study.whole} or more lets all prompts run at once, so that more brings nothing.")
    return said


def _shape(study: LoadStudy) -> str:
    line = study.lines[0]
    how = (
        "with the best trial’s other settings" if line.is_alike else "the best trial at each value, other settings vary"
    )
    last = line.points[-1]
    if study.is_rising:
        before = max(line.points[:-1], key=lambda point: point.value)
        more = "" if study.whole is not None else ": more may give more"
        return (
            f"{study.name} ({how}): {last.load:g}, the highest tried, gives {show_ratio(last.value / before.value)} of "
            f"{before.load:g}{_counts(last, before)}{more}."
        )
    if study.knee is not None:
        at = next(point for point in line.points if point.load == study.knee)
        fall = f"; {last.load:g} gives {show_ratio(last.value / at.value)} of it" if last.value < at.value else ""
        return f"{study.name} ({how}): from {study.knee:g} on at most 5% more is gained, up to {last.load:g}{fall}."
    return ""


def _ends(study: LoadStudy) -> str:
    ratios = study.paired
    if not ratios:
        return ""
    loads = sorted(one.load for one in study.trials)
    middle = show_ratio(statistics.median(ratios))
    spread = f", from {show_ratio(ratios[0])} to {show_ratio(ratios[-1])}" if len(ratios) > 1 else ""
    pairs = "one pair" if len(ratios) == 1 else f"the median of {len(ratios)} pairs"
    return (
        f"{study.name}: {loads[-1]:g} gives {middle} of {loads[0]:g} in {pairs} of trials that are alike in every "
        f"other setting{spread}."
    )


def _counts(one: LoadPoint, other: LoadPoint) -> str:
    if one.count == other.count == 1:
        return " (one trial each)"
    return f" ({one.count} and {other.count} trial{'' if other.count == 1 else 's'})"


def _table(subject: Subject, study: LoadStudy) -> Grid:
    metric = subject.answer.objective.metric
    rows = tuple(
        Row(
            cells=(
                f"{point.load:g}",
                line_label(line),
                str(point.count),
                show_metric(metric, point.value),
                MISSING if point.ttft_s is None else show_metric("p95_ttft_s", point.ttft_s),
                MISSING if point.tpot_s is None else show_metric("p95_tpot_s", point.tpot_s),
            )
        )
        for line in study.lines
        for point in line.points
    )
    columns = (study.name, "Of", "Trials", metric_label(metric), "p95 TTFT", "p95 TPOT")
    return Grid(
        Table(columns=columns, rows=rows, numeric=frozenset((0, 2, 3, 4, 5))), f"Throughput against {study.name}"
    )


def load_advice(subject: Subject) -> str | None:
    """What to add to the sweep file where nothing of `LOADS` was varied and it could matter; None elsewhere."""
    best = subject.answer.best
    tried = (name for effect in subject.effects if len(effect.values) > 1 for name in (effect.name,))
    if best is None or best.engine.name != "vllm" or set(tried) & set(LOADS):
        return None
    return _in_flight_advice(best) or _limit_advice(best)


def _in_flight_advice(best: TrialRecord) -> str | None:
    most = load_of(best, "load.max_concurrency")
    if most is None or most >= best.prompt_set.num_prompts:
        return None
    steps = _steps(most, best.prompt_set.num_prompts)
    return (
        f"How many requests are sent at once was never varied: {most:g} of {best.prompt_set.num_prompts} prompts. Add "
        f"`load.max_concurrency: {steps}` to `parameters` to see where throughput stops rising."
    )


def _limit_advice(best: TrialRecord) -> str | None:
    limit, whole = load_of(best, "max_num_seqs"), whole_load(best, "max_num_seqs")
    if limit is None or whole is None or limit >= whole:
        return None
    return (
        f"How many requests run at once was never varied: the best trial runs at most {limit:g} of the {whole} that it "
        f"could. Add `max_num_seqs: {_steps(limit, whole)}` to `parameters` to see where throughput stops rising."
    )


def _steps(now: float, whole: int) -> str:
    """The value of now and its doubles, none beyond the first that takes all prompts."""
    start = max(1, int(now))
    found = [start]
    while len(found) < 4 and found[-1] < whole:
        found.append(2 * found[-1])
    return f"[{', '.join(map(str, found))}]"
