"""What went wrong: files that couldn't be read, trials that failed, warnings."""

from __future__ import annotations

from vbench.analysis.failures import FailureGroup, group_failures
from vbench.report.blocks import Block, Bullets, Code, Grid, Heading, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.tables import warnings_table
from vbench.report.text import show_trials


def problems_section(subject: Subject) -> Section | None:
    """None where everything could be read."""
    problems = subject.contents.problems
    if not problems:
        return None
    blocks = (Prose("These are missing from everything on this page."), Bullets(problems))
    return Section("problems", "What couldn’t be read", blocks, tone="problems")


def failures_section(subject: Subject) -> Section | None:
    """Failures by class: how often, the engine's own line, what to try. None where nothing failed."""
    groups = group_failures(subject.records)
    if not groups:
        return None
    return Section("failures", "What failed", blocks_of(*(_group(group) for group in groups)))


def _group(group: FailureGroup) -> list[Block]:
    plural = "s" if group.count > 1 else ""
    how = ", ".join(outcome.value.replace("_", " ") for outcome in group.outcomes)
    during = f" during {', '.join(group.phases)}" if group.phases else ""
    blocks: list[Block] = [
        Heading(group.failure_class, count=f"{group.count} trial{plural}"),
        Prose(f"{how}{during} · trial{plural} {show_trials(group.trials)}", "muted"),
    ]
    blocks += [Code(group.evidence)] if group.evidence else []
    return [*blocks, Prose(group.advice, "advice")] if group.advice else blocks


def warnings_section(subject: Subject) -> Section | None:
    """None where no trial has a warning."""
    table = warnings_table(subject.records)
    return Section("warnings", "Warnings", (Grid(table, "Warnings", "prose"),)) if table.rows else None
