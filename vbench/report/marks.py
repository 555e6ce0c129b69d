"""The honest marks: numbers that aren't a plain measurement of the hardware that they are about say so wherever they
are shown, in the page, in every plot and in the names of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vbench.records.record import TrialRecord
from vbench.report.contents import RunContents
from vbench.report.text import EMULATED_MARK, FAKE_MARK, shorten


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
_SIMULATED = (
    "The numbers on this page were computed from a model of the hardware; nothing was run on it. They are estimates.",
)
_SIMULATED_ENGINE = "simulated"
_SIMULATED_MARK = "simulated: an estimate, not a measurement"
_PARTLY = "partly "
_EMULATED = ("Another machine stood in for this hardware: what fits shows, how fast it is doesn't.",)
_LONGEST_NAME = 60
_LONGEST = 500


def mark_of(contents: RunContents, *, is_fake: bool) -> Mark | None:
    """None where the numbers are measurements on the hardware that the run is about. Where several hold, the strongest
    gives the word, and all have their sentences."""
    emulated = _emulated(contents)
    more = emulated.sentences if emulated else ()
    if is_fake:
        return Mark(word="fake", text=FAKE_MARK, sentences=(*_FAKE, *more))
    if is_simulated(contents.result.records):
        return Mark(word=_SIMULATED_ENGINE, text=_SIMULATED_MARK, sentences=(*_SIMULATED, *more))
    return emulated


def is_simulated(records: Iterable[TrialRecord]) -> bool:
    """Whether any trial's numbers were computed instead of measured."""
    return any(_SIMULATED_ENGINE in (record.engine.name, record.config.get("engine")) for record in records)


def mark_of_page(marks: Sequence[Mark | None]) -> Mark | None:
    """What stands on a page of several parts: the mark of all of them; where they differ, that it holds for some."""
    found = [mark for mark in marks if mark is not None]
    texts = list(dict.fromkeys(mark.text for mark in found))
    words = list(dict.fromkeys(mark.word for mark in found))
    if not found:
        return None
    if len(found) == len(marks) and len(texts) == 1:
        return found[0]
    which = (f"Part {number}: {mark.text}." for number, mark in enumerate(marks, start=1) if mark is not None)
    is_whole = len(found) == len(marks)
    prefix = "" if is_whole else _PARTLY
    return Mark(word=(prefix + "+".join(words)).replace(" ", "-"), text=prefix + "; ".join(texts), sentences=(*which,))


def _emulated(contents: RunContents) -> Mark | None:
    target = contents.run.get("target")
    if not isinstance(target, dict) or not target.get("is_emulated"):
        return None
    notes = target.get("notes")
    sentences = tuple(shorten(str(note), _LONGEST) for note in notes) if isinstance(notes, list) and notes else ()
    profile = shorten(str(target.get("profile") or "card"), _LONGEST_NAME)
    return Mark(word="emulated", text=EMULATED_MARK.format(profile), sentences=sentences or _EMULATED)
