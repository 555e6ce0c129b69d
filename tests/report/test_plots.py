"""One smoke test a plot: what it says is tested where it is computed (tests/analysis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import pytest

from tests.records.builders import make_record, make_sweep_records
from vbench.analysis.answer import find_answer
from vbench.analysis.effects import effects
from vbench.analysis.timing import time_split
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report import plots, plots_effects
from vbench.report.plot_data import History, history
from vbench.report.plot_theme import LIGHT, Theme
from vbench.report.text import FAKE_MARK
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
SMALLEST = Objective(metric="peak_memory_bytes", direction="minimize")
HOSTILE = "$\\frac{1}{0}$ <script> 🚀 שלום \x00\n" + "x" * 300


def data_of(records: Sequence[TrialRecord], objective: Objective = FASTEST) -> History:
    return history(records, find_answer(records, objective))


def check(draw: Callable[[Theme], Any]) -> None:
    before = dict(mpl.rcParams)
    picture = plots.render(draw)
    assert picture.png.startswith(b"\x89PNG")
    assert b"<svg" in picture.light_svg
    assert picture.light_svg != picture.dark_svg
    assert picture == plots.render(draw)  # the same data gives the same bytes
    assert dict(mpl.rcParams) == before


def test_history() -> None:
    check(partial(plots.draw_history, data_of(make_sweep_records())))


def test_effects() -> None:
    records = make_sweep_records(engine="fake")
    check(partial(plots_effects.draw_effects, effects(records, FASTEST), data_of(records), 1.0))


def test_memory() -> None:
    check(partial(plots.draw_memory, data_of(make_sweep_records())))


def test_time() -> None:
    check(partial(plots.draw_time, [time_split(record) for record in make_sweep_records()], False))


@pytest.mark.parametrize("objective", [FASTEST, SMALLEST])
def test_one_trial_and_hostile_names_can_be_drawn(objective: Objective) -> None:
    records = [make_record(0, 100.0, parameters={HOSTILE: HOSTILE, "empty": "", "n": 1})]
    data = data_of(records, objective)
    for draw in (
        partial(plots.draw_history, data),
        partial(plots_effects.draw_effects, effects(records, objective), data, 1.0),
        partial(plots.draw_memory, data),
        partial(plots.draw_time, [time_split(records[0])], True),
    ):
        assert plots.render(draw).png


def test_only_failures_can_be_drawn() -> None:
    records = [make_record(trial, None, outcome=outcome) for trial, outcome in enumerate(Outcome)]
    assert plots.render(partial(plots.draw_history, data_of(records))).png


def test_many_values_many_parameters_and_wide_ranges_can_be_drawn() -> None:
    records = [
        make_record(
            trial, 100.0 + trial, parameters={**{f"p{i}": trial for i in range(14)}, "c": f"v{trial}", "w": 4**trial}
        )
        for trial in range(9)
    ]
    found = effects(records, FASTEST)
    assert plots.render(partial(plots_effects.draw_effects, found[-12:], data_of(records), 1.0)).png
    assert plots.render(partial(plots_effects.draw_effects, found, data_of(records), 1.0)).png


def test_the_fake_engine_is_marked_in_every_plot() -> None:
    records = make_sweep_records(6, engine="fake")
    data = data_of(records)
    figures = [
        plots.draw_history(data, LIGHT),
        plots_effects.draw_effects(effects(records, FASTEST), data, 1.0, LIGHT),
        plots.draw_memory(data, LIGHT),
        plots.draw_time([time_split(record) for record in records], True, LIGHT),
    ]
    for figure in figures:
        titles = [axes.get_title(loc="right") for axes in figure.axes] + [figure.get_suptitle()]
        assert FAKE_MARK in titles


def test_the_data_of_a_history_is_in_trial_order_and_units() -> None:
    data = data_of([make_record(1, [200.0, 300.0], peak_mib=2048), make_record(0, None, outcome=Outcome.CRASHED)])
    assert [(mark.trial, mark.value, mark.low, mark.high) for mark in data.marks] == [
        (0, None, None, None),
        (1, 250.0, 200.0, 300.0),
    ]
    assert data.marks[1].memory_gib == 2.0  # 2048 MiB
    assert data.marks[1].is_best
    assert data.incumbent == ((1, 250.0),)
    smallest = data_of([make_record(0, peak_mib=512)], SMALLEST)
    assert smallest.marks[0].value == 0.5  # bytes are drawn in GiB
    assert smallest.axis.title() == "Peak memory (GiB)"
