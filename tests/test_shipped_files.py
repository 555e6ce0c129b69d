"""What ships must work: every sweep file reads, every committed run loads, and its committed report is what comes of it
now."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

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


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.parent.name)
def run(request: pytest.FixtureRequest) -> RunFolder:
    return RunFolder(request.param)


@pytest.fixture(scope="module")
def rebuilt(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its report, made now."""
    return build_report(run, tmp_path_factory.mktemp("reports")).html.parent


@pytest.fixture
def shipped(run: RunFolder) -> Path:
    """The folder of its report as it is committed."""
    return ROOT / "reports" / run.sweep


def test_a_committed_run_loads_and_its_best_is_the_best_of_the_file(run: RunFolder, rebuilt: Path) -> None:
    contents = read_run(run)
    assert contents.problems == ()
    trial = _best_of([json.loads(line) for line in run.trials_jsonl.read_text(encoding="utf-8").splitlines()])
    winner = best(contents.result.records, contents.objective)
    assert winner is not None
    assert winner.trial == trial
    assert f"Trial {trial} is the best" in (rebuilt / "report.md").read_text(encoding="utf-8")


def test_a_committed_report_has_all_its_files_and_no_other(shipped: Path, rebuilt: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".svg"}

    assert names(shipped) == names(rebuilt)  # the pictures as SVG are in the page, and not committed beside it
    assert not [path for path in shipped.rglob("*") if path.is_file() and not path.stat().st_size]


def test_a_committed_report_says_what_one_made_now_says(run: RunFolder, shipped: Path, rebuilt: Path) -> None:
    again = f"out of date: `vbench report results/{run.sweep}/{run.run_id}`"
    pages = [(folder / "report.md").read_text(encoding="utf-8") for folder in (shipped, rebuilt)]
    assert _differences(*(_numbers_aside(page).splitlines() for page in pages))[:3] == [], again
    assert len(_differences(*(_numbers(page) for page in pages))) <= 3, again  # of hundreds
    assert _headings(shipped / "report.html") == _headings(rebuilt / "report.html"), again
    summaries = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in (shipped, rebuilt)]
    del summaries[0]["vbench_version"], summaries[1]["vbench_version"]
    texts = [json.dumps(summary, sort_keys=True, indent=0) for summary in summaries]
    assert _differences(*(_numbers_aside(text).splitlines() for text in texts))[:3] == [], again
    assert _numbers(texts[0]) == pytest.approx(_numbers(texts[1]), rel=1e-6), again


def test_a_committed_reports_tables_hold_what_they_would_hold_now(shipped: Path, rebuilt: Path) -> None:
    assert_frame_equal(pd.read_csv(shipped / "trials.csv"), pd.read_csv(rebuilt / "trials.csv"), rtol=1e-6)
    # Parquet's bytes are its writer's business.
    assert_frame_equal(
        pd.read_parquet(shipped / "trials.parquet"), pd.read_parquet(rebuilt / "trials.parquet"), rtol=1e-6
    )
    facts = [pq.read_schema(folder / "trials.parquet").metadata[b"vbench"] for folder in (shipped, rebuilt)]
    assert json.loads(facts[0]) == json.loads(facts[1])


_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")


def _numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in _NUMBER.findall(text)]


def _numbers_aside(text: str) -> str:
    """Another processor may round a sum in another way, which shows in a digit here and there."""
    return _NUMBER.sub("0", text)


def _differences(one: Sequence[Any], other: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [(mine, its) for mine, its in zip_longest(one, other) if mine != its]


def _headings(page: Path) -> list[str]:
    return re.findall(r"<h[1-6][^>]*>(.*?)</h[1-6]>", page.read_text(encoding="utf-8"), re.DOTALL)
