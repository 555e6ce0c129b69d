"""A comparison for a terminal, and as JSON with keys that stay. Nothing is printed here."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vbench.analysis.comparability import NLL, Side
from vbench.analysis.comparison import Comparison, Row
from vbench.analysis.comparison_wording import method_of, metric_name, sentence
from vbench.analysis.gate import Gate
from vbench.metrics import metric_of
from vbench.report.text import MISSING, metric_label, printable, show_metric, show_value
from vbench.units import format_number


def comparison_view(found: Comparison) -> Group:
    """What is compared, the table of metrics, what differs, the notes, and last the sentence."""
    parts: list[RenderableType] = [_sides(found), Text(""), _metrics(found), Text(""), _differing(found)]
    parts += [Text(f"Note: {printable(one)}", style="dim") for one in found.notes]
    if found.rows[0].ratio is not None:
        parts.append(Text(f"95 % intervals; {metric_name(found.metric)} by {method_of(found)}.", style="dim"))
    parts += [Text(""), Text(_first_up(_sentence(found)) + ".", style="bold")]
    return Group(*parts)


def comparison_json(found: Comparison, gate: Gate | None = None, *, is_failed: bool = False) -> dict[str, Any]:
    """The same as plain values (`docs/comparing.md` lists the keys). Ratios are B ÷ A, shares are shares."""
    return {
        "a": _side_json(found.a),
        "b": _side_json(found.b),
        "metric": found.metric,
        "direction": metric_of(found.metric).direction,
        "verdict": found.verdict,
        "sentence": _sentence(found),
        "is_paired": found.is_paired,
        **_ratio_json(found.rows[0]),
        "metrics": [{"metric": row.metric, "a": row.a, "b": row.b, **_ratio_json(row)} for row in found.rows],
        "differences": [{"name": one.name, "a": one.a, "b": one.b} for one in found.differing],
        "notes": list(found.notes),
        "gate": None if gate is None else {"share": gate.share, "decision": gate.decision, "is_failed": is_failed},
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "trial": side.record.trial,
        "engine": side.record.engine.name,
        "engine_version": side.record.engine.version,
        "model": side.record.config.get("model"),
        "hardware": side.hardware,
    }


def _ratio_json(row: Row) -> dict[str, Any]:
    ratio = row.ratio
    names = ("ratio", "low", "high", "method", "num_pairs", "detectable")
    return {name: None if ratio is None else getattr(ratio, name) for name in names}


def _sides(found: Comparison) -> Table:
    table = Table.grid(padding=(0, 2))
    for letter, side in (("A", found.a), ("B", found.b)):
        engine = side.record.engine
        words = [side.name, f"{engine.name} {engine.version or ''}".strip(), str(side.record.config.get("model", ""))]
        table.add_row(Text(letter, style="bold"), *(Text(printable(one)) for one in (*words, side.hardware)))
    return table


def _metrics(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "A", "B", "B ÷ A", "95 %"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in found.rows:
        style = "bold" if row is found.rows[0] else ""
        cells = (_label(row.metric), _value(row, row.a), _value(row, row.b), *_bounds(row))
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def _bounds(row: Row) -> tuple[str, str]:
    """The ratio and its interval."""
    ratio = row.ratio
    if ratio is None:
        return MISSING, MISSING
    bounds = MISSING if ratio.method == "single" else f"{ratio.low:.3f} – {ratio.high:.3f}"
    return f"{ratio.ratio:.3f}", bounds


def _value(row: Row, value: float) -> str:
    return f"{format_number(value)} nats" if row.metric == NLL else show_metric(row.metric, value)


def _differing(found: Comparison) -> RenderableType:
    if not found.differing:
        return Text("No setting and no version differs.")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Differs", "A", "B"):
        table.add_column(heading, overflow="fold")
    for one in found.differing:
        table.add_row(*(Text(printable(cell)) for cell in (one.name, _setting(one.a), _setting(one.b))))
    return table


def _label(metric: str) -> str:
    return "NLL per token" if metric == NLL else metric_label(metric)


def _sentence(found: Comparison) -> str:
    return sentence(found.ratio, found.metric, is_paired=found.is_paired or found.metric == NLL)


def _setting(value: Any) -> str:
    return MISSING if value is None else show_value(value)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
