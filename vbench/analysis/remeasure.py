"""Finals put in the place of what they measured again.

A trial is called the best because its value is the largest of many, so that value is likely a lucky one. What counts of
a finalist are therefore its finals alone, which nothing selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vbench.metrics import measure, quality_measurements, value_of
from vbench.outcome import Outcome
from vbench.records.record import Phase, TrialRecord
from vbench.spec.constraints import parse_constraint, violations

REMEASURED = "remeasured"
REPEATS = ("final", "interference", "reference", "compare")
"""Origins of trials that measure an earlier one again."""
_TIMED = "pass"
"""The name of a timed pass's phase."""


def remeasured(records: Iterable[TrialRecord], goodput: Mapping[str, float] | None = None) -> list[TrialRecord]:
    """The records without finals and interference checks, in the given order. A trial whose finals completed stands
    with their timed passes and the phases of these: its measurements and constraints are judged anew on them, with the
    largest memory of all its runs; a final over the memory budget makes it `over_budget`. Such records have the extra
    field `remeasured`, the numbers of those finals; it is empty where a trial has finals and none of them was measured.

    `goodput`: bounds of a good request in milliseconds (`metrics.measure`); None takes each record's own.
    """
    listed = list(records)
    finals: dict[int, list[TrialRecord]] = {}
    for record in listed:
        if record.origin == "final" and record.repeat_of is not None:
            finals.setdefault(record.repeat_of, []).append(record)
    return [
        _with_finals(record, finals[record.trial], goodput) if record.trial in finals else record
        for record in listed
        if record.origin not in REPEATS
    ]


def standing(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """What is ranked: `remeasured`, once two finalists or more were measured again, and none of them in vain; before
    that the trials as they were, with what their finals found of their answers. One alone had nobody to be compared
    with: of finals that were cut short, or the best that was only checked (`quality`)."""
    listed = list(records)
    if not any(record.origin == "final" for record in listed):
        return [record for record in listed if record.origin not in REPEATS]
    counted = remeasured(listed)
    states = [state for record in counted if (state := was_remeasured(record)) is not None]
    if all(states) and len(states) != 1:
        return counted
    finals: dict[int | None, list[TrialRecord]] = {}
    for record in listed:
        if record.origin == "final" and record.outcome.is_measured:
            finals.setdefault(record.repeat_of, []).append(record)
    return [
        _with_answers(record, finals[record.trial]) if record.trial in finals else record
        for record in listed
        if record.origin not in REPEATS
    ]


def was_remeasured(record: TrialRecord) -> bool | None:
    """Whether a finalist's numbers are those of its finals; None of a trial that is no finalist."""
    extra = record.__pydantic_extra__  # what `model_extra` gives, at a tenth of its time
    trials = extra.get(REMEASURED) if extra else None
    return None if trials is None else bool(trials)


def finals_of(record: TrialRecord) -> tuple[int, ...]:
    """The finals whose passes a record of `remeasured` stands with; empty for any other."""
    extra = record.__pydantic_extra__
    return tuple(extra.get(REMEASURED) or ()) if extra else ()


def _with_finals(
    record: TrialRecord, finals: Sequence[TrialRecord], goodput: Mapping[str, float] | None
) -> TrialRecord:
    measured = [one for one in sorted(finals, key=lambda final: final.trial) if one.outcome.is_measured]
    if not measured:
        return record.model_copy(update={REMEASURED: []})
    timed = [one for final in measured for one in final.passes if one.kind == "timed"]
    passes = [one.model_copy(update={"index": index}) for index, one in enumerate(timed)]
    phases = [*(one for one in _largest(record.phases, measured) if one.name != _TIMED), *_pass_phases(measured)]
    quality = next((one.quality for one in measured if one.quality is not None), record.quality)
    measurements = measure(passes, phases, record.config.get("goodput") if goodput is None else goodput, quality)
    peaks = [value_of(one.measurements, "peak_memory_bytes") for one in (record, *measured)]
    measurements["peak_memory_bytes"] = max((int(peak) for peak in peaks if peak is not None), default=None)
    over = next((one for one in measured if one.outcome is Outcome.OVER_BUDGET), None)
    return record.model_copy(
        update={
            "outcome": record.outcome if over is None else over.outcome,
            "failure": record.failure if over is None else over.failure,
            "passes": passes,
            "phases": phases,
            "quality": quality,
            "measurements": measurements,
            "constraint_violations": _judged_anew(record, measured, measurements),
            "warnings": list(dict.fromkeys(warning for one in measured for warning in one.warnings)),
            REMEASURED: [one.trial for one in measured],
        }
    )


def _with_answers(record: TrialRecord, finals: Sequence[TrialRecord]) -> TrialRecord:
    """The record as it was measured first, with the check of its answers that a final brought and the bounds on it."""
    quality = next((one.quality for one in finals if one.quality is not None), record.quality)
    found = {} if quality is None else quality_measurements(quality)
    measurements = {**record.measurements, **found}
    violated = _judged_anew(record, finals, measurements)
    changes = {"quality": quality, "measurements": measurements, "constraint_violations": violated}
    return record.model_copy(update=changes)


def _largest(phases: Sequence[Phase], others: Sequence[TrialRecord]) -> list[Phase]:
    """The phases, each with the largest memory peak of it in any of the runs."""
    peaks: dict[tuple[str, int], list[int]] = {}
    for phase in (*phases, *(one for record in others for one in record.phases)):
        if phase.peak_memory_bytes is not None:
            peaks.setdefault((phase.name, phase.index), []).append(phase.peak_memory_bytes)
    return [
        phase.model_copy(update={"peak_memory_bytes": max(peaks.get((phase.name, phase.index), []), default=None)})
        for phase in phases
    ]


def _pass_phases(finals: Sequence[TrialRecord]) -> Iterator[Phase]:
    """Those of the timed passes, numbered as these are: a GPU's energy and clocks are told by the phase of a pass."""
    number = 0
    for final in finals:
        phases = {one.index: one for one in final.phases if one.name == _TIMED}
        for one in final.passes:
            if one.kind == "timed":
                if one.index in phases:
                    yield phases[one.index].model_copy(update={"index": number})
                number += 1


def _judged_anew(record: TrialRecord, finals: Sequence[TrialRecord], measurements: dict[str, Any]) -> dict[str, float]:
    """The constraints by their stored texts; one that this vbench can't read stands as the worst of its runs."""
    settings = {**record.config, **record.engine.facts}
    found: dict[str, float] = {}
    for text in dict.fromkeys(text for one in (record, *finals) for text in one.constraint_violations):
        try:
            found.update(violations([parse_constraint(text, settings)], measurements, settings))
        except ValueError:
            found[text] = max(one.constraint_violations.get(text, 0.0) for one in (record, *finals))
    return found
