"""What stands on the report's page: its head, and the sections. Computed once, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.records.record import TrialRecord
from vbench.report.blocks import Section
from vbench.report.contents import RunContents
from vbench.report.marks import Mark
from vbench.report.sections import sections_of
from vbench.report.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is shown."""

    sweep: str
    run_id: str
    mark: Mark | None
    subtitle: tuple[str, ...]
    description: str
    sections: tuple[Section, ...]

    @property
    def is_fake(self) -> bool:
        """Whether its numbers come from a formula."""
        return self.mark is not None and self.mark.word == "fake"


def make_page(subject: Subject) -> Page:
    """Compute all that is shown."""
    return Page(
        sweep=subject.folder.sweep,
        run_id=subject.folder.run_id,
        mark=subject.mark,
        subtitle=_subtitle(subject.contents, subject.records),
        description=str(subject.contents.run.get("description") or ""),
        sections=sections_of(subject),
    )


def _subtitle(contents: RunContents, records: Sequence[TrialRecord]) -> tuple[str, ...]:
    models = dict.fromkeys(str(record.config.get("model", "")) for record in records)
    engines = dict.fromkeys(f"{record.engine.name} {record.engine.version or ''}".strip() for record in records)
    parts = [", ".join(name for name in models if name), ", ".join(engines)]
    started = str(contents.run.get("created_at", ""))[:16].replace("T", " ")
    parts += [f"{started} UTC" if started else "", str(contents.run.get("status", "")).replace("_", " ")]
    return tuple(part for part in parts if part)
