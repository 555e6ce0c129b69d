from __future__ import annotations

from typing import Any

from tests.analysis.test_concurrency import RATES, at
from tests.report.subjects import make_subject
from vbench.analysis.concurrency import load_studies
from vbench.records.record import TrialRecord
from vbench.report.blocks import Bullets, Grid, Plot, walk
from vbench.report.load_data import load_plot
from vbench.report.load_section import load_section


def said_in(records: list[TrialRecord]) -> tuple[str, ...]:
    section = load_section(make_subject(records))
    assert section is not None
    return next((block.items for block in section.blocks if isinstance(block, Bullets)), ())


def alike(rates: dict[int, float], **more: Any) -> list[TrialRecord]:
    return [at(trial, load, rate, **more) for trial, (load, rate) in enumerate(rates.items())]


def test_a_knee_is_said_with_what_comes_after() -> None:
    assert said_in(alike({**RATES, 16: 285.0})) == (
        "load.max_concurrency (with the best trial’s other settings): from 4 on at most 5% more is gained, up to 16; "
        "16 gives ×0.95 of it.",
        "load.max_concurrency: 16 gives ×2.85 of 1 in one pair of trials that are alike in every other setting.",
        "load.max_concurrency: 10 or more lets all prompts run at once, so that more brings nothing.",
    )


def test_what_still_rises_is_said_with_counts() -> None:
    records = [at(trial, load, 100.0 * load) for trial, load in enumerate((1, 2, 4, 4))]
    assert said_in(records)[0] == (
        "load.max_concurrency (with the best trial’s other settings): 4, the highest tried, gives ×2.00 of 2 (2 and 1 "
        "trial): more may give more."
    )


def test_the_best_of_unlike_trials_says_nothing() -> None:
    assert said_in([at(trial, load, 100.0 * load, q=trial) for trial, load in enumerate((1, 2, 4, 4))]) == ()


def test_pairs_of_alike_trials_are_compared_at_the_ends() -> None:
    records = [
        at(2 * pair + place, load, rate, name="replicas", q=pair)
        for pair, rates in enumerate(((100.0, 150.0), (100.0, 250.0), (100.0, 160.0)))
        for place, (load, rate) in enumerate(zip((1, 2), rates, strict=True))
    ]
    assert said_in(records) == (
        "replicas: 2 gives ×1.60 of 1 in the median of 3 pairs of trials that are alike in every other setting, from "
        "×1.50 to ×2.50.",
    )


def test_nothing_varied_is_no_section() -> None:
    assert load_section(make_subject([])) is None
    assert load_section(make_subject([at(0, 4, 100.0), at(1, 8, None)])) is None


def test_the_plot_has_a_panel_for_each_quantity_that_was_measured() -> None:
    records = alike(RATES, q=1)
    subject = make_subject(records)
    section = load_section(subject)
    assert section is not None
    (plot,) = [block for block in section.blocks if isinstance(block, Plot)]
    assert plot.name == "load"
    assert "Knee" in plot.caption
    data = load_plot(load_studies(records, subject.answer.objective, subject.answer.best), subject.answer)
    (row,) = data.rows  # no time per output token was measured
    assert [panel.knee for panel in row] == [4, None]
    speed = row[0]
    assert speed.is_log
    assert list(speed.ticks) == [1, 2, 4, 8]
    assert [dot.trial for dot in speed.dots if dot.is_best] == [3]
    (grid,) = [block for block in walk(section.blocks) if isinstance(block, Grid)]
    assert grid.table.rows[0].cells == (
        "1", "alike but for this, with the best trial", "1", "100 tok/s", "0.955 s", "–",
    )  # fmt: skip
