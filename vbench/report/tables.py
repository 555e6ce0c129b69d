"""The report's tables, as text cells: effects, failures, warnings, machine. Shared by HTML and Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.answer import Answer
from vbench.analysis.effects import ParameterEffect
from vbench.analysis.ranking import objective_value
from vbench.analysis.token_work import has_drawn_lengths
from vbench.analysis.wording import bound_text
from vbench.metrics import METRICS
from vbench.records.record import TrialRecord
from vbench.report.text import MISSING, NOT_MEASURED, show_metric, show_trials, show_value
from vbench.spec.types import Objective

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?", re.ASCII)
_NUMBER_AND_UNIT = re.compile(rf"({_NUMBER.pattern})(%?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; `mark` is a word for its style: `best`, `failed`, `unranked` or none."""

    cells: tuple[str, ...]
    mark: str = ""
    keys: tuple[float | str | None, ...] = ()
    """What each cell is sorted by and filtered for, exact where the cell is rounded; None: its text. Empty: all by
    their texts."""
    anchor: str = ""
    """The row's own address on the page (`trial-14`): its first cell is then the row's name, and links to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Headings and rows. `numeric` are the columns that are aligned as numbers; `filters` those with few different
    values, by which an interactive table can be filtered; `noun` is what its rows are."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    numeric: frozenset[int] = frozenset()
    filters: frozenset[int] = frozenset()
    noun: str = "rows"


def differences_table(answer: Answer) -> Table:
    """What the best trial sets otherwise than the baseline."""
    rows = tuple(
        Row(
            cells=(
                one.name,
                _setting(one.best, is_set=one.is_set_in_best),
                _setting(one.baseline, is_set=one.is_set_in_baseline),
            )
        )
        for one in answer.differences
    )
    return Table(columns=("Setting", "Best", "Baseline"), rows=rows)


def _setting(value: Any, *, is_set: bool) -> str:
    if is_set:
        return show_value(value)
    return "engine default" if value is None else f"{show_value(value)} (engine default)"


def parameters_table(parameters: Mapping[str, Any]) -> Table:
    """What the search chose."""
    rows = tuple(Row(cells=(name, show_value(value))) for name, value in parameters.items())
    return Table(columns=("Parameter", "Value"), rows=rows)


def effects_table(effects: Sequence[ParameterEffect], metric: str, best: TrialRecord | None) -> Table:
    """Every value of every parameter; the row that the best trial used is marked."""
    rows: list[Row] = []
    for effect in effects:
        for index, one in enumerate(effect.values):
            is_best = best is not None and effect.name in best.parameters and best.parameters[effect.name] == one.value
            rows.append(
                Row(
                    cells=(
                        effect.name if index == 0 else "",
                        show_value(one.value),
                        str(one.num_trials),
                        str(one.num_pruned) if one.num_pruned else MISSING,
                        str(one.num_failed) if one.num_failed else MISSING,
                        show_metric(metric, one.median),
                        show_metric(metric, one.best),
                        MISSING if one.best_trial is None else str(one.best_trial),
                    ),
                    mark="best" if is_best else "",
                )
            )
    columns = ("Parameter", "Value", "Trials", "Stopped", "Failed", "Median", "Best", "In trial")
    return Table(columns=columns, rows=tuple(rows), numeric=frozenset((2, 3, 4, 5, 6, 7)))


def value_text(record: TrialRecord, objective: Objective) -> str:
    """The objective's value; `≤ 210 tok/s` of a trial that was stopped early; `–` where there is none."""
    bound = bound_text(record, objective)
    return show_metric(objective.metric, objective_value(record, objective)) if bound is None else bound


def outcome_text(record: TrialRecord) -> str:
    """`completed`, `out of memory: kv_cache_too_small`, `completed, violates max_model_len >= 4096`, `completed (trial
    3 again)`."""
    text = record.outcome.value.replace("_", " ") + _origin(record)
    if record.failure is not None and record.failure.failure_class != record.outcome.value:
        text += f": {record.failure.failure_class}"
    violated = [name for name, by in record.constraint_violations.items() if by > 0]
    return text + (f", violates {' and '.join(violated)}" if violated else "")


def _origin(record: TrialRecord) -> str:
    """What a trial was for, where it wasn't the search."""
    if record.origin == "final":
        return f" (trial {record.repeat_of} again)"
    if record.origin == "interference":
        return f" (trial {record.repeat_of} beside others)"
    if record.origin == "reference":
        return f" (trial {record.repeat_of} as reference)"
    return {"baseline": " (baseline)", "random": " (random arm)"}.get(record.origin, "")


def warnings_table(records: Sequence[TrialRecord]) -> Table:
    """Each kind of warning once, with its trials; where only numbers differ, from which to which."""
    kinds: dict[str, dict[str, list[int]]] = {}
    for record in records:
        for warning in record.warnings:
            kinds.setdefault(_NUMBER.sub("#", warning), {}).setdefault(warning, []).append(record.trial)
    rows = tuple(
        Row(cells=(_ranged(list(kind)), show_trials(sorted({trial for found in kind.values() for trial in found}))))
        for kind in kinds.values()
    )
    return Table(columns=("Warning", "Trials"), rows=rows)


def _ranged(texts: Sequence[str]) -> str:
    """Texts that differ in numbers alone, as one: `differ by 20% to 385%`."""
    if len(texts) == 1:
        return texts[0]
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    spans = iter([sorted(set(column), key=lambda number: float(number.replace(",", ""))) for column in columns])

    def span(found: re.Match[str]) -> str:
        numbers, unit = next(spans), found[2]
        return f"{numbers[0]}{unit}" if len(numbers) == 1 else f"{numbers[0]}{unit} to {numbers[-1]}{unit}"

    return _NUMBER_AND_UNIT.sub(span, texts[0])


def metrics_table() -> Table:
    """How each number is computed, from its declaration."""
    rows = tuple(
        Row(cells=(metric.label, metric.name, metric.unit or "ratio or count", metric.formula)) for metric in METRICS
    )
    return Table(columns=("Metric", "Name", "Unit", "Formula"), rows=rows)


def facts_table(facts: Mapping[str, Any]) -> Table:
    """A nested mapping, flat: dotted names and values."""
    return Table(columns=("Name", "Value"), rows=tuple(Row(cells=pair) for pair in _flatten("", facts)))


def _flatten(prefix: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            pairs += _flatten(f"{prefix}{name}.", value)
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                pairs += _flatten(f"{prefix}{name}.{index}.", item)
        else:
            pairs.append((f"{prefix}{name}", show_value(value)))
    return pairs


def prompt_sets_table(records: Sequence[TrialRecord]) -> Table:
    """The prompt sets of the trials, each once; its tokens as a trial that came far enough counted them."""
    rows: dict[tuple[str, ...], list[str]] = {}
    drawn: dict[str, bool | None] = {}
    for record in records:
        if record.prompt_set.output_tokens is not None and drawn.get(record.prompt_set.sha256) is None:
            drawn[record.prompt_set.sha256] = has_drawn_lengths(record)
    for one in (record.prompt_set for record in records):
        most = "up to " if drawn.get(one.sha256) else ""
        length = "until it stops" if one.output_tokens is None else f"{most}{one.output_tokens}"
        counts = rows.setdefault((one.sha256, str(one.num_prompts), length, one.source), [])
        if one.input_tokens is not None and f"{one.input_tokens:,}" not in counts:
            counts.append(f"{one.input_tokens:,}")
    columns = ("sha256", "Prompts", "Output tokens each", "Prompt tokens in all", "Source")
    cells = [(*known, count, source) for (*known, source), all_of in rows.items() for count in all_of or [NOT_MEASURED]]
    return Table(columns=columns, rows=tuple(Row(cells=row) for row in cells), numeric=frozenset((1, 2, 3)))
