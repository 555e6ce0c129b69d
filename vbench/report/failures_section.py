"""What went wrong: files that couldn't be read, failed trials, warnings; and what to do where nothing went well."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from vbench.analysis.failure_patterns import (
    MISSING,
    Common,
    Nearest,
    Ran,
    common_settings,
    nearest_that_ran,
)
from vbench.analysis.failures import FailureGroup, group_failures
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Bullets, Code, Grid, Heading, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.tables import warnings_table
from vbench.report.text import sentence, shorten, show_trials, show_value, stopped

MAX_LINES = 3
"""Different lines of the engine that are shown of one class."""
_LONGEST_VALUE = 80
_LONGEST_LINE = 4_000
"""More is no line of an engine; the record has all of it."""


def problems_section(subject: Subject) -> Section | None:
    """None where everything could be read."""
    problems = subject.contents.problems
    if not problems:
        return None
    blocks = (
        Prose("These are missing from everything on this page."),
        Bullets(tuple(shorten(one, _LONGEST_LINE) for one in problems)),
    )
    return Section("problems", "What couldn’t be read", blocks, tone="problems")


def next_section(subject: Subject) -> Section | None:
    """What to do now; None where there is an answer."""
    if subject.answer.best is not None:
        return None
    blocks = _nothing_tried(subject) if not subject.records else _nothing_ranked(subject)
    return Section("next", "What to do next", blocks_of(blocks))


def _nothing_tried(subject: Subject) -> list[Block]:
    status = str(subject.contents.run.get("status") or "")
    begun = f"The run is {status.replace('_', ' ')}, and no trial has been stored yet." if status else ""
    return [
        Prose(f"{begun} Start the sweep with its file, or go on with it the same way:".strip()),
        Code("vbench sweep FILE", "sh", is_copied=True),
        Prose(
            "A trial shows here once it has ended. `vbench plan FILE` says without an engine what is wrong with a file."
        ),
    ]


def _nothing_ranked(subject: Subject) -> list[Block]:
    groups = group_failures(subject.records)
    known = [f"{_counted(group)}, {group.failure_class}: {stopped(group.advice)}" for group in groups if group.advice]
    unknown = [group for group in groups if not group.advice]
    blocks: list[Block] = [Bullets(tuple(known))] if known else []
    if unknown:
        trials = [trial for group in unknown for trial in group.trials]
        blocks.append(
            Prose(f"Nothing is known of what to try for trial{_s(trials)} {show_trials(trials)}: its log says more.")
        )
    violated = _violated(subject.records)
    if violated:
        blocks.append(Prose("Trials completed, but broke a constraint; loosen it, or let the search try other values:"))
        blocks.append(Bullets(violated))
    failed = [trial for group in groups for trial in group.trials]
    if failed:
        folder, number = subject.source_of(failed[0])
        run = f"{folder.sweep}/{folder.run_id}"
        blocks += [
            Prose("A failed trial in full, with the end of its log:"),
            Code(f"vbench show {shlex.quote(run)} {number}", "sh", is_copied=True),
        ]
    return blocks


def _violated(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Each broken constraint, with how near the nearest trial came."""
    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    broken: dict[str, list[float]] = {}
    for record in completed:
        for name, by in record.constraint_violations.items():
            if by > 0:
                broken.setdefault(name, []).append(by)
    return tuple(
        f"{name}: broken by {len(by)} of the {len(completed)} that completed, by {min(by):.1%} at the least"
        for name, by in broken.items()
    )


def failures_section(subject: Subject) -> Section | None:
    """Failures by class: how often, the engine's own line, what to try, what they have in common. None where nothing
    failed."""
    groups = group_failures(subject.records)
    if not groups:
        return None
    by_trial = {record.trial: record for record in subject.records}
    working = Ran(subject.records)
    parts = (_group(group, [by_trial[trial] for trial in group.trials], working) for group in groups)
    return Section("failures", "What failed", blocks_of(*parts))


def _group(group: FailureGroup, members: Sequence[TrialRecord], working: Ran) -> list[Block]:
    how = ", ".join(outcome.value.replace("_", " ") for outcome in group.outcomes)
    during = f" during {', '.join(group.phases)}" if group.phases else ""
    blocks: list[Block] = [
        Heading(group.failure_class, count=_counted(group)),
        Prose(f"{how}{during} · trial{_s(group.trials)} {show_trials(group.trials)}", "muted"),
    ]
    lines = list(dict.fromkeys(one.failure.evidence for one in members if one.failure and one.failure.evidence))
    blocks += [Code(line[:_LONGEST_LINE]) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        blocks.append(Prose(f"and {len(lines) - MAX_LINES} other lines of this kind", "muted"))
    blocks += [Prose(sentence(group.advice), "advice")] if group.advice else []
    found = [
        *map(_common_sentence, common_settings(members, working)),
        _near_sentence(nearest_that_ran(members, working)),
    ]
    sentences = tuple(one for one in found if one)
    return [*blocks, Bullets(sentences)] if sentences else blocks


def _common_sentence(one: Common) -> str:
    """`All 5 had max_model_len = 8192; of the 14 that ran, none had.`"""
    which = "Both" if one.num_failed == 2 else f"All {one.num_failed:,}"
    if one.value is MISSING:
        return ""
    if one.bound is not None:
        word = "more" if one.bound == ">=" else "less"
        return f"{which} had {one.name} of {_value(one.value)} or {word}; none of the {one.num_ran:,} that ran had."
    others = "none" if one.num_ran_alike == 0 else f"{one.num_ran_alike:,}"
    return f"{which} had {one.name} = {_value(one.value)}; of the {one.num_ran:,} that ran, {others} had."


def _near_sentence(near: Nearest | None) -> str:
    """What to change, by an example that ran; nothing where so much differs that it is no hint."""
    if near is None or len(near.differences) > 4:
        return ""
    changes = ", ".join(f"{name} {_value(new)} instead of {_value(old)}" for name, old, new in near.differences)
    return f"The nearest that ran, trial {near.trial}, had {changes} (against trial {near.failed})."


def _value(value: Any) -> str:
    return "the default" if value is MISSING else shorten(show_value(value), _LONGEST_VALUE)


def _counted(group: FailureGroup) -> str:
    return f"{group.count:,} trial{_s(group.trials)}"


def _s(trials: Sequence[int]) -> str:
    return "s" if len(trials) > 1 else ""


def warnings_section(subject: Subject) -> Section | None:
    """None where no trial has a warning."""
    table = warnings_table(subject.records)
    return Section("warnings", "Warnings", (Grid(table, "Warnings", "prose"),)) if table.rows else None
