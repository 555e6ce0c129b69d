from __future__ import annotations

from tests.records.builders import make_record
from tests.report.search_builders import make_search_records
from tests.report.subjects import make_subject
from vbench.records.record import TrialRecord
from vbench.report.blocks import Fold, Grid, Plot, Prose, walk
from vbench.report.fronts_blocks import MAX_ROWS, fronts_blocks
from vbench.report.fronts_data import MAX_DOTS, MAX_LINKED, fronts_plot
from vbench.report.pareto_section import front_section

CARD = {"profile": "t4", "limit_bytes": 4000 * 1024**2, "is_emulated": True}


def make_three() -> list[TrialRecord]:
    return [
        make_record(0, 100.0, peak_mib=1000, parameters={"x": 1, "same": 5}),
        make_record(1, 200.0, peak_mib=2000, parameters={"x": 2, "same": 5}),
        make_record(2, 150.0, peak_mib=2500, parameters={"x": 3, "same": 5}),
    ]


def test_one_objective_has_fronts_with_what_it_costs() -> None:
    section = front_section(make_subject(make_three(), target=CARD))
    assert section is not None
    (plot,) = [block for block in section.blocks if isinstance(block, Plot)]
    assert plot.name == "fronts"
    assert "On the front of Memory headroom: trials 1, 0." in plot.alt
    (grid,) = [block for block in section.blocks if isinstance(block, Grid)]
    assert grid.table.columns == (
        "Trial", "Output throughput", "Headroom", "p95 E2E", "On the front of", "x",
    )  # fmt: skip
    assert [row.cells for row in grid.table.rows] == [
        ("1", "200 tok/s", "1.95 GiB", "5 s", "headroom, E2E", "2"),
        ("0", "100 tok/s", "2.93 GiB", "10 s", "headroom", "1"),
    ]
    assert [row.mark for row in grid.table.rows] == ["best", ""]
    said = [block.text for block in section.blocks if isinstance(block, Prose)]
    assert said == ["The best trial is also the best in p95 end-to-end latency."]


def test_nothing_to_give_up_is_no_section() -> None:
    assert front_section(make_subject([make_record(0)])) is None
    assert front_section(make_subject([])) is None


def test_a_long_front_is_folded_and_cut_and_says_how_much() -> None:
    records = [make_record(trial, 100.0 + trial, peak_mib=1000 + trial) for trial in range(MAX_ROWS + 11)]
    blocks = fronts_blocks(make_subject(records, target=CARD))
    (fold,) = [block for block in blocks if isinstance(block, Fold)]
    (grid,) = [block for block in walk(fold.blocks) if isinstance(block, Grid)]
    assert len(grid.table.rows) == MAX_ROWS
    assert [block.text for block in blocks if isinstance(block, Prose)][-1] == "11 more trials are on a front."


def test_the_plot_of_many_trials_stays_small() -> None:
    from vbench.analysis.fronts import fronts

    records = [make_record(trial, 100.0 + trial % 700, peak_mib=1000 + trial % 900) for trial in range(3000)]
    subject = make_subject(records, target=CARD)
    data = fronts_plot(fronts(records, subject.answer.objective, subject.contents), subject.answer)
    drawn = sum(len(panel.front) + len(panel.beaten) for panel in data.panels)
    assert MAX_LINKED < drawn <= MAX_DOTS + 2 * len(data.panels)
    assert not data.is_linked
    assert drawn + data.num_left_out == 3000 * len(data.panels)
    assert all(sum(dot.is_best for dot in (*panel.front, *panel.beaten)) == 1 for panel in data.panels)


def test_the_answer_that_was_found_already_is_used() -> None:
    subject = make_subject(make_search_records())
    section = front_section(subject)
    assert section is not None
    assert "answer" in vars(subject)
