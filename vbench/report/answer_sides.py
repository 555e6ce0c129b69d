"""The fastest setting beside the fastest that is safe: what each is worth, what it leaves, and what to paste."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from vbench.analysis.headroom import MemoryBudget, headroom_bytes, memory_budget
from vbench.analysis.neighbours import is_same_setting
from vbench.analysis.ranking import gain_over_baseline, objective_value
from vbench.analysis.safe_best import RULE, SafeBest, find_safe, risks
from vbench.analysis.statistics import interval_of
from vbench.metrics import metric_of, value_of
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Code, Fact, Facts, Fold, Heading, Prose, Side, Sides
from vbench.report.provenance import provenance_of
from vbench.report.recipes import as_serve, as_yaml
from vbench.report.recipes_python import as_python
from vbench.report.subject import Subject
from vbench.report.text import NOT_MEASURED, metric_label, shorten, show_bounds, show_metric, show_ratio, show_value
from vbench.units import format_bytes

_MAX_SETTINGS = 8
_VALUE_CHARACTERS = 48


def choice_blocks(subject: Subject) -> list[Block]:
    """How to run the best; where another is safer, how to run either."""
    best = subject.answer.best
    if best is None:
        return []
    safe = find_safe(subject.standing, subject.contents.objective, subject.contents, subject.order)
    if safe is not None and safe.record.trial != best.trial:
        return [
            Heading(f"{_first(subject).capitalize()}, or safe"),
            Sides((_fastest(subject, best), _safest(subject, safe, best))),
            Prose(f"A safe setting {RULE}.", "muted"),
        ]
    if safe is not None:
        said = f"The {_first(subject)} is also the safe choice: it {RULE}."
    else:
        doubts = "; ".join(_risks(subject, best))
        said = f"No trial is known to be safe, which would mean that it {RULE}. Of the {_first(subject)}: {doubts}."
    return [Heading("How to run it"), Prose(said, "muted"), *recipe_blocks(subject, best)]


def recipe_blocks(subject: Subject, record: TrialRecord) -> list[Block]:
    """The command, the cell and the sweep file's part, each to be copied; the first is open."""
    folder, trial = subject.source_of(record.trial)
    contents = next((one.contents for one in subject.members if one.folder == folder), subject.contents)
    origin = provenance_of(record, folder, contents, trial)
    is_served = record.config.get("mode") == "server"
    served = None if is_served else Prose("Measured without a server: expect a little less through one.", "muted")
    ways: tuple[tuple[str, str, str, Prose | None], ...] = (
        ("Server", "sh", as_serve(record.config, origin), served),
        ("Python", "python", as_python(record.config, origin), None),
        ("Sweep file", "yaml", as_yaml(record.config, origin), None),
    )
    return [
        Fold(label, (Code(text, language, label, is_copied=True), *([note] if note else [])), is_open=index == 0)
        for index, (label, language, text, note) in enumerate(ways)
    ]


def headroom_fact(subject: Subject, record: TrialRecord) -> Fact:
    """What a trial's peak leaves of its budget, and of which budget."""
    left, budget = headroom_bytes(record, subject.contents), memory_budget(record, subject.contents)
    if left is None or budget is None:
        why = "the memory that it could have had is not known" if budget is None else "its peak was not measured"
        return Fact(label="Memory left", value=NOT_MEASURED, note=why)
    return Fact(
        label="Memory left",
        value=format_bytes(left),
        note=f"{left / budget.num_bytes:.0%} of {budget.what}, {format_bytes(budget.num_bytes)}"
        + _allowance(record, budget),
    )


def settings_in_words(record: TrialRecord, names: Collection[str] | None = None) -> str:
    """`max_num_seqs 16, quantization awq`: what the search chose; only `names` and what is under them, where given."""
    pairs = [
        f"{name} {shorten(show_value(value), _VALUE_CHARACTERS)}"
        for name, value in record.parameters.items()
        if names is None or name in names or name.partition(".")[0] in names
    ]
    more = len(pairs) - _MAX_SETTINGS
    return ", ".join([*pairs[:_MAX_SETTINGS], *([f"and {more} more"] if more > 0 else [])])


def _allowance(record: TrialRecord, budget: MemoryBudget) -> str:
    """What the engine may take of a machine's memory by its own setting: on a CPU far less than there is."""
    share = record.config.get("gpu_memory_utilization")
    is_overruled = budget.is_constraint or record.config.get("kv_cache_memory_bytes") or record.hardware.get("gpus")
    if not isinstance(share, float) or is_overruled:
        return ""
    return f"; gpu_memory_utilization {share:g} allows the engine {format_bytes(share * budget.num_bytes)}"


def _fastest(subject: Subject, best: TrialRecord) -> Side:
    why = Prose(f"Not called safe: {'; '.join(_risks(subject, best))}.")
    return Side(
        f"{_first(subject).capitalize()}: trial {best.trial}",
        (_facts(subject, best), why, *recipe_blocks(subject, best)),
    )


def _safest(subject: Subject, safe: SafeBest, best: TrialRecord) -> Side:
    record = safe.record
    value, top = objective_value(record, subject.contents.objective), objective_value(best, subject.contents.objective)
    blocks: list[Block] = [_facts(subject, record)]
    if value is not None and top:
        share = abs(value / top - 1)
        side = "less" if value < top else "more"
        blocks.append(Prose(f"{share:.1%} {side} than the {_first(subject)}. {_instead(record, best)}"))
    if not safe.is_remeasured:
        blocks.append(Prose("Measured once, and not again with the finalists: expect a little worse.", "aside"))
    return Side(f"Safe: trial {record.trial}", (*blocks, *recipe_blocks(subject, record)))


def _first(subject: Subject) -> str:
    """What the best is by the objective, which may be of something else than speed."""
    metric = metric_of(subject.contents.objective.metric)
    return "fastest" if metric.unit in ("tok/s", "req/s", "s") and metric.name != "startup_s" else "best"


def _instead(record: TrialRecord, best: TrialRecord) -> str:
    names = {name for name, value in record.parameters.items() if not is_same_setting(best.parameters.get(name), value)}
    changed = settings_in_words(record, names)
    return f"What it sets otherwise: {changed}." if changed else ""


def _facts(subject: Subject, record: TrialRecord) -> Facts:
    objective, baseline = subject.contents.objective, subject.answer.baseline
    interval = interval_of(record, objective.metric)
    value = show_metric(objective.metric, objective_value(record, objective))
    note = show_bounds(objective.metric, interval) if interval and interval.kind != "single" else "one value"
    facts = [Fact(label=metric_label(objective.metric), value=value, note=note)]
    gain = gain_over_baseline(record, baseline, objective) if baseline and baseline.trial != record.trial else None
    if gain is not None:
        sure = gain.interval
        note = "" if sure is None or sure.kind == "single" else f"×{sure.low:.2f} – ×{sure.high:.2f}"
        facts.append(Fact(label="Against the baseline", value=show_ratio(gain.ratio), note=note))
    peak = value_of(record.measurements, "peak_memory_bytes")
    facts.append(Fact(label="Peak memory", value=NOT_MEASURED if peak is None else format_bytes(peak)))
    return Facts((*facts, _short(headroom_fact(subject, record), subject, record)))


def _short(fact: Fact, subject: Subject, record: TrialRecord) -> Fact:
    """The headroom without what its budget is called, which stands at the top of the page."""
    left, budget = headroom_bytes(record, subject.contents), memory_budget(record, subject.contents)
    if left is None or budget is None:
        return fact
    return replace(fact, note=f"{left / budget.num_bytes:.0%} of {format_bytes(budget.num_bytes)}")


def _risks(subject: Subject, record: TrialRecord) -> tuple[str, ...]:
    return risks(record, subject.contents)
