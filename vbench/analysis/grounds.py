"""What trials have in common beside their parameters, so that "all else the same" may be said of two of them.

Trials of one search differ in their parameters alone. A baseline may also set an argument that the sweep fixes to
another value; and trials of several runs differ by the day, and by whatever their sweeps fixed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vbench.analysis.merged import origin_in_run, origin_of
from vbench.records.record import TrialRecord
from vbench.spec.calling import SECTIONS

Ground = tuple[str, str]
"""The run, and the fixed settings that a baseline has otherwise; empty texts where there is no such."""


def grounds(records: Iterable[TrialRecord]) -> Callable[[TrialRecord], Ground]:
    """Gives a trial's ground. Where those of two are alike, these differ in what their parameters say, and in nothing
    else that is known."""
    by_run: dict[str, list[TrialRecord]] = {}
    for record in records:
        by_run.setdefault(_run_of(record), []).append(record)
    own: dict[int, str] = {}
    for group in by_run.values():
        baselines = [one for one in group if origin_in_run(one) == "baseline"]
        others = [one for one in group if origin_in_run(one) != "baseline"] if baselines else []
        own.update((one.trial, _overrides(one, others)) for one in baselines)
    if len(by_run) == 1 and not any(own.values()):  # so it is of nearly every run: all have one ground
        only = (next(iter(by_run)), "")
        return lambda _: only
    return lambda record: (_run_of(record), own.get(record.trial, ""))


def _run_of(record: TrialRecord) -> str:
    origin = origin_of(record)
    return "" if origin is None else origin.run


def _overrides(baseline: TrialRecord, others: Sequence[TrialRecord]) -> str:
    """What it sets otherwise than all others do, and no parameter stands for."""
    if not others:
        return ""
    parameters = {name for one in (baseline, *others) for name in one.parameters}
    covered = parameters | {name.partition(".")[0] for name in parameters} - set(SECTIONS)
    mine, theirs = _settings(baseline.config), _settings(others[0].config)
    found = {
        name: mine.get(name)
        for name in {**mine, **theirs}
        if name not in covered
        and mine.get(name) != theirs.get(name)
        and all(_settings(one.config).get(name) == theirs.get(name) for one in others)
    }
    return json.dumps(found, sort_keys=True, default=str) if found else ""


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, the keys of its sections under their dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name in SECTIONS and isinstance(value, Mapping):
            found.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            found[name] = value
    return found
