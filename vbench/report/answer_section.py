"""The top of the page: the best setting, what it is worth, and what to paste."""

from __future__ import annotations

from vbench.report import recipes, tables
from vbench.report.blocks import Block, Code, Facts, Fold, Grid, Heading, Prose, Section, blocks_of
from vbench.report.gpu_tables import doubts_of_best
from vbench.report.subject import Subject
from vbench.report.summary import summary_facts, summary_headline, summary_notes


def answer_section(subject: Subject) -> Section:
    """Always there, whatever became of the run."""
    answer, records = subject.answer, subject.records
    notes = (*summary_notes(answer, records), *doubts_of_best(records, answer))
    facts = summary_facts(answer, records)
    blocks = blocks_of(
        Facts(facts, has_lead=answer.best is not None) if facts else None,
        [Prose(note, "aside") for note in notes],
        _settings(subject),
        _recipes(subject),
    )
    return Section("answer", summary_headline(answer), blocks, tone="answer")


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


def _recipes(subject: Subject) -> list[Block]:
    best, folder = subject.answer.best, subject.folder
    if best is None:
        return []
    heading = f"# Trial {best.trial} of {folder.sweep}/{folder.run_id}\n".replace("\n", " ").strip() + "\n"
    ways = (
        ("Server", "sh", recipes.as_serve(best.config)),
        ("Python", "python", recipes.as_python(best.config)),
        ("Sweep file", "yaml", heading + recipes.as_yaml(best.config)),
    )
    folds = [
        Fold(label, (Code(text, language, label, is_copied=True),), is_open=index == 0)
        for index, (label, language, text) in enumerate(ways)
    ]
    return [Heading("How to run it"), *folds]
