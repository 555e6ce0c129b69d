"""What ships must work: every sweep file reads, every committed run loads and is reported without a problem."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vbench.analysis.ranking import best
from vbench.records.runs import RunFolder
from vbench.report.build import build_report
from vbench.report.contents import read_run
from vbench.spec.loader import load_spec

ROOT = Path(__file__).parent.parent
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
EXAMPLES = sorted(path.parent for path in (ROOT / "results").glob("*-example/*/trials.jsonl"))


def test_there_are_sweeps_and_an_example() -> None:
    assert {path.name for path in SWEEPS} >= {"demo.yaml", "t4.yaml", "3090-as-t4.yaml"}
    assert EXAMPLES


@pytest.fixture(scope="module")
def models() -> None:
    """The folders that sweeps/demo.yaml names; made once, in seconds."""
    subprocess.run([sys.executable, "tools/demo_model.py"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_shipped_sweep_reads(path: Path) -> None:
    assert load_spec(path).parameters


def _best_of(lines: list[dict[str, Any]]) -> int:
    """By the file alone: of what was measured again the best by these passes, else the best of all."""
    kept = [
        line
        for line in lines
        if line["outcome"] == "completed" and all(value <= 0 for value in line["constraint_violations"].values())
    ]
    rates: dict[int, list[float]] = {}
    for line in kept:
        if line["origin"] == "final":
            timed = [one for one in line["passes"] if one["kind"] == "timed"]
            rates.setdefault(line["repeat_of"], []).extend(
                sum(one["requests"]["output_tokens"]) / one["duration_s"] for one in timed
            )
    if rates:
        return max(rates, key=lambda trial: statistics.median(rates[trial]))
    top = max(kept, key=lambda line: line["measurements"]["output_throughput_tok_s"])
    return int(top["trial"])


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_a_committed_run_loads_and_its_best_is_the_best_of_the_file(folder: Path, tmp_path: Path) -> None:
    contents = read_run(RunFolder(folder))
    assert contents.problems == ()
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    trial = _best_of(lines)
    winner = best(contents.result.records, contents.objective)
    assert winner is not None
    assert winner.trial == trial
    files = build_report(RunFolder(folder), tmp_path)
    assert f"Trial {trial} is the best" in files.markdown.read_text(encoding="utf-8")
