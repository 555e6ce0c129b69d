"""What stands on the report's page: its head, and the sections. Computed once, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vbench.records.runs import RunFolder
from vbench.report.blocks import Block, Fold, Grid, Plot, Prose, Section, Side, Sides, plots_in
from vbench.report.marks import Mark, mark_of_page
from vbench.report.provenance import machine_of
from vbench.report.runs_section import runs_section
from vbench.report.sections import Elsewhere, each_section
from vbench.report.subject import Subject
from vbench.report.text import shorten

_LONGEST_NAME = 120
_LONGEST_TEXT = 2_000
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is shown."""

    sweep: str
    run_id: str
    mark: Mark | None
    subtitle: tuple[str, ...]
    description: str
    sections: tuple[Section, ...]
    plots: tuple[tuple[Mark | None, tuple[Plot, ...]], ...]
    """All that are in `sections`, with the mark that each is to bear."""


def make_page(
    *subjects: Subject,
    on_plots: Callable[[Sequence[Plot], Mark | None], None] = lambda _, __: None,
    elsewhere: Elsewhere | None = None,
) -> Page:
    """Compute all that is shown: of one subject, or of several as parts of a page, in this order. `on_plots` hears of
    plots, and of their mark, as soon as they are known. `elsewhere`: where some sections are computed meanwhile."""
    are_parts = len(subjects) > 1
    sections: list[tuple[Section, ...]] = []
    for number, subject in enumerate(subjects, 1):
        own: dict[int, Section] = {}
        for place, section in each_section(subject, elsewhere):
            own[place] = _in_part(section, number) if are_parts else section
            on_plots(plots_in([own[place]]), subject.mark)
        in_order = [own[place] for place in sorted(own)]
        sections.append((_head_of_part(number, subject), *in_order) if are_parts else tuple(in_order))
    runs = runs_section(subjects)
    shown = [section for part in sections for section in part]
    if runs is not None:
        shown.insert(0 if len(subjects) > 1 else 1, runs)  # the answer is first, where there is one
    descriptions = dict.fromkeys(str(one.contents.run.get("description") or "") for one in subjects)
    return Page(
        sweep=_names(one.sweep for one in _folders(subjects)),
        run_id=_names(one.run_id for one in _folders(subjects)),
        mark=mark_of_page([subject.mark for subject in subjects]),
        subtitle=_subtitle(subjects),
        description=shorten(next(iter(descriptions)), _LONGEST_TEXT) if len(descriptions) == 1 else "",
        sections=tuple(shown),
        plots=tuple((one.mark, tuple(plots_in(part))) for one, part in zip(subjects, sections, strict=True)),
    )


def _folders(subjects: Sequence[Subject]) -> list[RunFolder]:
    return [one for subject in subjects for one in ([m.folder for m in subject.members] or [subject.folder])]


def _names(names: Iterable[str]) -> str:
    return shorten(" + ".join(dict.fromkeys(names)), _LONGEST_NAME)


def _head_of_part(number: int, subject: Subject) -> Section:
    names = ", ".join(member.name for member in subject.members)
    text = f"{subject.mark.text}. {' '.join(subject.mark.sentences)}" if subject.mark else ""
    return Section(
        f"part-{number}",
        f"Part {number}: {shorten(names, _LONGEST_NAME)}",
        ((Prose(text, "warning"),) if text else ()) + (Prose(" · ".join(_subtitle([subject])), "muted"),),
    )


def _in_part(section: Section, number: int) -> Section:
    """A part's section; its anchors and plots are named so that no two on the page are alike."""
    return replace(
        section,
        name=f"part-{number}-{section.name}",
        title=f"Part {number} · {section.title}",
        blocks=tuple(_named(block, number) for block in section.blocks),
    )


def _named(block: Block, number: int) -> Block:
    if isinstance(block, Plot):
        return replace(block, name=f"part-{number}-{block.name}")
    if isinstance(block, Grid):
        rows = (replace(row, anchor=row.anchor and f"part-{number}-{row.anchor}") for row in block.table.rows)
        return replace(block, table=replace(block.table, rows=tuple(rows)))
    if isinstance(block, Fold):
        return replace(block, blocks=tuple(_named(one, number) for one in block.blocks))
    if isinstance(block, Sides):
        sides = (Side(one.title, tuple(_named(inner, number) for inner in one.blocks)) for one in block.sides)
        return Sides(tuple(sides))
    return block


def _subtitle(subjects: Sequence[Subject]) -> tuple[str, ...]:
    records = [record for subject in subjects for record in subject.records]
    models = dict.fromkeys(str(record.config.get("model", "")) for record in records)
    engines = dict.fromkeys(f"{record.engine.name} {record.engine.version or ''}".strip() for record in records)
    parts = [_listed(name for name in models if name), _listed(_machines(subjects)), _listed(engines)]
    parts.append(f"{len(records):,} trial{'s' if len(records) > 1 else ''}" if records else "")
    runs = [m.contents.run for subject in subjects for m in subject.members] or [one.contents.run for one in subjects]
    times = sorted({str(run["created_at"])[:16].replace("T", " ") for run in runs if run.get("created_at")})
    parts.append(f"{' to '.join(dict.fromkeys((times[0], times[-1])))} UTC" if times else "")
    parts.append(_listed(dict.fromkeys(str(run.get("status", "")).replace("_", " ") for run in runs)))
    return tuple(part for part in parts if part)


def _machines(subjects: Sequence[Subject]) -> Iterable[str]:
    """That of each subject's best trial; of its last where there is no best."""
    shown = [(subject, subject.answer.best or subject.records[-1]) for subject in subjects if subject.records]
    names = (machine_of(record, subject.contents) for subject, record in shown)
    return dict.fromkeys(name for name in names if name)


def _listed(names: Iterable[str]) -> str:
    """Names beside each other: as many, and as much of each, as a line can bear."""
    shown = [shorten(name, _LONGEST_NAME) for name in names]
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return ", ".join(shown[:_MOST_NAMES]) + more
