"""Latencies of the best trials as text cells, where requests were sent one by one."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.analysis.answer import Answer
from vbench.analysis.ranking import ranked
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.blocks import Grid, Prose, Section
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import show_metric

MAX_TRIALS = 12
_LATENCIES = (
    ("TTFT p50", "p50_ttft_s"), ("TTFT p95", "p95_ttft_s"), ("TPOT p50", "p50_tpot_s"), ("TPOT p95", "p95_tpot_s"),
    ("ITL p50", "p50_itl_s"), ("ITL p99", "p99_itl_s"), ("E2E p50", "p50_e2e_latency_s"),
    ("E2E p95", "p95_e2e_latency_s"),
)  # fmt: skip
_GOODPUT = "request_goodput_req_s"


def latency_table(
    records: Sequence[TrialRecord], answer: Answer, order: Sequence[TrialRecord] | None = None
) -> Table | None:
    """The best trials first, at most `MAX_TRIALS`; None where all were called offline and nothing asks for it.
    `order`: the trials as `ranked`, where they were."""
    if not any(_is_by_request(record) for record in records):
        return None
    order = ranked(records, answer.objective) if order is None else order
    best = [one for one in order if value_of(one.measurements, "p50_ttft_s") is not None]
    if not best:
        return None
    has_goodput = any(value_of(one.measurements, _GOODPUT) is not None for one in best)
    metrics = [*_LATENCIES, *([("Goodput", _GOODPUT)] if has_goodput else [])]
    has_load = any(_load(record) for record in best)  # a column of nothing would push the last ones out of sight
    rows = [_row(record, answer, [name for _, name in metrics], has_load=has_load) for record in best[:MAX_TRIALS]]
    columns = ("Trial", "Mode", *(("Load",) if has_load else ()), "Throughput", *(label for label, _ in metrics))
    numeric = frozenset({0, *range(columns.index("Throughput"), len(columns))})
    return Table(columns=columns, rows=tuple(rows), numeric=numeric)


def _is_by_request(record: TrialRecord) -> bool:
    return record.config.get("mode", "offline") != "offline" or bool(record.config.get("goodput"))


def _row(record: TrialRecord, answer: Answer, names: Sequence[str], *, has_load: bool) -> Row:
    throughput = value_of(record.measurements, "output_throughput_tok_s")
    cells = [str(record.trial), str(record.config.get("mode", "offline"))]
    cells += [_load(record) or "all at once"] if has_load else []
    cells.append(show_metric("output_throughput_tok_s", throughput))
    cells += [_show(name, value_of(record.measurements, name)) for name in names]
    is_best = answer.best is not None and record.trial == answer.best.trial
    return Row(cells=tuple(cells), mark="best" if is_best else "")


def _show(name: str, value: float | None) -> str:
    """Below a second in milliseconds, as latencies are told."""
    if value is None or name == _GOODPUT or value >= 1:
        return show_metric(name, value)
    return f"{value * 1000:.3g} ms" if value < 0.1 else f"{value * 1000:.0f} ms"


def _load(record: TrialRecord) -> str:
    """`4 req/s, at most 16 at once`; empty where all are sent at once."""
    load = record.config.get("load") or {}
    if record.config.get("mode", "offline") == "offline" or not load:
        return ""
    rate, most = load.get("request_rate"), load.get("max_concurrency")
    parts = []
    if load.get("ramp_up_strategy"):
        parts.append(f"{load.get('ramp_up_start_rps')} to {load.get('ramp_up_end_rps')} req/s")
    elif rate is not None:
        parts.append(f"{rate} req/s")
    if most is not None:
        parts.append(f"at most {most} at once")
    return ", ".join(parts)


_NOTE = (
    "Of the best trials, over all requests of the timed passes. TTFT: time to first token. TPOT: time per output token "
    "after it. ITL: gap between two chunks of a stream, which offline calls don’t have. E2E: the whole request. "
    "Counted from when the request was sent, so that waiting for a place under max_concurrency isn’t in it; with all "
    "sent at once, waiting in the engine is."
)


def latencies_section(subject: Subject) -> Section | None:
    """None where all were called offline and nothing asks for latencies."""
    table = latency_table(subject.records, subject.answer, subject.order)
    if table is None:
        return None
    return Section("latencies", "Latencies", (Prose(_NOTE, "muted"), Grid(table, "Latencies", "tight")))
