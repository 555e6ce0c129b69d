"""How near the best and the baseline came to what the hardware could do: estimates, and said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from vbench.analysis.roofline import NEAR, Position, position
from vbench.records.record import TrialRecord
from vbench.report import plots_roofline
from vbench.report.blocks import Bullets, Fold, Grid, Plot, Prose, Section, blocks_of
from vbench.report.plots_roofline import Roof, RooflineDot
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, NOT_MEASURED, printable
from vbench.units import format_number

MOST_OTHERS = 300
"""Trials beyond which only the best and the baseline are shown: the others are there for comparison."""
_METHOD = (
    "No counter of the hardware was read: both numbers are what the work needs at least, so shares are lower bounds. "
    "Time is that of the timed passes. Peaks are the data sheet's, dense; their sources are named by vbench hardware. "
    "The picture is that of S. Williams, A. Waterman and D. Patterson, Roofline, CACM 52 (4), 2009.",
    "FLOPs: 2 × the parameters of the layers for each token that goes through them, 2 × the output head's for each "
    "output token, and 4 × layers × heads × head size for each query and key. Prompt tokens from the prefix cache "
    "count as not computed.",
    "Bytes: the weights once for each step, and the keys and values of every token before each one that is decoded. "
    "The fewest steps there can have been: the longest answer's tokens, all outputs ÷ max_num_seqs, or all prompt "
    "tokens ÷ max_num_batched_tokens, fewer by what speculation accepts. Activations aren't counted.",
)
_OLD = "FLOPs aren't estimated: these records don't say how many parameters the model has."


def roofline_section(subject: Subject) -> Section | None:
    """None where neither the best nor the baseline has passes and a plan to count from."""
    answer = subject.answer
    if answer.is_fake:  # a formula's speed has no place under a card's roof
        return None
    chosen = [(word, record) for word, record in (("best", answer.best), ("baseline", answer.baseline)) if record]
    if len(chosen) == 2 and chosen[0][1].trial == chosen[1][1].trial:
        chosen = [("best and baseline", chosen[0][1])]
    found = [(word, place) for word, record in chosen if (place := position(record, subject.contents.run)) is not None]
    if not found:
        return None
    is_on_cpu = not chosen[0][1].hardware.get("gpus")
    title = "How near the hardware's peak"
    blocks = blocks_of(
        Prose(_words(*found[0], is_on_cpu=is_on_cpu)),
        _plot(found, _others(subject, [place.trial for _, place in found])),
        Grid(_table(found), f"Estimated work a second, of {'the whole processor' if is_on_cpu else 'one GPU'}"),
        Fold("How this is estimated", (Bullets(_METHOD),)),
    )
    return Section("roofline", title, blocks)


def _words(word: str, place: Position, *, is_on_cpu: bool = False) -> str:
    """What holds the best back, as far as can be told."""
    who = f"Trial {place.trial} ({word})"
    if place.peaks is None:
        what = "a CPU" if is_on_cpu else "this card and number format"
        text = f"The share of the hardware's peak is not measured: no peak rate is known for {what}."
        return text if place.flops is not None else f"{text} {_OLD}"
    parts = []
    if place.flops_share is not None:
        parts.append(f"{place.flops_share:.1%} of the {place.peaks.format} rate of {printable(place.peaks.name)}")
    if place.bytes_share is not None:
        whose = "its memory bandwidth" if parts else f"the memory bandwidth of {printable(place.peaks.name)}"
        parts.append(f"{place.bytes_share:.1%} of {whose}")
    text = f"{who} did at least {' and '.join(parts)} (estimates)."
    if place.is_impossible:
        return text + (
            " That is more than the data sheet allows, so the estimates don't hold here: work may have been spared "
            "(caches, speculation), or the card isn't what its name says."
        )
    said = {
        "compute": " Computing is the nearer limit: fewer FLOPs a token or a faster format would help most.",
        "bandwidth": " Reading memory is the nearer limit: smaller weights, or more requests at once, would help most.",
        "neither": (
            f" Both are below {NEAR:.0%}, so neither limits it by itself: look at the batch size, the CPU's share, "
            "launch overhead, and waiting."
        ),
    }
    return text + said.get(place.limit or "", f" {_OLD}" if place.flops is None else "")


def _table(found: Sequence[tuple[str, Position]]) -> Table:
    scale, unit = (1e12, "TFLOP/s") if any((place.flops or 0.0) >= 1e12 for _, place in found) else (1e9, "GFLOP/s")
    columns = ("Trial", "Which", unit, "of peak", "GB/s read", "of peak", "FLOP per byte", "Nearer limit")
    rows = tuple(
        Row(
            cells=(
                str(place.trial),
                word,
                _at_least(place.flops, scale),
                _share(place.flops_share),
                _at_least(place.bytes_s, 1e9),
                _share(place.bytes_share),
                NOT_MEASURED if place.intensity is None else format_number(place.intensity),
                place.limit or MISSING,
            ),
            mark="best" if word.startswith("best") else "",
        )
        for word, place in found
    )
    return _without_unknown(Table(columns=columns, rows=rows, numeric=frozenset((0, 2, 3, 4, 5, 6))))


def _without_unknown(table: Table) -> Table:
    """Without the columns of which nothing was measured: the words above say so."""
    unknown = (NOT_MEASURED, MISSING)
    kept = [place for place in range(len(table.columns)) if any(row.cells[place] not in unknown for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(replace(row, cells=tuple(row.cells[place] for place in kept)) for row in table.rows),
        numeric=frozenset(new for new, place in enumerate(kept) if place in table.numeric),
    )


def _at_least(value: float | None, scale: float) -> str:
    return NOT_MEASURED if value is None else f"≥ {format_number(value / scale)}"


def _share(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"≥ {value:.1%}"


def _others(subject: Subject, shown: Sequence[int]) -> list[Position]:
    """Every other measured trial, for comparison; none of a large run."""
    records: Sequence[TrialRecord] = subject.records
    if len(records) > MOST_OTHERS:
        return []
    places = (
        position(one, subject.contents.run) for one in records if one.trial not in shown and one.repeat_of is None
    )
    return [place for place in places if place is not None]


def _plot(found: Sequence[tuple[str, Position]], others: Sequence[Position]) -> Plot | None:
    """None where the roof isn't known, or no trial's FLOPs and bytes are."""
    peaks = found[0][1].peaks
    if peaks is None:
        return None
    roof = Roof(title=f"{peaks.name}, {peaks.format}", tflops=peaks.flops / 1e12, tbytes_s=peaks.bytes_s / 1e12)
    named = [(f"{word}: trial {place.trial}", place) for word, place in found]
    dots = tuple(
        RooflineDot(trial=place.trial, intensity=place.intensity, tflops=place.flops / 1e12, name=name)
        for name, place in [*(("", place) for place in others), *named]
        if place.intensity and place.flops and place.peaks == peaks
    )
    if not any(dot.name for dot in dots):
        return None
    return Plot(
        name="roofline",
        title="Roofline",
        caption=(
            "The line is what the card could do by its data sheet: on the slope memory is the limit, under the roof "
            "computing. Places are estimates, and lower bounds."
        ),
        alt="; ".join(_words(word, place) for word, place in found),
        draw=partial(plots_roofline.draw_roofline, roof, dots),
    )
