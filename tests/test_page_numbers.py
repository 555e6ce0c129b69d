"""The page's numbers are those of the records: computed again from `trials.jsonl` with a few lines of pandas, and none
of vbench's own code, and looked for on the page as it shows them."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.records.builders import make_run, make_sweep_records
from tests.report.search_builders import make_search_run
from tests.report.undrawn import draw_nothing
from vbench.records.runs import RunFolder
from vbench.report.build import build_report

SHIPPED = ROOT / "results" / "demo-example" / "20261121-172808"


def recomputed(path: Path) -> dict[str, Any]:
    """A finalist counts by the passes of its finals, every other trial by its own; the best is the one with the largest
    median rate, among the finalists where there are any."""
    trials = pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    trials["of"] = trials.repeat_of.where(trials.origin == "final", trials.trial).astype(int)
    passes = pd.json_normalize(_rows(trials[trials.outcome == "completed"]), "passes", ["origin", "of"])
    passes = passes[passes.kind == "timed"]
    passes["rate"] = passes["requests.output_tokens"].map(sum) / passes.duration_s
    finals = passes[passes.origin == "final"]
    rates = (finals if len(finals) else passes).groupby("of").rate.median()
    base = passes[passes.origin == "baseline"].rate.median()
    best, of_best = rates.idxmax(), (finals if len(finals) else passes)
    prompts = (of_best["requests.output_tokens"].map(len) / of_best.duration_s)[of_best["of"] == best].median()
    phases = pd.json_normalize(_rows(trials[trials["of"] == best]), "phases")
    return {
        "best": best, "value": rates.max(), "gain": rates.max() / base, "peak": phases.peak_memory_bytes.max(),
        "prompts_per_hour": 3600 * prompts, "trials": len(trials), "outcomes": trials.outcome.value_counts().to_dict(),
    }  # fmt: skip


def _rows(trials: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in trials.to_dict("records")]


def shown(page: str) -> dict[str, list[str]]:
    """Each number of the page's top by its name: its value, then its note."""
    top = page[page.index('<section id="answer"') :].split("</section>")[0]
    found: dict[str, list[str]] = {}
    for name, values in re.findall(r"<dt>(.*?)</dt>((?:<dd.*?</dd>)+)", top, re.DOTALL):
        cells = [_text(one) for one in re.findall(r"<dd[^>]*>(.*?)</dd>", values, re.DOTALL)]
        found.setdefault(_text(name), cells)
    return found


def _text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()


@pytest.fixture(scope="module", params=["shipped", "with finals", "without"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("results")
    if request.param == "shipped":
        return RunFolder(SHIPPED)
    return make_search_run(root) if request.param == "with finals" else make_run(root, make_sweep_records(20))


@pytest.fixture(scope="module")
def page(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        return build_report(run, tmp_path_factory.mktemp("reports")).html.read_text(encoding="utf-8")


def test_the_numbers_on_the_page_are_those_of_the_records(run: RunFolder, page: str) -> None:
    expected, facts = recomputed(run.trials_jsonl), shown(page)
    assert f"Trial {expected['best']} is the best" in _text(page.split('<section id="answer"')[1].split("</h2>")[0])
    assert facts["Output throughput"][0] == f"{expected['value']:,.0f} tok/s"
    assert facts["Against the baseline"][0] == f"×{expected['gain']:.2f}"
    assert facts["Peak memory"][0] == f"{expected['peak'] / 2**30:.2f} GiB"
    assert facts["Prompts per hour"][0] == f"{expected['prompts_per_hour']:,.0f}"


def test_the_counts_on_the_page_are_those_of_the_records(run: RunFolder, page: str) -> None:
    expected, (trials, note) = recomputed(run.trials_jsonl), shown(page)["Trials"]
    outcomes = expected["outcomes"]
    assert trials == str(expected["trials"])
    assert note.startswith(f"{outcomes['completed']} completed")
    if "pruned" in outcomes:
        assert f"{outcomes['pruned']} stopped early" in note


def test_memory_left_is_the_least_limit_less_the_peak(run: RunFolder, page: str) -> None:
    machine, facts = (json.loads(path.read_text(encoding="utf-8")) for path in (run.machine_json, run.run_json))
    bounds = [int(mib) * 2**20 for mib in re.findall(r"peak_memory_mib <= (\d+)", " ".join(facts["constraints"]))]
    limit = min([*bounds, *([machine["memory_bytes"]] if "memory_bytes" in machine else [])])
    left = limit - recomputed(run.trials_jsonl)["peak"]
    assert shown(page)["Memory left"][0] == f"{left / 2**30:.2f} GiB"
