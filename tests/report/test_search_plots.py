"""What early stops, finals, the random arm and several objectives look like in the plots."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.report.search_builders import MORE_OBJECTIVES, make_search_records, make_search_run
from vbench.analysis.answer import find_answer
from vbench.records.record import TrialRecord
from vbench.report import plots, plots_search
from vbench.report.contents import read_run
from vbench.report.pareto_section import pareto_section
from vbench.report.plot_data import history
from vbench.report.plot_theme import LIGHT
from vbench.report.plots_render import render
from vbench.report.search_section import search_section
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def test_the_plots_of_a_search_can_be_drawn(tmp_path: Path) -> None:
    run = make_search_run(tmp_path, more_objectives=MORE_OBJECTIVES)
    contents = read_run(run)
    search = search_section(contents.result.records, contents)
    assert search is not None
    assert search.course is not None
    pareto = pareto_section(contents.result.records, contents.objectives)
    assert pareto is not None
    assert pareto.plot is not None
    for draw in (partial(plots_search.draw_course, search.course), partial(plots_search.draw_pareto, pareto.plot)):
        assert render(draw).png


def labels_of(records: list[TrialRecord]) -> list[str]:
    figure = plots.draw_history(history(records, find_answer(records, FASTEST)), LIGHT)
    return [str(label) for label in figure.axes[0].get_legend_handles_labels()[1]]


def test_history_tells_stopped_repeated_and_random_trials_apart() -> None:
    records = make_search_records()
    assert {"stopped early", "measured again", "random arm", "ranked"} <= set(labels_of(records))
    data = history(records, find_answer(records, FASTEST))
    assert [mark.trial for mark in data.marks if mark.bound is not None] == [5, 7, 8, 11]
    assert [mark.trial for mark in data.marks if mark.is_final] == [13, 14, 15, 16]
    assert data.incumbent[-1][1] == pytest.approx(402.0)  # what was known during the search
    figure = plots.draw_history(data, LIGHT)
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["infeasible", "out of memory"]


def test_bounds_are_open_marks_that_point_to_the_worse_side() -> None:
    records = make_search_records()
    data = history(records, find_answer(records, FASTEST))
    panel = plots.draw_history(data, LIGHT).axes[0]
    marks = [one for one in panel.collections if one.get_label() == "stopped early"]
    drawn = sorted(float(y) for one in marks for y in np.asarray(one.get_offsets())[:, 1])
    assert drawn == [240.0, 286.0, 331.0, 352.0]
    assert all(np.asarray(one.get_facecolor()).size == 0 for one in marks)
