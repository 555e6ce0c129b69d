"""One smoke test a plot: what it says is tested where it is computed (tests/analysis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from tests.records.builders import make_record, make_sweep_records
from vbench.analysis.answer import find_answer
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report import plots
from vbench.report.plot_data import MAX_INTERVALS, History, history
from vbench.report.plot_parts import safe
from vbench.report.plot_theme import Theme
from vbench.report.plots_render import render
from vbench.report.svg import clean, inline
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
SMALLEST = Objective(metric="peak_memory_bytes", direction="minimize")
HOSTILE = "$\\frac{1}{0}$ <script> 🚀 שלום \x00\n" + "x" * 300


def data_of(records: Sequence[TrialRecord], objective: Objective = FASTEST) -> History:
    return history(records, find_answer(records, objective))


def check(draw: Callable[[Theme], Any]) -> None:
    before = dict(mpl.rcParams)
    picture = render(draw)
    assert picture.png.startswith(b"\x89PNG")
    assert b"<svg" in picture.svg
    assert picture == render(draw)  # the same data gives the same bytes
    assert dict(mpl.rcParams) == before


def test_history() -> None:
    check(partial(plots.draw_history, data_of(make_sweep_records())))


def test_memory() -> None:
    check(partial(plots.draw_memory, data_of(make_sweep_records())))


@pytest.mark.parametrize("objective", [FASTEST, SMALLEST])
def test_one_trial_and_hostile_names_can_be_drawn(objective: Objective) -> None:
    records = [make_record(0, 100.0, parameters={HOSTILE: HOSTILE, "empty": "", "n": 1})]
    data = data_of(records, objective)
    for draw in (
        partial(plots.draw_history, data),
        partial(plots.draw_memory, data),
    ):
        assert render(draw).png


def test_only_failures_can_be_drawn() -> None:
    records = [make_record(trial, None, outcome=outcome) for trial, outcome in enumerate(Outcome)]
    assert render(partial(plots.draw_history, data_of(records))).png


def test_marks_lead_to_their_rows_and_say_what_they_are() -> None:
    records = make_sweep_records(6)
    data = data_of(records)
    svg = str(inline(clean(render(partial(plots.draw_history, data)).svg, "history"), ""))
    links = {link.get("href"): link for link in ElementTree.fromstring(svg).iter("a")}
    assert set(links) == {f"#trial-{record.trial}" for record in records}
    best = next(mark for mark in data.marks if mark.is_best)
    assert links[f"#trial-{best.trial}"][0].text == best.tip
    assert best.tip.startswith(f"trial {best.trial}: ")
    assert "tok/s" in best.tip


def test_a_tip_is_bounded_and_holds_foreign_text_as_text() -> None:
    data = data_of([make_record(0, 100.0, parameters={HOSTILE: HOSTILE})])
    assert len(data.marks[0].tip) <= 160
    svg = str(inline(clean(render(partial(plots.draw_history, data)).svg, "history"), ""))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_of_very_many_trials_only_those_that_matter_have_an_interval() -> None:
    few = [make_record(trial, [100.0, 110.0 + trial]) for trial in range(3)]
    assert all(mark.low is not None for mark in data_of(few).marks)
    many = [make_record(trial, [100.0, 110.0 + trial % 7]) for trial in range(MAX_INTERVALS)]
    best = make_record(MAX_INTERVALS, [300.0, 310.0])
    data = data_of([*many, best])
    assert [(mark.trial, mark.low, mark.high) for mark in data.marks if mark.low is not None] == [
        (MAX_INTERVALS, 300.0, 310.0)
    ]
    assert data.marks[0].tip == "trial 0: 105 tok/s"  # without its settings


def test_labels_keep_what_the_font_lacks() -> None:
    assert safe("שלום 🚀 a\nb\x00") == "שלום 🚀 a b\ufffd"


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
