"""Which runs are on a page of several: whose trials have which numbers, what is ranked apart and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from vbench.analysis.ranking import best, objective_value
from vbench.outcome import Outcome
from vbench.report.blocks import Bullets, Grid, Prose, Section, blocks_of
from vbench.report.several import Kind, kind_of
from vbench.report.subject import Member, Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, metric_label, shorten, show_bounds, show_metric, show_ratio
from vbench.report.trust_section import trust_lines

_DIFFERENT_TIMES = (
    "They were measured at different times: differences between trials of different runs include what the machine did "
    "in between."
)
_LONGEST = 60
_WORDS = {
    "numbers": "its numbers came about in another way (measured, emulated, from a formula)",
    "hardware": "another hardware profile",
    "machine": "another machine",
    "model": "another model",
    "prompts": "other prompts, or other output lengths",
    "objective": "another objective",
    "constraints": "other constraints",
    "calling": "requests were sent in another way, which its objective depends on",
}


def runs_section(subjects: Sequence[Subject]) -> Section | None:
    """None for one run alone."""
    members = [member for subject in subjects for member in subject.members]
    if not members:
        return None
    notes = [*_apart(subjects), *_beside(subjects)]
    blocks = blocks_of(
        Grid(_parts_table(subjects), "What was ranked, part by part") if len(subjects) > 1 else None,
        Bullets(tuple(notes)) if notes else None,
        Grid(_runs_table(subjects), "Runs on this page"),
        Prose("Trials are numbered through, so that no two on this page are alike.", "muted"),
    )
    return Section("runs", "Runs on this page", blocks)


def _parts_table(subjects: Sequence[Subject]) -> Table:
    columns = (
        "Part", "Numbers are", "Hardware", "Baseline’s model", "Objective", "Best", "Interval", "Trial", "Gain", "Runs",
    )  # fmt: skip
    rows = tuple(Row(cells=_part_cells(number, one)) for number, one in enumerate(subjects, start=1))
    return Table(columns=columns, rows=rows, numeric=frozenset((0, 5, 6, 7, 8)))


def _part_cells(number: int, subject: Subject) -> tuple[str, ...]:
    answer, kind = subject.answer, kind_of(subject.contents)
    metric = answer.objective.metric
    return (
        str(number),
        subject.mark.text if subject.mark else "measured",
        kind.hardware,
        kind.model,
        metric_label(metric),
        show_metric(metric, answer.value),
        show_bounds(metric, answer.interval),
        str(answer.best.trial) if answer.best else MISSING,
        show_ratio(answer.gain.ratio) if answer.gain else MISSING,
        ", ".join(member.name for member in subject.members),
    )


def _runs_table(subjects: Sequence[Subject]) -> Table:
    parts = ("Part",) if len(subjects) > 1 else ()
    columns = (*parts, "Run", "Trials here", "Its own", "Completed", "Best by itself", "Started", "Engine", "vbench")
    rows = tuple(
        Row(cells=(*([str(number)] if parts else []), *_run_cells(member)))
        for number, subject in enumerate(subjects, start=1)
        for member in subject.members
    )
    return Table(columns=columns, rows=rows, numeric=frozenset(len(parts) + index for index in (1, 2, 3, 4)))


def _run_cells(member: Member) -> tuple[str, ...]:
    records, objective = member.contents.result.records, member.contents.objective
    top = best(records, objective)
    completed = sum(record.outcome is Outcome.COMPLETED for record in records)
    here = member.numbers
    return (
        member.name,
        _span(here.start, here.stop - 1) if here else MISSING,
        _span(here.start - member.add, here.stop - 1 - member.add) if here else MISSING,
        f"{completed} of {len(records)}",
        MISSING if top is None else show_metric(objective.metric, objective_value(top, objective)),
        str(member.contents.run.get("created_at") or MISSING)[:16].replace("T", " "),
        ", ".join(_engines(member)) or MISSING,
        str(member.contents.run.get("vbench_version") or MISSING),
    )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _apart(subjects: Sequence[Subject]) -> list[str]:
    """Why each part isn't ranked with the first; a part without a trial hasn't anything to be ranked."""
    first = kind_of(subjects[0].contents)
    found: list[str] = []
    for number, subject in enumerate(subjects[1:], start=2):
        own = kind_of(subject.contents)
        why = [_WORDS[name] + _both(name, own, first) for name in own.differences(first)]
        if why:
            found.append(f"Part {number} is ranked apart from part 1: {'; '.join(why)}.")
    return found


def _both(name: str, own: Kind, first: Kind) -> str:
    """What it is here and there, where that is a word of the reader's and no digest."""
    if name not in ("hardware", "model", "objective"):
        return ""
    here, there = (shorten(str(getattr(one, name)), _LONGEST) for one in (own, first))
    return f" ({here}, there {there})"


def _beside(subjects: Sequence[Subject]) -> list[str]:
    """What to know of trials of several runs in one ranking."""
    merged = [subject for subject in subjects if subject.is_merged]
    if not merged:
        return []
    notes = [_DIFFERENT_TIMES]
    for subject in merged:
        notes += _baseline_note(subject)
        notes += _differing(subject.members, "engines", _engines)
        notes += _differing(subject.members, "versions of vbench", lambda one: _fact(one, "vbench_version"))
        notes += _differing(subject.members, "drivers", _drivers)
        notes += _finals_note(subject)
        notes += _trust(subject.members)
    return notes


def _differing(members: Sequence[Member], what: str, read: Callable[[Member], Iterable[str]]) -> list[str]:
    by_run = {member.name: ", ".join(read(member)) for member in members}
    if len({text for text in by_run.values() if text}) < 2:
        return []
    told = "; ".join(f"{name}: {text or 'not recorded'}" for name, text in by_run.items())
    return [f"Different {what}, which is in the differences between runs: {told}."]


def _baseline_note(subject: Subject) -> list[str]:
    """Whose baseline the gain is over."""
    best, baseline = subject.answer.best, subject.answer.baseline
    runs = subject.runs or {}
    if best is None or baseline is None:
        return []
    if runs[best.trial] == runs[baseline.trial]:
        return [f"The gain is over the baseline of the best’s own run, {runs[best.trial]}; others’ stand as trials."]
    return [
        f"{runs[best.trial]}, which has the best, has no baseline: the gain is over that of {runs[baseline.trial]}, so "
        "that it includes what the machine did in between."
    ]


def _finals_note(subject: Subject) -> list[str]:
    """Finals decide among those that have them; runs without any can only win clearly."""
    without = [one.name for one in subject.members if not any(r.origin == "final" for r in one.contents.result.records)]
    if not without or len(without) == len(subject.members):
        return []
    return [
        f"{', '.join(without)} measured none of its best again: a trial of it is ranked above the others’ finalists "
        "only where it is clearly ahead of them."
    ]


def _trust(members: Sequence[Member]) -> list[str]:
    """What each run found of its own machine, which is left out of the sections of a merged page."""
    return [f"{one.name}: {line}" for one in members for line in trust_lines(one.contents.result.records)]


def _engines(member: Member) -> list[str]:
    records = member.contents.result.records
    return list(dict.fromkeys(f"{one.engine.name} {one.engine.version or ''}".strip() for one in records))


def _drivers(member: Member) -> list[str]:
    records = member.contents.result.records
    return list(dict.fromkeys(str(one.hardware["driver"]) for one in records if one.hardware.get("driver")))


def _fact(member: Member, name: str) -> list[str]:
    value = member.contents.run.get(name)
    return [str(value)] if value else []
