"""The section on GPUs: on the page, in Markdown and in a terminal. The figures are tested in tests/analysis."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from tests.analysis.gpu_builders import make_gpu_record
from tests.records.builders import MIB, make_failure, make_record, make_run
from tests.report.subjects import make_subject
from vbench.analysis.answer import find_answer
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.blocks import Fold
from vbench.report.build import build_report
from vbench.report.gpu_tables import MAX_TRIALS, gpu_lines, gpu_section, gpus_section
from vbench.report.terminal import summary_panel
from vbench.report.trial_details import trial_details
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
HOSTILE = "<script>alert('x')</script> | `t` \x1b[2J [bold]"


def page_of(tmp_path: Path, records: list[TrialRecord]) -> tuple[str, str]:
    """The report as HTML and as Markdown."""
    files = build_report(make_run(tmp_path / "results", records), tmp_path / "reports")
    return files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")


def show(renderable: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=160, force_terminal=False).print(renderable)
    return file.getvalue()


def test_a_row_for_each_gpu_and_one_for_what_adds_up(tmp_path: Path) -> None:
    html, markdown = page_of(tmp_path, [make_gpu_record(3, gpus=(0, 1))])

    shown = html[html.index("What the GPUs did") :]
    for cell in ("6,000 MiB", "100 W", "400 J", "1,400 – 1,500 MHz", "70 °C", "none", "200 W", "800 J"):
        assert f">{cell}</td>" in shown
    assert "Before you trust these numbers" not in html
    assert "| 3 | 0 | 6,000 MiB | 100 W | 400 J | 1,400 – 1,500 MHz | 70 °C | none | none |" in markdown
    assert "|  | all |  | 200 W | 800 J |  |  |  |  |" in markdown


def test_without_gpu_data_there_is_no_section(tmp_path: Path) -> None:
    html, markdown = page_of(tmp_path, [make_record()])

    assert "What the GPUs did" not in html + markdown
    assert gpu_section([], find_answer([], FASTEST)) is None


def test_the_best_come_first_and_the_rest_is_folded_away(tmp_path: Path) -> None:
    records = [make_gpu_record(trial, throughput=[100.0 + trial] * 2) for trial in range(MAX_TRIALS + 2)]
    records.append(make_gpu_record(50, [], throughput=None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure()))
    section = gpu_section(records, find_answer(records, FASTEST))
    html, markdown = page_of(tmp_path, records)

    assert section is not None
    assert [row.cells[0] for row in section.best.rows] == ["9", "8", "7", "6", "5", "4", "3", "2"]
    assert [row.cells[0] for row in section.others.rows] == ["1", "0", "50"]
    assert [row.mark for row in section.best.rows[:2]] == ["best", ""]
    assert section.others.rows[-1].mark == "failed"
    assert "<summary>The other 3 trials</summary>" in html
    assert "The other 3 trials" in markdown


def test_of_very_many_a_part_is_shown_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.report.gpu_tables.MAX_OTHERS", 3)
    records = [make_gpu_record(trial, throughput=[100.0 + trial] * 2) for trial in range(MAX_TRIALS + 5)]
    section = gpu_section(records, find_answer(records, FASTEST))
    assert section is not None
    assert [row.cells[0] for row in section.others.rows] == ["4", "3", "2"]
    assert (section.num_others, section.num_left_out) == (3, 2)
    shown = gpus_section(make_subject(records))
    assert shown is not None
    folds = [block.title for block in shown.blocks if isinstance(block, Fold)]
    assert folds == ["The next 3 of 5 others, the best first"]


def test_doubts_stand_beside_the_numbers_and_the_best_ones_in_the_answer(tmp_path: Path) -> None:
    alone = make_gpu_record(0, throughput=[100.0, 100.0])
    disturbed = make_gpu_record(
        1, [{"foreign_pids": (41, 42), "peak_foreign_bytes": 300 * MIB, "slowed_by": ("software power cap",)}] * 2
    )
    html, markdown = page_of(tmp_path, [alone, disturbed])

    doubt = "other processes had memory on GPU 0 (pids 41, 42): speed and memory aren"
    assert html.index(f"rely on trial 1 yet: {doubt}") < html.index('<section id="gpus"')
    assert f"<td>{doubt}" in html[html.index("Before you trust these numbers") :]
    assert "pid 41, 42 (300 MiB)" in markdown
    assert f"| {doubt}'t the trial's alone | 1 |" in markdown
    assert "trial 1 yet: GPU 0 was at its power limit" not in html  # usual at full load
    assert "was at its power limit" in html


def test_foreign_text_is_only_text(tmp_path: Path) -> None:
    html, markdown = page_of(tmp_path, [make_gpu_record(0, [{"slowed_by": (HOSTILE,), "peak_power_w": None}])])

    assert "<script>alert" not in html + markdown
    assert "&lt;script&gt;alert(&#39;x&#39;)" in html
    rows = [line for line in markdown.splitlines() if line.startswith("| 0 | 0 |")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [10]


def test_a_terminal_has_a_line_for_each_gpu() -> None:
    record = make_gpu_record(
        0, [{"slowed_by": ("software thermal slowdown",), "foreign_pids": (41,), "peak_foreign_bytes": 70 * MIB}]
    )
    assert gpu_lines(record) == {
        "GPU 0": "peak 6,000 MiB, 100 W on average, 400 J per 1,000 output tokens, SM clock 1,400 – 1,500 MHz, up to "
        "70 °C, slowed by software thermal slowdown, other processes: pid 41 (70 MiB)"
    }
    assert "peak 6,000 MiB, 100 W on average" in show(trial_details(record))
    summary = " ".join(show(summary_panel([record], FASTEST)).replace("│", " ").split())
    assert "Don't rely on trial 0 yet: GPU 0 slowed itself down during timed passes" in summary
    assert "GPUs" not in show(trial_details(make_record()))


def test_what_could_not_be_read_is_left_out_of_a_line() -> None:
    unread = dict.fromkeys(("peak_used_bytes", "mean_power_w", "energy_j", "mean_sm_clock_mhz", "slowed_by"))
    record = make_gpu_record(0, [unread], load=unread)

    assert gpu_lines(record) == {"GPU 0": "up to 70 °C"}


def test_hostile_words_stay_words_in_a_terminal() -> None:
    shown = show(trial_details(make_gpu_record(0, [{"slowed_by": (HOSTILE,)}])))

    assert "\x1b" not in shown
    assert "[bold]" in shown
