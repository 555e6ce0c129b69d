"""How near the peak, on the page: estimates are called that, and what isn't known isn't shown as 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record
from tests.report.section_builders import blocks_in, make_subject, plots_of, rows_of, words_of
from vbench.report import roofline_section as module
from vbench.report.blocks import Grid, Plot
from vbench.report.roofline_section import roofline_section

GIB = 1024**3
ESTIMATE: dict[str, Any] = {
    "verdict": "fits",
    "per_gpu": {"weights_bytes": 3 * GIB, "kv_bytes_per_token": 28_672},
    "work": {
        "num_parameters": 1_500_000_000, "layer_parameters": 1_300_000_000, "head_parameters": 200_000_000,
        "attention_widths": [[None, 43_008]],
    },
}  # fmt: skip
T4 = {"gpus": [{"name": "Tesla T4"}], "profile": "t4"}


def test_best_and_baseline_under_the_roof(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"estimate": ESTIMATE, "hardware": T4}
    records = [
        make_record(0, 100.0, origin="baseline", **fields),
        *(make_record(trial, 150.0 + trial, **fields) for trial in range(1, 5)),
    ]
    section = roofline_section(make_subject(tmp_path, records))
    plot = plots_of(section)["roofline"]
    # 1,000 tokens at 154 tok/s take 6.49 s: 4.3 TFLOP, and 3 GiB at least 100 times, which is 50 GB/s of 320.
    assert words_of(section).startswith("Trial 4 (best) did at least 1.0% of the FP16 rate of NVIDIA T4 and 15.6% of ")
    assert "neither limits it by itself" in words_of(section)
    best, baseline = rows_of(section, "Estimated work a second, of one GPU")
    assert best[:2] == ("4", "best")
    assert best[5:] == ("≥ 15.6%", "13.2", "neither")
    assert baseline[:2] == ("0", "baseline")
    assert "lower bounds" in plot.caption


def test_a_cpus_share_is_not_measured(tmp_path: Path) -> None:
    section = roofline_section(make_subject(tmp_path, [make_record(0, 100.0, origin="baseline", estimate=ESTIMATE)]))
    assert "no peak rate is known for a CPU" in words_of(section)
    (grid,) = (one for one in blocks_in(section, Grid) if one.caption.endswith("the whole processor"))
    # Columns of which nothing is known are left out: the words say so.
    assert grid.table.columns == ("Trial", "Which", "GFLOP/s", "GB/s read", "FLOP per byte")
    assert all(cell.startswith("≥ ") for cell in grid.table.rows[0].cells[2:4])
    assert grid.table.numeric == {0, 2, 3, 4}
    assert blocks_in(section, Plot) == []


def test_records_of_before_the_models_size_was_noted(tmp_path: Path) -> None:
    record = make_record(0, 100.0, estimate={**ESTIMATE, "work": None}, hardware=T4)
    section = roofline_section(make_subject(tmp_path, [record]))
    text = "Trial 0 (best) did at least 10.2% of the memory bandwidth of NVIDIA T4 (estimates). FLOPs aren't estimated"
    assert words_of(section).startswith(text)
    (row,) = rows_of(section, "Estimated work a second, of one GPU")
    assert row == ("0", "best", "≥ 32.5", "≥ 10.2%")
    assert blocks_in(section, Plot) == []


def test_more_than_the_card_can_do_is_called_out(tmp_path: Path) -> None:
    record = make_record(0, 5000.0, estimate=ESTIMATE, hardware=T4)
    assert "more than the data sheet allows" in words_of(roofline_section(make_subject(tmp_path, [record])))


@pytest.mark.parametrize(("count", "dots"), [(5, 5), (6, 1)])
def test_others_are_left_out_of_a_large_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, dots: int
) -> None:
    monkeypatch.setattr(module, "MOST_OTHERS", 5)
    records = [make_record(trial, 100.0 + trial, estimate=ESTIMATE, hardware=T4) for trial in range(count)]
    (plot,) = blocks_in(roofline_section(make_subject(tmp_path, records)), Plot)
    assert len(plot.draw.args[1]) == dots  # type: ignore[attr-defined]  # a partial, as every plot's is


def test_nothing_to_count_from(tmp_path: Path) -> None:
    assert roofline_section(make_subject(tmp_path / "a", [make_record(0)])) is None
    assert roofline_section(make_subject(tmp_path / "b", [])) is None
    fake = make_record(0, engine="fake", estimate=ESTIMATE, hardware=T4)
    assert roofline_section(make_subject(tmp_path / "c", [fake])) is None
