"""The top of the page: the best setting, what it is worth and costs, what to paste, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.analysis.foreign_code import note_of_records
from vbench.analysis.ranking import objective_value
from vbench.report import tables
from vbench.report.advice import advice_on
from vbench.report.answer_sides import choice_blocks, headroom_fact, settings_in_words
from vbench.report.blocks import Block, Bullets, Fact, Facts, Fold, Grid, Heading, Prose, Section, blocks_of
from vbench.report.costs import costs_in_words, costs_table
from vbench.report.gpu_tables import doubts_of_best
from vbench.report.subject import Subject
from vbench.report.summary import summary_facts, summary_headline, summary_notes
from vbench.report.text import show_metric, show_ratio
from vbench.report.trust_section import doubts_of_machine
from vbench.report.units_of_use import blocks_of_use


def answer_section(subject: Subject) -> Section:
    """Always there, whatever became of the run."""
    answer, records = subject.answer, subject.records
    notes = (*summary_notes(answer, records), *doubts_of_best(records, answer), *_doubts_of_machine(subject))
    foreign = note_of_records(subject.records)
    notes += () if foreign is None else (f"{foreign[0].upper()}{foreign[1:]}.",)
    found, took = _facts(subject)
    words, advice = _in_words(subject), advice_on(subject)
    blocks = blocks_of(
        Prose(words) if words else None,
        Facts(found, has_lead=True) if found else Facts(took) if took else None,
        [Prose(note, "aside") for note in notes],
        choice_blocks(subject),
        [] if answer.best is None else [Heading("For your prompts"), *blocks_of_use(answer.best, subject.wishes)],
        _costs(subject),
        _settings(subject),
        _sentences("Why this one", advice.why),
        _sentences("What to try next", advice.next),
        [Heading("What it took to find"), Facts(took)] if found else None,
    )
    return Section("answer", summary_headline(answer), blocks, tone="answer")


def _facts(subject: Subject) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """The answer's numbers, none where there is no answer; and what it took."""
    facts = summary_facts(subject.answer, subject.records, subject.splits)
    best = subject.answer.best
    if best is None:
        return (), facts
    return (*facts[:-2], headroom_fact(subject, best)), facts[-2:]


def _doubts_of_machine(subject: Subject) -> tuple[str, ...]:
    """Of one run: between runs it isn't known."""
    if subject.answer.best is None or subject.is_merged:
        return ()
    return doubts_of_machine(subject.records, subject.answer.best)


def _in_words(subject: Subject) -> str:
    """`With max_num_seqs 16 and …: 718 tok/s, ×1.20 the baseline's 598 tok/s.`"""
    answer = subject.answer
    if answer.best is None:
        return ""
    # Without what a parameter was set to that the baseline has as well, be it by the engine's default.
    names = {one.name for one in answer.differences} or None
    settings = settings_in_words(answer.best, names) or "the sweep’s own settings"
    value = show_metric(answer.objective.metric, answer.value)
    said = f"With {settings}: {value}"
    if answer.gain is None or answer.baseline is None:
        return f"{said}."
    base = show_metric(answer.objective.metric, objective_value(answer.baseline, answer.objective))
    doubt = "" if answer.gain.is_clear else ", which these passes don’t tell apart from no gain"
    return f"{said}, {show_ratio(answer.gain.ratio)} against the baseline’s {base}{doubt}."


def _costs(subject: Subject) -> list[Block]:
    answer = subject.answer
    if answer.best is None:
        return []
    words = costs_in_words(answer.best, answer.baseline)
    table = costs_table(answer.best, answer.baseline, subject.contents)
    said = [Prose(words)] if words else []
    return [
        Heading("What it costs"),
        *said,
        Fold("Best and baseline beside each other", (Grid(table, "What the best setting costs", "settings"),)),
    ]


def _settings(subject: Subject) -> list[Block]:
    answer = subject.answer
    if answer.best is None:
        return []
    if answer.baseline is not None and answer.differences:
        table = tables.differences_table(answer)
        return [Heading("What it changes"), Grid(table, "Settings that differ from the baseline", "settings")]
    if not answer.best.parameters:
        return []
    table = tables.parameters_table(answer.best.parameters)
    return [Heading("Its settings"), Grid(table, "Parameters of the best trial", "settings")]


def _sentences(title: str, sentences: Sequence[str]) -> list[Block]:
    return [Heading(title), Bullets(tuple(sentences))] if sentences else []
