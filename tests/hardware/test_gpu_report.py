"""From a scripted driver to the report: trials through the real pynvml, their records, the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_run
from vbench.analysis.gpu_work import gpu_works
from vbench.records.record import TrialRecord
from vbench.report.build import build_report

Probe = Callable[..., dict[str, Any]]
MIB = 1024**2
COOL = ("nvmlDeviceGetClockInfo:sm 0 2 0 1590", "nvmlDeviceGetCurrentClocksEventReasons 0 2 0 0x1")


@pytest.fixture
def records(probe: Probe, tmp_path: Path) -> list[TrialRecord]:
    """On two T4s: one held down by heat and a power limit, and one beside somebody else."""
    trial: Callable[..., dict[str, Any]] = lambda *lines, **wanted: probe(  # noqa: E731
        *lines, program="gpu_trial_probe.py", **wanted
    )
    for name in ("hot", "shared"):
        (tmp_path / name).mkdir()
    hot = trial(folder=str(tmp_path / "hot"))
    shared = trial(*COOL, folder=str(tmp_path / "shared"), foreign_bytes=300 * MIB)
    return [TrialRecord.model_validate({**one, "trial": number}) for number, one in enumerate((hot, shared))]


def test_the_report_shows_what_the_driver_said(records: list[TrialRecord], tmp_path: Path) -> None:
    files = build_report(make_run(tmp_path / "results", records), tmp_path / "reports")
    html, markdown = files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")

    hot, idle = gpu_works(records[0])
    timed = [phase.gpus[0] for phase in records[0].phases if phase.name == "pass" and phase.gpus]
    # Both passes were sampled; the script adds 1.5 J to the counter with every reading, 24 tokens are made.
    energy_j = sum(one["energy_j"] for one in timed)
    assert len(timed) == 2
    assert 1.5 <= energy_j <= 1.5 * (sum(one["num_samples"] for one in timed) + 2)
    assert hot.energy_j_per_1000_tokens == pytest.approx(energy_j / 24 * 1000)
    rows = [line for line in markdown.splitlines() if line.startswith(("| 0 |", "|  | 1 |"))]
    assert any(
        "| 0 | 0 | 6,144 MiB | 69.5 W |" in row
        and "| 1,005 MHz | 71 °C | software power cap, hardware thermal slowdown | none |" in row
        for row in rows
    )
    assert idle.peak_used_bytes == 2048 * MIB
    assert any("| 1 | 2,048 MiB | 12 W |" in row for row in rows)
    (stranger,) = gpu_works(records[1])[0].foreign_pids or ()
    assert f"pid {stranger} (300 MiB)" in markdown
    for doubt in (
        "GPU 0 slowed itself down during timed passes (hardware thermal slowdown)",
        f"other processes had memory on GPU 0 (pid {stranger})",
        "clock averaged more than 5% below the 1,590 MHz of trial 1",
        "GPU 1 was at its power limit",
    ):
        assert doubt in html[html.index("Before you trust these numbers") :]
