"""What ships must work: every sweep file reads, every committed run loads and is reported without a problem."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_a_committed_run_loads_and_its_best_is_the_best_of_the_file(folder: Path, tmp_path: Path) -> None:
    contents = read_run(RunFolder(folder))
    assert contents.problems == ()
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [
        line
        for line in lines
        if line["outcome"] == "completed" and all(value <= 0 for value in line["constraint_violations"].values())
    ]
    top = max(kept, key=lambda line: line["measurements"]["output_throughput_tok_s"])
    winner = best(contents.result.records, contents.objective)
    assert winner is not None
    assert winner.trial == top["trial"]
    files = build_report(RunFolder(folder), tmp_path)
    assert f"Trial {top['trial']} is the best" in files.markdown.read_text(encoding="utf-8")
