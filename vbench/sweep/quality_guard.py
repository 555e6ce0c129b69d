"""Which trials of a sweep are checked for the quality of their answers, and what each is compared with.

The reference is the baseline. Where that has no quality (there is none, or it failed), the first trial that has one and
neither quantizes nor speculates. What comes before there is a reference stays without a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.quality import Comparison, changes_answers, compare_quality, is_speculative
from vbench.metrics import quality_measurements
from vbench.records.record import Origin, Quality, TrialRecord
from vbench.spec.constraints import violations
from vbench.spec.quality_section import QUALITY_METRICS, checks_quality, quality_bounds
from vbench.spec.types import SweepSpec

_ALWAYS = ("search", "random", "run")


@dataclass(frozen=True, slots=True)
class _Reference:
    trial: int
    quality: Quality


class QualityGuard:
    """Fed with the records of earlier sessions, then with each one as it comes."""

    def __init__(self, spec: SweepSpec, records: Sequence[TrialRecord]) -> None:
        self.when = checks_quality(spec)
        self._spec = spec
        self._bounds = quality_bounds(spec)
        # Those of the file come with every record; without a value they count as violated until it is judged here.
        self._judged = [*(one for one in spec.constraints if one.quantity in QUALITY_METRICS), *self._bounds]
        self._reference: _Reference | None = None
        self._awaits_baseline = spec.baseline is not None and bool(spec.parameters)
        self._checked: set[int] = set()
        for record in records:
            self._remember(record)

    def wants(self, origin: Origin, repeat_of: int | None = None) -> bool:
        """Whether a trial that is to be is checked. Of a finalist without quality, the first final that runs."""
        if self.when == "never":
            return False
        if origin == "final":
            return repeat_of not in self._checked
        return origin == "baseline" or (origin in _ALWAYS and self.when == "always")

    def misses(self, best: TrialRecord) -> bool:
        """Whether the best, held to a bound, was never checked: it stood clear of all others, so no final was made."""
        return self.when == "finalists" and bool(self._bounds) and best.trial not in self._checked

    def judged(self, record: TrialRecord, *, is_checked: bool) -> TrialRecord:
        """A record before it is stored, compared with the reference. `is_checked`: whether its check was asked for."""
        if not is_checked:
            self._awaits_baseline &= record.origin != "baseline"
            return record
        if record.quality is not None:
            record = self._compared(record, record.quality)
        if record.outcome.is_measured:
            violated = violations(self._judged, record.measurements, {})
            record = record.model_copy(update={"constraint_violations": {**record.constraint_violations, **violated}})
        self._remember(record)
        return record

    def _remember(self, record: TrialRecord) -> None:
        self._awaits_baseline &= record.origin != "baseline"
        if record.quality is None:
            return
        self._checked |= {record.trial, *(() if record.repeat_of is None else (record.repeat_of,))}
        if self._reference is None and record.quality.reference_trial is None and self._may_be_reference(record):
            self._reference = _Reference(record.trial, record.quality)

    def _may_be_reference(self, record: TrialRecord) -> bool:
        if record.origin == "baseline" or not self._spec.parameters:
            return True
        return not self._awaits_baseline and not changes_answers(record)

    def _compared(self, record: TrialRecord, quality: Quality) -> TrialRecord:
        reference = self._reference
        if reference is None and not self._may_be_reference(record):
            note = "its answers couldn't be compared, as there was no reference yet: add `baseline: {}`"
            return record.model_copy(update={"warnings": [*record.warnings, note]})
        if reference is None:  # it is the reference, and equal to itself
            itself = {"nll_increase": 0.0, "greedy_agreement": 1.0 if quality.greedy else None}
            return _with(record, quality.model_copy(update=itself), [])
        compared = compare_quality(quality, reference.quality)
        found: dict[str, Any] = {
            "reference_trial": reference.trial,
            "nll_increase": compared.nll_increase,
            "nll_increase_interval": compared.interval,
            "greedy_agreement": compared.greedy_agreement,
        }
        said = [*compared.notes, *_speculation_warning(record, compared, reference)]
        return _with(record, quality.model_copy(update=found), said)


def _with(record: TrialRecord, quality: Quality, said: Sequence[str]) -> TrialRecord:
    measurements = {**record.measurements, **quality_measurements(quality)}
    return record.model_copy(
        update={"quality": quality, "measurements": measurements, "warnings": [*record.warnings, *said]}
    )


def _speculation_warning(record: TrialRecord, compared: Comparison, reference: _Reference) -> list[str]:
    """Speculation is to change no greedy token. Whether it is to blame for one that differs can't be told from here."""
    where = compared.difference
    if where is None or not is_speculative(record):
        return []
    text = (
        f"its greedy answers differ from trial {reference.trial}'s, which speculation alone should not make them: in "
        f"{where.num_prompts} of {len(reference.quality.greedy)} prompts, first in prompt {where.prompt + 1} from "
        f"token {where.token + 1} on"
    )
    if record.config.get("quantization"):
        return [f"{text}; it is quantized too, which does change them"]
    alone = reference.quality.self_agreement
    if alone is not None and alone < 1:
        return [
            f"{text}; but trial {reference.trial} by itself answers otherwise than in a batch, so that rounding does"
        ]
    doubt = "rounding in another batch can do that too (compare in float32)"
    if alone == 1:
        doubt += f", though trial {reference.trial} answers the same alone and in a batch"
    return [f"{text}; {doubt}"]
