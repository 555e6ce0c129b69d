from __future__ import annotations

from typing import Any

from tests.analysis.factorial_builders import make_known
from tests.records.builders import make_failure, make_record
from tests.report.search_builders import make_search_records
from tests.report.subjects import make_subject
from vbench.analysis.coded import coded
from vbench.analysis.importance import importance
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.blocks import Bullets, Fold, Grid, Plot, Prose, Section, walk
from vbench.report.effect_panels import MAX_DOTS, MAX_LINKED, Panel, effect_panels
from vbench.report.parameters_section import parameters_section

SETTINGS: dict[str, list[Any]] = {"tp": [1, 2], "replicas": [1, 2], "dtype": ["a", "b"]}


def crossed(settings: dict[str, Any]) -> float:
    """Two of both is four times as slow; `dtype` matters by itself."""
    rate = 100.0 * (1.5 if settings["dtype"] == "a" else 1.0)
    return rate / 4 if (settings["tp"], settings["replicas"]) == (2, 2) else rate


def section_of(records: list[TrialRecord]) -> Section:
    section = parameters_section(make_subject(records))
    assert section is not None
    return section


def plots_of(section: Section) -> dict[str, Plot]:
    return {block.name: block for block in section.blocks if isinstance(block, Plot)}


def text_of(section: Section) -> str:
    return " ".join(
        block.text if isinstance(block, Prose) else " ".join(block.items)
        for block in section.blocks
        if isinstance(block, (Prose, Bullets))
    )


def test_importance_slices_and_pairs_are_shown_with_counts() -> None:
    section = section_of(make_known(60, SETTINGS, crossed))
    plots = plots_of(section)
    assert list(plots) == ["importance", "effects", "pairs"]
    assert plots["importance"].caption.startswith("From 60 completed trials. The settings, taken one by one, predict ")
    assert "corrected for 3 parameters" in plots["importance"].caption
    assert "Of how the trials differ in output throughput, " in text_of(section)
    assert "tp and replicas do more together than one by one: with tp=" in text_of(section)
    tables = {block.caption: block.table for block in walk(section.blocks) if isinstance(block, Grid)}
    shares = tables["Importance of the parameters"]
    assert [row.cells[0] for row in shares.rows][-1] == "dtype"
    values = tables["Parameter effects"]
    assert [row.cells[0] for row in values.rows if row.cells[0]] == [row.cells[0] for row in shares.rows]


def test_few_trials_say_so_instead() -> None:
    section = section_of(make_known(6, SETTINGS, crossed))
    assert list(plots_of(section)) == ["effects"]
    assert text_of(section) == "6 completed trials are too few to say how much each parameter matters: it takes 10."


def test_values_that_fail_are_named() -> None:
    records = []
    for trial in range(40):
        settings = {"tp": 1 + trial % 2}
        failure = make_failure("crashed") if trial % 4 == 1 else None
        outcome = Outcome.CRASHED if failure else Outcome.COMPLETED
        rate = None if failure else 100.0
        records.append(make_record(trial, rate, outcome=outcome, failure=failure, parameters=settings))
    assert "tp=2: 10 of 20 trials failed; of the 20 with another value none did." in text_of(section_of(records))


def test_nothing_set_is_no_section_and_nothing_measured_a_table() -> None:
    assert parameters_section(make_subject([make_record(0)])) is None
    assert parameters_section(make_subject([])) is None
    section = section_of([make_record(0, None, outcome=Outcome.CRASHED, parameters={"x": 1})])
    assert not plots_of(section)
    assert any(isinstance(block, Fold) for block in section.blocks)


def test_concurrency_that_was_never_varied_is_proposed() -> None:
    fixed = make_record(0, 100.0, parameters={"x": 1}, config={"max_num_seqs": 4})  # of 10 prompts
    assert "Add `max_num_seqs: [4, 8, 16]` to `parameters`" in text_of(section_of([fixed]))
    sent = make_record(0, 100.0, parameters={"x": 1}, config={"load": {"max_concurrency": 2}, "max_num_seqs": 4})
    assert "Add `load.max_concurrency: [2, 4, 8, 16]` to `parameters`" in text_of(section_of([sent]))
    every = make_record(0, 100.0, parameters={"x": 1}, config={"max_num_seqs": 10})
    varied = [make_record(one, 100.0, parameters={"max_num_seqs": 2 + one}) for one in range(2)]
    others = make_record(0, 100.0, parameters={"x": 1}, config={"max_num_seqs": 4}, engine="fake")
    for records in ([every], varied, [others], [make_record(0, 100.0, parameters={"x": 1})]):
        assert "Add `" not in text_of(section_of(records))


def panels_of(records: list[TrialRecord]) -> dict[str, Panel]:
    subject = make_subject(records)
    found = importance(coded(records, subject.answer.objective))
    return {panel.title: panel for panel in effect_panels(subject.effects, subject.answer, found).panels}


def test_columns_have_counts_medians_and_bounds() -> None:
    panel = panels_of(make_search_records())["max_num_seqs"]
    assert panel.labels[0] == "8\nn 4\n▽ 1"
    assert panel.labels[3] == "64\nn 1\n▽ 2\n× 1"
    assert panel.middles[0].median == 373.5  # of 210, 371, 376 and 391
    assert sorted(bound for _, bound in panel.bounds) == [240.0, 286.0, 331.0, 352.0]
    assert [dot.trial for dot in panel.dots if dot.is_best] == [9]


def test_many_numbers_get_an_axis_to_scale_with_medians_of_neighbours() -> None:
    records = [make_record(trial, 100.0 + trial, parameters={"n": 2**trial, "m": trial}) for trial in range(24)]
    panels = panels_of(records)
    assert panels["n"].labels == ()
    assert (panels["n"].is_log, panels["m"].is_log) == (True, False)
    assert len(panels["m"].middles) == 6
    assert (panels["m"].middles[0].start, panels["m"].middles[0].end) == (0, 3)
    assert panels["m"].middles[0].median == 101.5


def test_many_trials_stay_few_dots_with_the_best_among_them() -> None:
    records = make_known(3000, {"a": [1, 2], "b": ["x", "y"], "w": [f"w{one}" for one in range(40)]}, lambda _: 100.0)
    subject = make_subject(records)
    data = effect_panels(subject.effects, subject.answer, importance(coded(records, subject.answer.objective)))
    assert sum(len(panel.dots) for panel in data.panels) <= MAX_DOTS + len(data.panels)
    assert not data.is_linked
    assert MAX_LINKED < MAX_DOTS
    for panel in data.panels:
        assert sum(dot.is_best for dot in panel.dots) == 1 or panel.num_columns_left_out
        assert panel.num_left_out + len(panel.dots) <= 3000
    words = next(panel for panel in data.panels if panel.title == "w")
    assert (len(words.labels), words.num_columns_left_out) == (16, 24)


def test_a_table_of_many_values_has_the_frequent_ones_and_says_how_many_are_not_there() -> None:
    records = [make_record(trial, 100.0, parameters={"n": trial if trial < 60 else 59}) for trial in range(70)]
    section = section_of(records)
    (fold,) = [block for block in section.blocks if isinstance(block, Fold)]
    (grid,) = [block for block in fold.blocks if isinstance(block, Grid)]
    assert len(grid.table.rows) == 50
    assert grid.table.rows[-1].cells[1:3] == ("59", "11")
    assert [block.text for block in fold.blocks if isinstance(block, Prose)] == [
        "Values with fewer trials are left out: 10 of n."
    ]
