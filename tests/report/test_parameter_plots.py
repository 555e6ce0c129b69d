"""What the plots of parameters, loads and fronts look like, as far as it is their own decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.analysis.factorial_builders import make_known
from tests.records.builders import make_record
from tests.report.search_builders import make_search_records
from tests.report.subjects import make_subject
from vbench.records.record import TrialRecord
from vbench.report import plots_render, svg
from vbench.report.blocks import Plot, Section, walk
from vbench.report.load_section import load_section
from vbench.report.parameters_section import parameters_section
from vbench.report.pareto_section import front_section
from vbench.report.plot_theme import LIGHT, Theme
from vbench.report.subject import Subject

HOSTILE = "$\\frac{1}{0}$ <script> 🚀 שלום \x00\n" + "x" * 300
Make = Callable[[Subject], Section | None]


def draws_of(make: Make, records: list[TrialRecord]) -> dict[str, Callable[[Theme], Figure]]:
    section = make(make_subject(records))
    return {} if section is None else {one.name: one.draw for one in walk(section.blocks) if isinstance(one, Plot)}


def inline_of(draw: Callable[[Theme], Figure]) -> str:
    return str(svg.inline(svg.clean(plots_render.render(draw).svg, "plot"), "what it shows"))


def test_bounds_are_open_marks_that_point_to_the_worse_side() -> None:
    figure = draws_of(parameters_section, make_search_records())["effects"](LIGHT)
    marks = [one for one in figure.axes[0].collections if one.get_label() == "stopped early"]
    drawn = sorted(float(y) for one in marks for y in np.asarray(one.get_offsets())[:, 1])
    assert drawn == [240.0, 286.0, 331.0, 352.0]
    assert all(np.asarray(one.get_facecolor()).size == 0 for one in marks)


def test_dots_lead_to_their_trials() -> None:
    records = [
        make_record(one, 100.0 + one, peak_mib=1000 + one, parameters={"max_num_seqs": 1 + one % 3})
        for one in range(12)
    ]
    for make, name in ((parameters_section, "effects"), (load_section, "load"), (front_section, "fronts")):
        page = inline_of(draws_of(make, records)[name])
        assert 'href="#trial-7"' in page
        assert "<title>trial 7: " in page


def test_cells_are_shaded_named_and_hatched_where_nothing_was_tried() -> None:
    records = make_known(40, {"a": [1, 2], "b": ["x", "y"]}, lambda s: 100.0 * s["a"])
    kept = [one for one in records if one.parameters != {"a": 2, "b": "y"}]
    figure = draws_of(parameters_section, kept)["pairs"](LIGHT)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["x", "y"]
    written = [text.get_text() for text in axes.texts]
    assert len(written) == 3
    assert all("\nn " in one for one in written)
    assert sum(patch.get_hatch() is not None for patch in axes.patches) == 1


@pytest.mark.parametrize("count", [1, 14])
def test_hostile_names_and_values_can_be_drawn(count: int) -> None:
    records = [
        make_record(
            trial,
            100.0 + trial % 2 + 0.01 * trial,
            peak_mib=1000 + trial,
            parameters={
                HOSTILE: f"{trial % 2}{HOSTILE}",
                "empty": "",
                "max_num_seqs": 2 ** (trial % 4),
                "n": trial % 3,
            },
        )
        for trial in range(count)
    ]
    found: dict[str, Any] = {}
    for make in (parameters_section, load_section, front_section):
        found |= draws_of(make, records)
    assert found.keys() >= ({"effects"} if count == 1 else {"effects", "importance", "pairs", "load", "fronts"})
    for draw in found.values():
        assert "<script" not in inline_of(draw)


def test_many_values_many_parameters_and_wide_ranges_can_be_drawn() -> None:
    records = [
        make_record(
            trial, 100.0 + trial, parameters={**{f"p{i}": trial for i in range(14)}, "c": f"v{trial}", "w": 4**trial}
        )
        for trial in range(9)
    ]
    assert plots_render.render(draws_of(parameters_section, records)["effects"]).png
