"""The honest marks: numbers that aren't a plain measurement of the hardware that they are about say so wherever they
are shown, in the page, in every plot and in the names of files."""

from __future__ import annotations

from dataclasses import dataclass

from vbench.report.contents import RunContents
from vbench.report.text import FAKE_MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """`word` goes into file names (`report-emulated.html`), `text` onto plots and titles."""

    word: str
    text: str
    sentences: tuple[str, ...]
    """For the banner: what stood in for what, and what that can't show."""


_FAKE = (
    "The numbers on this page come from a formula; they try out vbench and say nothing about any model or machine.",
)


def mark_of(contents: RunContents, *, is_fake: bool) -> Mark | None:
    """None where the numbers are measurements on the hardware that the run is about."""
    if is_fake:
        return Mark(word="fake", text=FAKE_MARK, sentences=_FAKE)
    target = contents.run.get("target")
    if not isinstance(target, dict) or not target.get("is_emulated"):
        return None
    notes = target.get("notes")
    sentences = tuple(str(note) for note in notes) if isinstance(notes, list) and notes else ("emulated hardware",)
    profile = str(target.get("profile") or "card")
    return Mark(word="emulated", text=f"emulated {profile}: memory, not speed", sentences=sentences)
