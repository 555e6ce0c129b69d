"""A record without secrets: an engine may put anything into its messages, its facts and its log."""

from __future__ import annotations

from typing import Any

from vbench.records.record import Pass, TrialRecord
from vbench.records.redaction import clean_data

_TEXTS = ("config", "parameters", "hardware", "environment", "warnings", "estimate", "constraint_violations")
_PARTS = ("failure", "engine", "prompt_set", "quality")


def clean_record(record: TrialRecord) -> TrialRecord:
    """The same record, its secrets hidden; itself where there is none. Numbers are not looked at."""
    changed: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(record, name)
        if value and (cleaned := clean_data(value)) != value:
            changed[name] = cleaned
    for name in _PARTS:
        part = getattr(record, name)
        if part is not None and (update := _changed(part)):
            changed[name] = part.model_copy(update=update)
    passes = [_clean_pass(one) for one in record.passes]
    if any(one is not other for one, other in zip(passes, record.passes, strict=True)):
        changed["passes"] = passes
    for name, value in (record.model_extra or {}).items():
        if (cleaned := clean_data(value, name)) != value:
            changed[name] = cleaned
    return record.model_copy(update=changed) if changed else record


def _changed(part: Any) -> dict[str, Any]:
    texts = {name: getattr(part, name) for name in type(part).model_fields}
    texts |= part.model_extra or {}
    found = {name: clean_data(value) for name, value in texts.items() if isinstance(value, (str, dict))}
    return {name: value for name, value in found.items() if value != texts[name]}


def _clean_pass(one: Pass) -> Pass:
    """Only the reasons why answers ended are texts."""
    reasons = one.requests.finish_reasons
    shown = {reason: clean_data(reason) for reason in set(reasons or ())}
    if all(reason == text for reason, text in shown.items()):
        return one
    requests = one.requests.model_copy(update={"finish_reasons": [shown[reason] for reason in reasons or ()]})
    return one.model_copy(update={"requests": requests})
