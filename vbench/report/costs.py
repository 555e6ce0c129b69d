"""What the best setting costs beside what it brings: context, quality, latency, memory, against the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vbench.analysis.headroom import RunFacts, headroom_bytes, memory_budget
from vbench.analysis.quality import changes_answers
from vbench.analysis.roofline import num_ranks
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, NOT_MEASURED, show_metric, show_share, show_small_share, show_value
from vbench.units import format_bytes

_WORSE = 0.05
"""A change that is called one; less may be another minute's."""
_LATENCIES = ("p95_ttft_s", "p95_tpot_s", "p95_e2e_latency_s")
_NAMES = {
    "p95_ttft_s": "p95 time to first token",
    "p95_tpot_s": "p95 time per output token",
    "p95_e2e_latency_s": "p95 end-to-end latency",
    "peak_memory_bytes": "peak memory",
    "startup_s": "start-up",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A row of the table. `text` shows a record's value; `number` is there where a change in per cent means something,
    and is what `is_worse_when_more` is judged by."""

    label: str
    text: Callable[[TrialRecord], str]
    number: Callable[[TrialRecord], float | None] | None = None


def costs_table(best: TrialRecord, baseline: TrialRecord | None, facts: RunFacts) -> Table:
    """A row for each thing that is known of either; without a baseline there is nothing to hold it against."""
    other = None if baseline is None or baseline.trial == best.trial else baseline
    rows: list[Row] = []
    for line in _lines(best, facts):
        mine = line.text(best)
        theirs = None if other is None else line.text(other)
        if {mine, theirs} <= {MISSING, None}:
            continue
        cells = (
            (line.label, mine)
            if other is None or theirs is None
            else (line.label, mine, theirs, _change(line, best, other))
        )
        rows.append(Row(cells=cells))
    columns = ("", "Best") if other is None else ("", "Best", "Baseline", "Change")
    return Table(columns=columns, rows=tuple(rows), numeric=frozenset((1, 2, 3)[: len(columns) - 1]))


def costs_in_words(best: TrialRecord, baseline: TrialRecord | None) -> str:
    """What got worse than the baseline, in a sentence; empty where there is no other trial to hold it against."""
    if baseline is None or baseline.trial == best.trial or not baseline.outcome.is_measured:
        known = "; ".join(_quality_costs(best))
        return f"{_capital(known)}." if known else ""
    found = [*_setting_costs(best, baseline), *_measured_costs(best, baseline), *_quality_costs(best)]
    if not found:
        return f"Nothing that was measured of both is more than {_WORSE:.0%} worse than the baseline’s."
    return f"Against the baseline: {'; '.join(found)}."


def _lines(best: TrialRecord, facts: RunFacts) -> Iterator[_Line]:
    yield _Line(label="Context length", text=_context)
    yield _Line(label="Quantization", text=lambda one: show_value(used(one, "quantization")))
    for name, label in (("dtype", "Number format"), ("kv_cache_dtype", "KV cache’s format")):
        yield _Line(label=label, text=lambda one, name=name: _shown(used(one, name)))  # type: ignore[misc]
    yield _Line(label="NLL increase", text=lambda one: _quality(one, "nll_increase"))
    yield _Line(label="Greedy agreement", text=lambda one: _quality(one, "greedy_agreement"))
    yield _Line(label="Requests at once (max_num_seqs)", text=lambda one: _shown(used(one, "max_num_seqs")))
    yield _Line(
        label="Sent at once (max_concurrency)",
        text=lambda one: _shown((one.config.get("load") or {}).get("max_concurrency")),
    )
    if best.hardware.get("gpus"):
        yield _Line(label="GPUs in use", text=lambda one: str(num_ranks(one)))
    for name in (*_LATENCIES, "peak_memory_bytes"):
        yield _metric_line(name)
    yield _Line(label="Memory left", text=lambda one: _left(one, facts))
    yield _metric_line("startup_s")


def _metric_line(name: str) -> _Line:
    def number(record: TrialRecord) -> float | None:
        return value_of(record.measurements, name)

    return _Line(label=_capital(_NAMES[name]), text=lambda one: show_metric(name, number(one)), number=number)


def _change(line: _Line, best: TrialRecord, baseline: TrialRecord) -> str:
    if line.number is None:
        return ""
    mine, theirs = line.number(best), line.number(baseline)
    return "" if mine is None or not theirs else show_share(mine / theirs - 1)


def _setting_costs(best: TrialRecord, baseline: TrialRecord) -> Iterator[str]:
    mine, theirs = used(best, "max_model_len"), used(baseline, "max_model_len")
    if isinstance(mine, int) and isinstance(theirs, int) and mine < theirs:
        yield f"a context of {mine:,} tokens instead of {theirs:,}"
    gpus, others = num_ranks(best), num_ranks(baseline)  # records name all that could be seen
    if best.hardware.get("gpus") and gpus > others:
        yield f"{gpus} GPUs instead of {others}"


def _measured_costs(best: TrialRecord, baseline: TrialRecord) -> Iterator[str]:
    ways = {str(one.environment.get("worker_start")) for one in (best, baseline)}
    for name, label in _NAMES.items():
        if name == "startup_s" and len(ways) > 1:  # a fork has the engine imported already
            continue
        mine, theirs = value_of(best.measurements, name), value_of(baseline.measurements, name)
        if mine is not None and theirs and mine / theirs - 1 > _WORSE:
            yield f"{mine / theirs - 1:.0%} more {label}" if "memory" in name else (
                f"{mine / theirs - 1:.0%} longer {label}"
            )  # fmt: skip


def _quality_costs(best: TrialRecord) -> Iterator[str]:
    """What is known of its answers; that nothing is, where the setting can change them."""
    increase = value_of(best.measurements, "nll_increase")
    if increase is not None and best.quality is not None and increase > 0:
        bounds = best.quality.nll_increase_interval
        sure = "" if bounds is None else f" (95%: {show_small_share(bounds[0])} to {show_small_share(bounds[1])})"
        yield f"the NLL of fixed texts is {increase:.2%} higher{sure}"
    elif increase is None and changes_answers(best):
        how = " and ".join(
            word for word, name in (("is quantized", "quantization"), ("speculates", "speculative_config"))
            if best.config.get(name)
        )  # fmt: skip
        yield f"it {how}, and its answers were not checked (the sweep file’s “quality” does that)"


def used(record: TrialRecord, name: str) -> Any:
    """What a trial set, or what its engine said it used instead."""
    value = record.config.get(name)
    return value if value is not None else record.engine.facts.get(name)


def _context(record: TrialRecord) -> str:
    length = used(record, "max_model_len")
    return f"{length:,} tokens" if isinstance(length, int) else _shown(length)


def _quality(record: TrialRecord, name: str) -> str:
    value = value_of(record.measurements, name)
    if value is not None:
        return show_small_share(value) if name == "nll_increase" else f"{value:.1%}"
    return NOT_MEASURED if changes_answers(record) else MISSING


def _left(record: TrialRecord, facts: RunFacts) -> str:
    left, budget = headroom_bytes(record, facts), memory_budget(record, facts)
    if left is None or budget is None:
        return MISSING
    return f"{format_bytes(left)} ({left / budget.num_bytes:.0%})"


def _shown(value: Any) -> str:
    return MISSING if value is None else f"{value:,}" if type(value) is int else show_value(value)


def _capital(text: str) -> str:
    return text if text.startswith("p95") else text[:1].upper() + text[1:]
