"""A page made by hand, with one of everything that can be clicked."""

from __future__ import annotations

from vbench.report.blocks import Calculator, Code, Fold, Grid, Heading, Prose, Section
from vbench.report.page import Page
from vbench.report.tables import Row, Table

COMMAND = 'vllm serve "org/model-1b" \\\n  --max-num-seqs 64  # <&> שלום'
RATES = Calculator(
    requests_per_s=2.5,
    output_tokens_per_s=250.0,
    startup_s=30.0,
    joules_per_token=None,
    prompts=1000,
    tasks=90,
    hours=9.0,
)
ROWS = (
    (0, "completed", "1,012 MiB", 1012.4, "8"),
    (1, "out of memory", "–", None, "16"),
    (2, "completed", "1.54 GiB", 1577.0, "auto"),
    (3, "stopped early", "1,012 MiB", 1011.9, "16"),
    (10, "completed", "900 MiB", 900.0, "8"),
)
"""Rounded and in several units, so that only the exact keys give the right order."""


def make_table() -> Table:
    rows = tuple(
        Row(
            cells=(str(trial), outcome, text, seqs),
            keys=(trial, None, key, float(seqs) if seqs.isdigit() else None),
            anchor=f"trial-{trial}",
        )
        for trial, outcome, text, key, seqs in ROWS
    )
    return Table(
        columns=("Trial", "Outcome", "Memory", "max_num_seqs"),
        rows=rows,
        numeric=frozenset((0, 2)),
        filters=frozenset((1, 3)),
        noun="trials",
    )


def make_page() -> Page:
    sections = (
        Section(
            "answer", "An answer", (Prose("Words."), Code(COMMAND, "sh", "Server", is_copied=True), RATES), "answer"
        ),
        Section("trials", "All trials", (Heading("Every one"), Grid(make_table(), "All trials", is_interactive=True))),
        Section("method", "Method", (Fold("Folded", (Prose("What was folded."),)),)),
    )
    return Page(sweep="demo", run_id="r", mark=None, subtitle=(), description="", sections=sections, plots=())
