"""What stands on the report's page, as text: computed once, for HTML and Markdown alike. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.effects import ParameterEffect, effects
from vbench.analysis.estimates import check_estimates
from vbench.analysis.failures import FailureGroup, group_failures
from vbench.analysis.timing import TimeSplit, time_split
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report import gpu_tables, recipes, tables
from vbench.report.contents import RunContents
from vbench.report.latency_table import latency_table
from vbench.report.text import NOT_MEASURED, metric_label, show_bounds, show_metric, show_ratio, show_trials
from vbench.units import format_bytes, format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number with its name and what to know about it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The best setting in one language."""

    label: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is shown."""

    sweep: str
    run_id: str
    is_fake: bool
    subtitle: tuple[str, ...]
    description: str
    emulation: tuple[str, ...]
    """What stood in for what, and what that can't show; empty for a run that emulated nothing."""
    answer: Answer
    headline: str
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    differences: tables.Table | None
    parameters: tables.Table | None
    recipes: tuple[Recipe, ...]
    problems: tuple[str, ...]
    effects: tuple[ParameterEffect, ...]
    effects_table: tables.Table
    splits: tuple[TimeSplit, ...]
    failures: tuple[FailureGroup, ...]
    gpus: gpu_tables.GpuSection | None
    latencies: tables.Table | None
    estimates: tables.Table
    warnings: tables.Table
    trials: tables.Table
    metrics: tables.Table
    machine: tables.Table
    prompt_sets: tables.Table
    run_facts: tables.Table
    sweep_yaml: str


def make_page(folder: RunFolder, contents: RunContents) -> Page:
    """Compute all that the templates need."""
    records = sorted(contents.result.records, key=lambda record: record.trial)
    answer = find_answer(records, contents.objective)
    found = effects(records, contents.objective)
    names = [effect.name for effect in found]
    facts = {key: value for key, value in contents.run.items() if key not in ("objective", "parameters", "name")}
    return Page(
        sweep=folder.sweep,
        run_id=folder.run_id,
        is_fake=answer.is_fake,
        subtitle=_subtitle(contents, records),
        description=str(contents.run.get("description") or ""),
        emulation=_emulation(contents),
        answer=answer,
        headline=summary_headline(answer),
        facts=summary_facts(answer, records),
        notes=(*_notes(answer, records), *gpu_tables.doubts_of_best(records, answer)),
        differences=tables.differences_table(answer) if answer.best and answer.baseline else None,
        parameters=tables.parameters_table(answer.best.parameters) if answer.best else None,
        recipes=_recipes(answer, folder),
        problems=contents.problems,
        effects=tuple(found),
        effects_table=tables.effects_table(found, contents.objective.metric, answer.best),
        splits=tuple(split for split in map(time_split, records) if split.total_s > 0),
        failures=tuple(group_failures(records)),
        gpus=gpu_tables.gpu_section(records, answer),
        latencies=latency_table(records, answer),
        estimates=tables.estimates_table(check_estimates(records)),
        warnings=tables.warnings_table(records),
        trials=tables.trials_table(records, answer, names),
        metrics=tables.metrics_table(),
        machine=tables.facts_table(contents.machine),
        prompt_sets=_prompt_sets(records),
        run_facts=tables.facts_table(facts),
        sweep_yaml=contents.sweep_yaml,
    )


def _emulation(contents: RunContents) -> tuple[str, ...]:
    target = contents.run.get("target")
    if not isinstance(target, dict) or not target.get("is_emulated"):
        return ()
    notes = target.get("notes")
    return tuple(str(note) for note in notes) if isinstance(notes, list) and notes else ("emulated hardware",)


def _subtitle(contents: RunContents, records: Sequence[TrialRecord]) -> tuple[str, ...]:
    models = dict.fromkeys(str(record.config.get("model", "")) for record in records)
    engines = dict.fromkeys(f"{record.engine.name} {record.engine.version or ''}".strip() for record in records)
    parts = [", ".join(name for name in models if name), ", ".join(engines)]
    started = str(contents.run.get("created_at", ""))[:16].replace("T", " ")
    parts += [f"{started} UTC" if started else "", str(contents.run.get("status", "")).replace("_", " ")]
    return tuple(part for part in parts if part)


def summary_headline(answer: Answer) -> str:
    """The finding in one sentence, whatever became of the sweep."""
    if answer.best is not None:
        return f"Trial {answer.best.trial} is the best of {answer.num_ranked} that could be ranked"
    if answer.num_trials == 0:
        return "Nothing has been tried yet"
    if answer.num_completed == 0:
        return f"None of the {answer.num_trials} trials completed: see what failed, and what to try, below"
    completed = f"{answer.num_completed} of {answer.num_trials} trials completed"
    return f"{completed}, but none of them has a value and keeps every constraint"


def summary_facts(answer: Answer, records: Sequence[TrialRecord]) -> tuple[Fact, ...]:
    """The numbers that matter most: the best value first, with what each is worth."""
    failed = answer.num_trials - answer.num_completed
    note = f"{answer.num_completed} completed, {failed} not" if failed else "all completed"
    tried = Fact(label="Trials", value=str(answer.num_trials), note=note)
    total = sum(record.duration_s or 0.0 for record in records)
    spent = Fact(label="Time spent", value=format_duration(total), note=_startup_share(records))
    if answer.best is None:
        return (tried, spent) if records else ()
    metric = answer.objective.metric
    interval = answer.interval
    note = interval.describe() if interval else "one value for the whole trial"
    bounds = show_bounds(metric, interval)
    value = Fact(
        label=metric_label(metric),
        value=show_metric(metric, answer.value),
        note=f"{bounds}: {note}" if interval and interval.kind != "single" else note,
    )
    source = str(answer.best.hardware.get("memory_source", ""))
    memory = Fact(
        label="Peak memory",
        value=NOT_MEASURED if answer.peak_memory_bytes is None else format_bytes(answer.peak_memory_bytes),
        note=_memory_note(source),
    )
    return (value, _gain_fact(answer), memory, tried, spent)


def _memory_note(source: str) -> str:
    if "pss" in source.lower():
        return "PSS of the trial's process tree: host memory, as the engine ran on a CPU"
    return source or "source not recorded"


def _startup_share(records: Sequence[TrialRecord]) -> str:
    splits = [time_split(record) for record in records]
    total = sum(split.total_s for split in splits)
    return f"{sum(split.startup_s for split in splits) / total:.0%} of it starting engines" if total > 0 else ""


def _gain_fact(answer: Answer) -> Fact:
    label = "Against the baseline"
    if answer.baseline is None:
        return Fact(label=label, value="no baseline", note="the sweep names no baseline to compare with")
    if answer.best is not None and answer.best.trial == answer.baseline.trial:
        return Fact(label=label, value="the same", note="nothing tried was better than the baseline")
    if answer.gain is None:
        how = answer.baseline.outcome.value.replace("_", " ")
        return Fact(label=label, value="not comparable", note=f"the baseline, trial {answer.baseline.trial}: {how}")
    interval = answer.gain.interval
    if interval is None or interval.kind == "single":
        note = "a single pass on one side: how sure this is, is not known"
        return Fact(label=label, value=show_ratio(answer.gain.ratio), note=note if interval else "no value per pass")
    kind = "95% bootstrap interval" if interval.kind == "bootstrap" else "worst to best case of the passes"
    doubt = "" if answer.gain.is_clear else "; not told apart from no gain"
    note = f"×{interval.low:.2f} – ×{interval.high:.2f}: {kind}{doubt}"
    return Fact(label=label, value=show_ratio(answer.gain.ratio), note=note)


def _notes(answer: Answer, records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """What limits the answer, as sentences with advice."""
    notes: list[str] = []
    if answer.contenders:
        trials = sorted(record.trial for record in answer.contenders)
        notes.append(
            f"These passes don't tell it apart from trial{'s' if len(trials) > 1 else ''} {show_trials(trials)}, "
            "as the intervals overlap: measure again with more passes before relying on the order."
        )
    rate = value_of(answer.best.measurements, "prefix_cache_hit_rate") if answer.best else None
    if rate:
        notes.append(
            f"{rate:.0%} of its prompt tokens came from the prefix cache: expect less of prompts that don't repeat."
        )
    digests = {record.prompt_set.sha256 for record in records}
    if len(digests) > 1:
        notes.append(f"The trials ran on {len(digests)} different prompt sets: their throughputs don't compare.")
    return tuple(notes)


def _recipes(answer: Answer, folder: RunFolder) -> tuple[Recipe, ...]:
    if answer.best is None:
        return ()
    config = answer.best.config
    heading = f"# Trial {answer.best.trial} of {folder.sweep}/{folder.run_id}\n".replace("\n", " ").strip() + "\n"
    return (
        Recipe(label="Server", language="sh", text=recipes.as_serve(config)),
        Recipe(label="Python", language="python", text=recipes.as_python(config)),
        Recipe(label="Sweep file", language="yaml", text=heading + recipes.as_yaml(config)),
    )


def _prompt_sets(records: Sequence[TrialRecord]) -> tables.Table:
    rows = dict.fromkeys(
        (
            one.sha256,
            str(one.num_prompts),
            "until it stops" if one.output_tokens is None else str(one.output_tokens),
            NOT_MEASURED if one.input_tokens is None else f"{one.input_tokens:,}",
            one.source,
        )
        for one in (record.prompt_set for record in records)
    )
    columns = ("sha256", "Prompts", "Output tokens each", "Prompt tokens in all", "Source")
    return tables.Table(
        columns=columns, rows=tuple(tables.Row(cells=row) for row in rows), numeric=frozenset((1, 2, 3))
    )
