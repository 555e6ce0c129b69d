"""All about one trial, for a terminal. Nothing is printed here; foreign text enters as `Text`, never as markup."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vbench.analysis.answer import FAKE_ENGINE
from vbench.analysis.estimates import Compared, check_estimates
from vbench.analysis.ranking import objective_value, remeasured
from vbench.analysis.remeasure import finals_of
from vbench.analysis.statistics import interval_of
from vbench.analysis.wording import explain_stop
from vbench.metrics import METRICS, value_of
from vbench.records.record import Pass, TrialRecord
from vbench.report.gpu_tables import gpu_lines
from vbench.report.tables import outcome_text
from vbench.report.text import (
    FAKE_MARK,
    NOT_MEASURED,
    printable,
    show_bounds,
    show_metric,
    show_share,
    show_trials,
    show_value,
)
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_duration, format_number

_COUNTED = ("warmup", "pass")
"""Phases of which a trial may have several, counted from 1 as in the live view."""
_RATE = "output_throughput_tok_s"
_ORIGINS = {
    "baseline": "the baseline",
    "random": "of the random arm",
    "final": "a final",
    "interference": "run side by side with others, to see whether they disturb each other",
    "reference": "the reference, measured again to see whether the machine drifts",
    "compare": "of a comparison",
}


def trial_details(
    record: TrialRecord, objective: Objective | None = None, records: Sequence[TrialRecord] = (),
    mark: str | None = None,
) -> Group:  # fmt: skip
    """All that is stored of one trial: settings, every metric, passes, requests, phases, failure, warnings.

    Of a sweep, `objective` is what tells why a trial was stopped early, and `records` all of its trials: what was
    measured again, and where. `mark` says what the numbers are, where they aren't a plain measurement.
    """
    parts: list[RenderableType] = [Text(f"Trial {record.trial}: {printable(outcome_text(record))}", style="bold")]
    if mark or FAKE_ENGINE in (record.engine.name, record.config.get("engine")):
        parts.append(Text(printable(mark or FAKE_MARK), style="bold yellow"))
    parts += [Text(printable(line), style="dim") for line in _what_it_is(record)]
    if record.failure is not None:
        parts += [Text(printable(record.failure.evidence), style="red"), Text(printable(record.failure.advice))]
    if objective is not None:
        if record.stopped is not None:
            parts.append(Text(explain_stop(record.stopped, objective)))
        parts += [Text(printable(line)) for line in _again(record, objective, records)]
    parts += [Text(printable(warning), style="yellow") for warning in record.warnings]
    if record.spoiled is not None:
        parts.append(Text(printable(f"run twice; of the attempt that was set aside: {'; '.join(record.spoiled.why)}")))
    for title, rows in _sections(record):
        if rows:
            parts += [Text(f"\n{title}", style="bold"), _grid(rows)]
    return Group(*parts)


def _sections(record: TrialRecord) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    facts = {"engine": record.engine.name, "version": record.engine.version, **record.engine.facts}
    return (
        ("Chosen", record.parameters),
        ("Settings", record.config),
        ("Measurements", _measurements(record)),
        ("Constraints", _constraints(record)),
        ("Passes", _passes(record)),
        ("Requests", _requests(record)),
        ("Phases", _phases(record)),
        ("Estimate", _estimate(record)),
        ("GPUs", gpu_lines(record)),
        ("Engine", _told(facts)),
        ("Hardware", _told(record.hardware)),
        ("Environment", _told(record.environment)),
    )


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts for people: none that says nothing, bytes also in words, and flat lists without JSON's brackets."""
    return {name: _fact(name, value) for name, value in facts.items() if value not in (None, [], {})}


def _fact(name: str, value: Any) -> Any:
    if name.endswith("_bytes") and isinstance(value, int) and not isinstance(value, bool):
        return f"{format_bytes(value)} ({value:,} bytes)"
    if isinstance(value, dict) and all(isinstance(one, str | int | float) for one in value.values()):
        return ", ".join(f"{key} {show_value(one)}" for key, one in value.items())
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(show_value, value))
    return value


def _what_it_is(record: TrialRecord) -> Iterator[str]:
    words = [_ORIGINS[record.origin]] if record.origin in _ORIGINS else []
    words += [f"measures trial {record.repeat_of} again"] if record.repeat_of is not None else []
    words.append(f"started {record.started_at}")
    words += [f"took {format_duration(record.duration_s)}"] if record.duration_s is not None else []
    yield "; ".join(words)


def _again(record: TrialRecord, objective: Objective, records: Sequence[TrialRecord]) -> Iterator[str]:
    """Where this configuration was measured again, and what came of it."""
    again = next((one for one in remeasured(records) if one.trial == record.trial), None) if records else None
    finals = finals_of(again) if again is not None else ()
    if again is not None and finals:
        value = show_metric(objective.metric, objective_value(again, objective))
        yield f"measured again in trials {show_trials(finals)}: {value}, which is what counts"
    for one in records:
        if one.repeat_of == record.trial:
            value = show_metric(objective.metric, objective_value(one, objective))
            outcome = "" if one.outcome.is_measured else f", {outcome_text(one)}"
            yield f"  trial {one.trial}, {_ORIGINS.get(one.origin, one.origin).split(',')[0]}: {value}{outcome}"


def _constraints(record: TrialRecord) -> dict[str, str]:
    return {
        text: f"broken, by {violation:.1%}" if violation > 0 else f"kept, by {-violation:.1%}"
        for text, violation in record.constraint_violations.items()
    }


def _passes(record: TrialRecord) -> dict[str, str]:
    lines = _pass_lines(record.passes)
    if record.spoiled is not None:
        lines.update({f"set aside: {name}": line for name, line in _pass_lines(record.spoiled.passes).items()})
    return lines


def _pass_lines(passes: Sequence[Pass]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for one in passes:
        tokens = sum(one.requests.output_tokens)
        rate = f", {show_metric(_RATE, tokens / one.duration_s)}" if one.duration_s > 0 else ""
        lines[f"{one.kind} pass {one.index + 1}"] = f"{format_duration(one.duration_s)}, {tokens:,} tokens{rate}"
    return lines


def _requests(record: TrialRecord) -> dict[str, str]:
    """Of the timed passes: how long the answers are, why they ended, which prompt took longest."""
    timed = [one.requests for one in record.passes if one.kind == "timed"]
    if not timed:
        return {}
    tokens = [count for one in timed for count in one.output_tokens]
    lines = {"a pass": f"{len(timed[0].output_tokens):,} requests"}
    if tokens:
        spread = f"{min(tokens):,} – {max(tokens):,}, {statistics.fmean(tokens):,.1f} on average"
        lines["output tokens"] = spread if min(tokens) < max(tokens) else f"{min(tokens):,} each"
    reasons = Counter(reason for one in timed for reason in one.finish_reasons or () if reason)
    if reasons:
        lines["ended by"] = ", ".join(f"{name} {count:,}" for name, count in reasons.most_common())
    columns = [one.e2e_latency_s for one in timed if one.e2e_latency_s]
    by_prompt = {
        index: statistics.median(found)
        for index in range(min((len(column) for column in columns), default=0))
        if (found := [value for column in columns if (value := column[index]) is not None])
    }
    for name, choose in (("fastest", min), ("slowest", max)):
        if by_prompt:
            index = choose(by_prompt, key=by_prompt.__getitem__)
            words = f"prompt {index}: {show_metric('p50_e2e_latency_s', by_prompt[index])}"
            lines[name] = f"{words}, the median of {len(columns)}" if len(columns) > 1 else words
    return lines


def _phases(record: TrialRecord) -> dict[str, str]:
    return {
        f"{one.name} {one.index + 1}" if one.name in _COUNTED else one.name: (
            f"{format_duration(one.end_s - one.start_s)}, "
            f"peak {show_metric('peak_memory_bytes', one.peak_memory_bytes)}"
        )
        for one in record.phases
    }


def _estimate(record: TrialRecord) -> dict[str, str]:
    """What the planner expected beside what came."""
    estimate = record.estimate or {}
    if not estimate:
        return {}
    words = (str(estimate.get(name) or "") for name in ("verdict", "reason"))
    lines = {"verdict": ": ".join(word for word in words if word) or "none"}
    peak = estimate.get("peak_bytes")
    planned = float(peak) if isinstance(peak, (int, float)) and not isinstance(peak, bool) else None
    measured = value_of(record.measurements, "peak_memory_bytes")
    for check in check_estimates([record]):
        lines["weights"] = _compared(check.weights, format_bytes, "reported")
        lines["KV tokens"] = _compared(check.kv_tokens, format_number, "reported")
    if planned is not None:
        lines["peak memory"] = _compared(Compared(planned=planned, reported=measured), format_bytes, "measured")
    return lines


def _compared(compared: Compared, show: Any, how: str) -> str:
    planned = "not planned" if compared.planned is None else f"{show(compared.planned)} planned"
    if compared.reported is None:
        return f"{planned}, not {how}"
    error = "" if compared.error is None else f" ({show_share(compared.error)})"
    return f"{planned}, {show(compared.reported)} {how}{error}"


def _measurements(record: TrialRecord) -> dict[str, str]:
    """One line a metric, distributions on one; at the end the names of what wasn't measured."""
    lines: dict[str, str] = {}
    missing: list[str] = []
    for metric in METRICS:
        names = [f"{part}_{metric.name}" for part in ("mean", "p50", "p95", "p99")]
        names = names if metric.is_distribution else [metric.name]
        values = [(name, value) for name in names if (value := value_of(record.measurements, name)) is not None]
        if not values:
            missing.append(metric.label)
        elif metric.is_distribution:
            shown = (f"{name.partition('_')[0]} {show_metric(name, value)}" for name, value in values)
            lines[metric.label] = ", ".join(shown)
        else:
            bounds = show_bounds(metric.name, interval_of(record, metric.name)) if metric.name == _RATE else ""
            lines[metric.label] = show_metric(*values[0]) + (f"  ({bounds})" if len(bounds) > 1 else "")
    return {**lines, NOT_MEASURED: ", ".join(missing)} if missing else lines


def _grid(rows: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=False, overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        grid.add_row(Text(printable(f"  {name}"), style="dim"), Text(show_value(value)))
    return grid
