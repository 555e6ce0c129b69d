"""What speaks for and against comparing a run's trials: its reference over time, what disturbed trials, which were run
twice. What the GPUs say is in a section of its own (`gpu_tables`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.disturbance import Disturbance, disturbances
from vbench.analysis.drift import METRIC, Change, Drift, drift, drift_sentence
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Fold, Grid, Heading, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, show_metric, show_share, show_trials
from vbench.units import format_duration

MAX_ROWS = 20
"""Disturbances that are shown, those that spoiled their trial first."""
MAX_OPEN = 8
"""Rows up to which a table isn't folded away."""
_OF_HOST = ("foreign", "steal", "throttled")
_LEVELS = {"spoils": "likely hurt", "note": "likely not"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSection:
    """What stands in the section. Tables that have nothing to say are None."""

    sentences: tuple[str, ...]
    references: Table | None
    disturbed: Table | None
    repeated: Table | None


def trust_section(records: Sequence[TrialRecord]) -> TrustSection | None:
    """None where nothing was disturbed, run twice, or measured again as a reference."""
    found, disturbed = drift(records), _disturbed(records)
    repeated = [record for record in records if record.spoiled is not None]
    if found is None and not disturbed and not repeated:
        return None
    return TrustSection(
        sentences=_sentences(found, disturbed),
        references=None if found is None else _references_table(found),
        disturbed=_disturbed_table(disturbed) if disturbed else None,
        repeated=_repeated_table(repeated) if repeated else None,
    )


def trust_lines(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """In short, for a terminal: the machine's drift, and which trials were hurt or run twice; empty where none was."""
    lines = [_as_sentence(text)] if (text := drift_sentence(drift(records))) is not None else []
    hurt = sorted({record.trial for record, one in _disturbed(records) if one.level == "spoils"})
    twice = [record.trial for record in records if record.spoiled is not None]
    if twice:
        lines.append(f"Run twice, as something disturbed the first attempt: trial{_s(twice)} {show_trials(twice)}.")
    if hurt:
        lines.append(f"Likely hurt by what else the machine did: trial{_s(hurt)} {show_trials(hurt)}.")
    return tuple(lines)


def doubts_of_machine(records: Sequence[TrialRecord], best: TrialRecord | None) -> tuple[str, ...]:
    """What of it belongs beside the answer: that the machine changed, and that the best trial was hurt."""
    text = drift_sentence(drift(records))
    doubts = [] if text is None else [_as_sentence(text)]
    if best is not None and any(one.level == "spoils" for _, one in _disturbed([best])):
        doubts.append("What else the machine did likely hurt the best trial’s own numbers.")
    return tuple(doubts)


def _disturbed(records: Sequence[TrialRecord]) -> list[tuple[TrialRecord, Disturbance]]:
    """Those that spoil first."""
    every = [(record, one) for record in records for one in disturbances(record) if one.kind in _OF_HOST]
    return sorted(every, key=lambda pair: pair[1].level != "spoils")


def _sentences(found: Drift | None, disturbed: Sequence[tuple[TrialRecord, Disturbance]]) -> tuple[str, ...]:
    sentences = []
    text = drift_sentence(found)
    if text is not None:
        sentences.append(_as_sentence(text))
    elif found is not None:
        sentences.append("The reference shows no drift of the machine beyond its own noise.")
    if len(disturbed) > MAX_ROWS:
        sentences.append(f"Of {len(disturbed)} disturbances the first {MAX_ROWS} are shown, the worst kind first.")
    return tuple(sentences)


def _references_table(found: Drift) -> Table:
    first = Row(
        cells=(str(found.first.trial), _after(found.first.engine_h), _rate(found.first.value), MISSING, MISSING)
    )
    rows = [_reference_row(one) for one in found.changes]
    columns = ("Trial", "After", "Throughput", "Against the first", "Between")
    return Table(columns=columns, rows=(first, *rows), numeric=frozenset(range(5)))


def _reference_row(change: Change) -> Row:
    point = change.point
    bounds = f"{show_share(change.low - 1)} to {show_share(change.high - 1)}"
    cells = (str(point.trial), _after(point.engine_h), _rate(point.value), show_share(change.ratio - 1), bounds)
    return Row(cells=cells, mark="unranked" if change.is_clear else "")


def _disturbed_table(disturbed: Sequence[tuple[TrialRecord, Disturbance]]) -> Table:
    rows = [Row(cells=(str(record.trial), _LEVELS[one.level], one.text)) for record, one in disturbed[:MAX_ROWS]]
    return Table(
        columns=("Trial", "Its numbers", "What else the machine did"), rows=tuple(rows), numeric=frozenset((0,))
    )


def _repeated_table(repeated: Sequence[TrialRecord]) -> Table:
    rows = []
    for record in repeated:
        assert record.spoiled is not None
        values = (value_of(one, METRIC) for one in (record.spoiled.measurements, record.measurements))
        rows.append(Row(cells=(str(record.trial), *map(_rate, values), "; ".join(record.spoiled.why))))
    columns = ("Trial", "Set aside", "Counts", "What disturbed the attempt that was set aside")
    return Table(columns=columns, rows=tuple(rows), numeric=frozenset((0, 1, 2)))


def _after(hours: float) -> str:
    return format_duration(hours * 3600)


def _rate(value: float | None) -> str:
    return show_metric(METRIC, value)


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _s(trials: Sequence[int]) -> str:
    return "s" if len(trials) > 1 else ""


_NOTE = (
    "The reference is one configuration, measured again now and then: what changes there is the machine. Time is that "
    "of all trials before it. Foreign processes, stolen time and quotas are those of the timed passes; where the "
    "numbers were likely hurt, the trial was run once more, unless it was asked otherwise, there was no time, or three "
    "such repeats in a row had been disturbed too."
)


def stillness_section(subject: Subject) -> Section | None:
    """None where nothing was disturbed or measured again as a reference."""
    found = trust_section(subject.records)
    if found is None:
        return None
    blocks = blocks_of(
        Prose(_NOTE, "muted"),
        [Prose(sentence) for sentence in found.sentences],
        _titled("The reference over time", found.references),
        _titled("What disturbed trials", found.disturbed, "prose"),
        _titled("Run twice", found.repeated, "prose"),
    )
    return Section("stillness", "How still the machine was", blocks)


def _titled(title: str, table: Table | None, style: str = "") -> list[Block]:
    if table is None or not table.rows:
        return []
    if len(table.rows) > MAX_OPEN:
        return [Fold(f"{title}: {len(table.rows)}", (Grid(table, title, style),))]
    return [Heading(title), Grid(table, title, style)]
