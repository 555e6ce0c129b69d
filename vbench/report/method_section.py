"""How everything was measured: formulas, prompts, machine, run, sweep file."""

from __future__ import annotations

from vbench.report import tables
from vbench.report.blocks import Block, Code, Fold, Grid, Prose, Section
from vbench.report.subject import Subject

_DEFINITIONS = (
    "Passes are the samples; a warm-up pass counts in nothing. Definitions are those of vllm bench serve. Intervals "
    "tell the spread between passes of one engine start, not between starts."
)
_ELSEWHERE = ("objective", "parameters", "name")


def method_section(subject: Subject) -> Section:
    """Always there."""
    contents = subject.contents
    run = {key: value for key, value in contents.run.items() if key not in _ELSEWHERE}
    formulas = (Grid(tables.metrics_table(), "Metrics and their formulas", "prose"), Prose(_DEFINITIONS, "muted"))
    prompts = tables.prompt_sets_table(subject.records)
    folds = (
        Fold("How each number is computed", formulas),
        _fold("Prompt set", prompts, "", "Not recorded: no trial has run."),
        _fold("Machine and versions", tables.facts_table(contents.machine)),
        _fold("Run", tables.facts_table(run)),
        Fold(
            "Sweep file",
            (Code(contents.sweep_yaml, "yaml") if contents.sweep_yaml else Prose("Not recorded.", "muted"),),
        ),
    )
    return Section("method", "How this was measured", folds)


def _fold(title: str, table: tables.Table, style: str = "prose", missing: str = "Not recorded.") -> Fold:
    block: Block = Grid(table, title, style) if table.rows else Prose(missing, "muted")
    return Fold(title, (block,))
