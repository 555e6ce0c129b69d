"""What stands on the report's page, as text: computed once, for HTML and Markdown alike. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.effects import ParameterEffect, effects
from vbench.analysis.estimates import check_estimates
from vbench.analysis.failures import FailureGroup, group_failures
from vbench.analysis.timing import TimeSplit, time_split
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report import gpu_tables, recipes, search_section, tables
from vbench.report.contents import RunContents
from vbench.report.latency_table import latency_table
from vbench.report.pareto_section import ParetoSection, pareto_section
from vbench.report.quality_section import QualitySection, quality_section
from vbench.report.summary import Fact, summary_facts, summary_headline, summary_notes
from vbench.report.trust_section import TrustSection, trust_section


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
    pareto: ParetoSection | None
    """None where the sweep has one objective."""
    quality: QualitySection | None
    """None where no trial's answers were checked."""
    search: search_section.SearchSection | None
    """None where nothing was searched."""
    effects: tuple[ParameterEffect, ...]
    effects_table: tables.Table
    splits: tuple[TimeSplit, ...]
    failures: tuple[FailureGroup, ...]
    gpus: gpu_tables.GpuSection | None
    latencies: tables.Table | None
    estimates: tables.Table
    trust: TrustSection | None
    """None where nothing was disturbed or measured again as a reference."""
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
        notes=(*summary_notes(answer, records), *gpu_tables.doubts_of_best(records, answer)),
        differences=tables.differences_table(answer) if answer.best and answer.baseline else None,
        parameters=tables.parameters_table(answer.best.parameters) if answer.best else None,
        recipes=_recipes(answer, folder),
        problems=contents.problems,
        pareto=pareto_section(records, contents.objectives),
        quality=quality_section(records, answer),
        search=search_section.search_section(records, contents),
        effects=tuple(found),
        effects_table=tables.effects_table(found, contents.objective.metric, answer.best),
        splits=tuple(split for split in map(time_split, records) if split.total_s > 0),
        failures=tuple(group_failures(records)),
        gpus=gpu_tables.gpu_section(records, answer),
        latencies=latency_table(records, answer),
        estimates=tables.estimates_table(check_estimates(records)),
        trust=trust_section(records),
        warnings=tables.warnings_table(records),
        trials=tables.trials_table(records, answer, names),
        metrics=tables.metrics_table(),
        machine=tables.facts_table(contents.machine),
        prompt_sets=tables.prompt_sets_table(records),
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
