"""Many trials made few before they are drawn."""

from __future__ import annotations

from functools import partial

import pytest

from vbench.report import plots, plots_search
from vbench.report.history_section import history_plot
from vbench.report.plot_bins import COLUMNS, NUM_BINS, NUM_STEPS, ROWS, cells_of, thin_history, thin_memory, thin_pareto
from vbench.report.plot_data import MAX_INTERVALS, MAX_MARKS, Axis, History, ParetoPlot, ParetoPoint, TrialMark
from vbench.report.plots_render import render
from vbench.report.svg import clean, inline

AXIS = Axis(label="Output throughput", unit="tok/s")
MANY = MAX_MARKS * 4


def mark(trial: int, value: float | None, outcome: str = "completed", *, is_final: bool = False) -> TrialMark:
    return TrialMark(
        trial=trial, outcome=outcome, value=value, low=None, high=None, memory_gib=None if value is None else value / 7,
        is_ranked=value is not None, is_best=trial == 17, bound=50.0 if outcome == "pruned" else None,
        is_final=is_final,
    )  # fmt: skip


def history_of(number: int) -> History:
    """Of ten trials in a row the first ran out of memory, the second was stopped early, the others gave 100 to 107."""
    marks = [
        mark(trial, None, "out_of_memory") if trial % 10 == 0
        else mark(trial, None, "pruned") if trial % 10 == 1
        else mark(trial, 98.0 + trial % 10)
        for trial in range(number)
    ]  # fmt: skip
    marks.append(mark(number, 105.0, is_final=True))
    steps = tuple((trial, 100.0 + trial // 2) for trial in range(number))
    return History(
        axis=AXIS, marks=tuple(marks), incumbent=steps, baseline=100.0, is_more_better=True
    )  # fmt: skip


def svg_of(data: History) -> str:
    return str(inline(clean(render(partial(plots.draw_history, data)).svg, "history"), ""))


def test_few_trials_stay_as_they_are() -> None:
    data = history_of(MAX_MARKS - 1)
    assert thin_history(data) is data


def test_many_trials_are_binned_and_none_is_lost() -> None:
    data = thin_history(history_of(MANY))
    assert data.kinds == ("out_of_memory", "stopped_early")
    assert len(data.bins) <= NUM_BINS
    assert (data.bins[0].start, data.bins[-1].end, data.last_trial) == (0, MANY, MANY)
    assert all(before.end + 1 == after.start for before, after in zip(data.bins, data.bins[1:], strict=False))
    whole = data.bins[0]  # 41 trials: 0 to 40
    assert whole.shares == (5 / 41, 4 / 41)
    # 32 values, four of each: a tenth of the way along 0 to 31 is 3.1, between the last 100 and the first 101.
    assert (whole.low, whole.median, whole.high) == pytest.approx((100.1, 103.5, 106.9))
    assert len(data.incumbent) <= NUM_STEPS + 1
    assert data.incumbent[-1] == (MANY - 1, 100.0 + (MANY - 1) // 2)
    assert [one.trial for one in data.marks] == [17, MANY]  # the best, and the final


def test_bins_of_failures_alone_can_be_drawn() -> None:
    marks = tuple(mark(trial, None, "crashed") for trial in range(MAX_MARKS + 1))
    data = thin_history(History(axis=AXIS, marks=marks, incumbent=(), baseline=None))
    assert data.bins[0].median is None
    assert "crashed" in svg_of(data)


def test_many_trials_make_no_larger_a_plot() -> None:
    small, large = svg_of(thin_history(history_of(MAX_MARKS * 2))), svg_of(thin_history(history_of(MAX_MARKS * 40)))
    assert len(large) < 60_000
    assert len(large) < 1.3 * len(small)


def test_the_caption_says_that_trials_are_binned() -> None:
    assert "bins of 41" in history_plot(history_of(MANY)).caption
    assert "Each dot is a trial, its line the interval" in history_plot(history_of(50)).caption
    assert "interval" not in history_plot(history_of(MAX_INTERVALS + 1)).caption


def test_points_near_each_other_are_one_cell() -> None:
    width, height = 10.0 * COLUMNS, 10.0 * ROWS  # so that a cell is 10 wide and 10 high
    points = [(0.0, 0.0, False), (9.0, 4.0, True), (9.0, 14.0, False), (width, height, True)]
    assert [(cell.x, cell.y, cell.count, cell.has_ranked) for cell in cells_of(points)] == [
        (5.0, 5.0, 2, True),
        (5.0, 15.0, 1, False),
        (width - 5, height - 5, 1, True),
    ]
    assert [cell.count for cell in cells_of([(3.0, 3.0, True)] * 7)] == [7]  # all in one place
    assert cells_of([]) == ()
    crowd = [(float(n % 997), float(n % 991), True) for n in range(20_000)]
    assert len(cells_of(crowd)) <= COLUMNS * ROWS


def test_memory_of_many_trials_is_in_cells() -> None:
    data = thin_memory(history_of(MANY))
    assert sum(cell.count for cell in data.cells) == MANY * 8 // 10  # all that were measured, not the final
    assert [one.trial for one in data.marks] == [17]
    assert render(partial(plots.draw_memory, data)).png
    assert thin_memory(history_of(50)).cells == ()


@pytest.mark.parametrize("on_front", [5, MAX_MARKS])
def test_a_front_stays_whole_and_others_are_in_cells(on_front: int) -> None:
    points = tuple(
        ParetoPoint(trial=n, x=float(n), y=float(n if n < on_front else n % 9), is_on_front=n < on_front,
                    is_best=n == MANY - 1)
        for n in range(MANY)
    )  # fmt: skip
    plot = ParetoPlot(
        x_axis=AXIS, y_axis=AXIS, points=points, is_whole=True, is_less_x_better=True
    )  # fmt: skip
    data = thin_pareto(plot)
    assert sum(point.is_on_front for point in data.points) == min(on_front, 375)  # every fourth of 1,500
    assert data.points[-1].is_best
    assert sum(cell.count for cell in data.cells) == MANY - on_front - 1
    assert render(partial(plots_search.draw_pareto, data)).png


def test_few_points_of_a_front_say_what_they_are() -> None:
    point = ParetoPoint(trial=3, x=0.25, y=1234.0, is_on_front=True, is_best=True)
    second = Axis(label="p95 time to first token", unit="s")
    plot = ParetoPlot(x_axis=second, y_axis=AXIS, points=(point,), is_whole=True, is_less_x_better=True)
    assert thin_pareto(plot).points[0].tip == "trial 3: 1,234 tok/s, 0.25 s"
