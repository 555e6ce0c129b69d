"""`best.md`: the answer on disk, ready to paste, whatever ends the session."""

from __future__ import annotations

import ast
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from vbench.outcome import Outcome
from vbench.records.record import Quality, TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep import best_file

FILE = """\
model: org/model-1b
prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}
parameters: {max_num_seqs: [8, 16]}
constraints: [peak_memory_mib <= 15360]
baseline: {}
"""
NOW = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
BASELINE = make_record(0, [100.0, 100.0, 100.0], origin="baseline")


def best(**changes: Any) -> TrialRecord:
    return make_record(7, [150.0, 151.0, 152.0], parameters={"max_num_seqs": 16}, peak_mib=2048, **changes)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepSpec:
    monkeypatch.chdir(tmp_path)
    return parse_spec(FILE, tmp_path / "sweeps" / "demo.yaml")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "results", [], overrides=["dtype=float16", "environment.HF_TOKEN=***"])


def written(run: RunFolder, spec: SweepSpec, winner: TrialRecord | None, **changes: Any) -> str:
    said: dict[str, Any] = {"status": "running", "trials_done": 12, "trials_planned": 30, "now": NOW, **changes}
    baseline = said.pop("baseline", BASELINE)
    assert best_file.write(run, spec, winner, baseline, **said) is None
    return run.best_md.read_text(encoding="utf-8")


def block(text: str, language: str) -> str:
    return text.split(f"```{language}\n")[1].split("\n```")[0]


def test_it_says_what_the_best_is_worth(run: RunFolder, spec: SweepSpec) -> None:
    text = written(run, spec, best())
    assert text.startswith("# demo: the best so far is trial 7\n")
    assert "| Output throughput | 151 tok/s (150.0 – 152.0: smallest to largest of 3 timed passes" in text
    # 151 ÷ 100, and the worst and best case of passes that differ on one side only.
    assert "| Against the baseline | ×1.51 (×1.50 – ×1.52: worst to best case of the passes) |" in text
    assert "| Peak memory | 2.00 GiB |" in text
    assert "| Measured again | no: " in text
    assert "| Keeps | peak_memory_mib &lt;= 15360 |" in text
    assert f"| Trial | 7 of demo/{run.run_id}, 2026-11-03T09:30:00Z |" in text
    assert "| max_num_seqs | 16 |" in text
    assert "12 of 30 trials; the search is running." in text


def test_a_bound_of_quality_is_named_where_it_was_kept(run: RunFolder, tmp_path: Path) -> None:
    bound = parse_spec(f"{FILE}quality: {{max_nll_increase: 2%}}\n", tmp_path / "sweeps" / "demo.yaml")
    checked = best().model_copy(
        update={"quality": Quality(texts_sha256="0", nll=[1.0], tokens=[1], greedy=[], duration_s=1.0)}
    )
    assert "| Keeps | peak_memory_mib &lt;= 15360, nll_increase &lt;= 0.02 |" in written(run, bound, checked)
    assert "| Keeps | peak_memory_mib &lt;= 15360 |" in written(run, bound, best())


def test_what_it_says_to_paste_runs(run: RunFolder, spec: SweepSpec) -> None:
    text = written(run, spec, best())
    assert shlex.split(block(text, "sh").replace("\\\n", "")) == [
        "vllm",
        "serve",
        "org/model-1b",
        "--max-num-seqs",
        "16",
    ]
    cell = ast.unparse(ast.parse(block(text, "python")))
    assert "kwargs = dict(model='org/model-1b', max_num_seqs=16)" in cell
    assert "sampling = SamplingParams(temperature=0.0, max_tokens=100)" in cell
    assert "    llm = LLM(**kwargs)" in cell


def test_it_says_how_to_go_on(run: RunFolder, spec: SweepSpec) -> None:
    again = written(run, spec, None).split("```sh\n")[1].split("\n```")[0]
    assert shlex.split(again) == [
        "vbench", "sweep", "sweeps/demo.yaml", "--set", "dtype=float16", "--set", "environment.HF_TOKEN=***",
    ]  # fmt: skip
    assert "\nvbench sweep x.yaml --gpu-hours 8\n" in written(
        run, spec, None, command="vbench sweep x.yaml --gpu-hours 8"
    )


def test_another_results_folder_is_named(tmp_path: Path, spec: SweepSpec) -> None:
    run = make_run(tmp_path / "elsewhere", [])
    assert best_file.command_to_go_on(run, spec) == "vbench sweep sweeps/demo.yaml --results elsewhere"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("out_of_time", "the time budget is spent: go on with a larger `--timeout`"),
        ("gpu_hours", "the GPU-hours are spent"),
        ("session_end", "the session's end came near: go on in the next"),
        ("interrupted", "the search was interrupted"),
        ("some_new_word", "some new word"),
    ],
)
def test_it_says_why_the_session_ended(run: RunFolder, spec: SweepSpec, status: str, says: str) -> None:
    text = written(run, spec, best(), status=status)
    assert f"12 of 30 trials; {says}" in text
    assert "vbench sweep" in text


def test_at_the_end_nothing_is_left_open(run: RunFolder, spec: SweepSpec) -> None:
    text = written(run, spec, best(remeasured=[31, 33]), status="finished", trials_done=30)
    assert text.startswith("# demo: the best is trial 7\n")
    assert "| Measured again | yes, by trials 31, 33, whose values these are |" in text
    assert "vbench sweep" not in text


def test_where_nothing_can_be_ranked_it_says_so(run: RunFolder, spec: SweepSpec) -> None:
    text = written(run, spec, None, trials_planned=None)
    assert "No trial has completed with a value and within its constraints." in text
    assert "12 trials; " in text
    assert "vllm serve" not in text


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        (None, "the baseline hasn't been measured"),
        (make_record(0, None, outcome=Outcome.OUT_OF_MEMORY, origin="baseline"), "trial 0, is out of memory"),
        (make_record(0, 100.0, origin="baseline"), "×1.51 |"),
        (make_record(0, [150.0, 151.0, 152.5], origin="baseline"), "not told apart from no gain"),
        (make_record(7, [150.0, 151.0], origin="baseline"), "the same: nothing tried was better"),
    ],
)
def test_against_a_baseline(run: RunFolder, spec: SweepSpec, baseline: TrialRecord | None, says: str) -> None:
    assert says in written(run, spec, best(), baseline=baseline)


def test_a_fake_engine_is_said_to_be_one(run: RunFolder, tmp_path: Path) -> None:
    spec = parse_spec(f"{FILE}engine: fake\n", tmp_path / "demo.yaml")
    assert "**fake engine: not a measurement**" in written(run, spec, best(engine="fake"))


def test_no_secret_is_in_it(run: RunFolder, spec: SweepSpec) -> None:
    config = {"max_num_seqs": 16, "environment": {"HF_TOKEN": "***", "OMP_NUM_THREADS": "1"}}
    text = written(run, spec, best(config=config))
    assert "OMP_NUM_THREADS=1 vllm serve" in text
    assert "Set beside it, and not shown: HF_TOKEN" in text.replace("\\_", "_")
    assert "HF_TOKEN=" not in block(text, "sh")


def test_foreign_text_stays_text(run: RunFolder, spec: SweepSpec) -> None:
    winner = best(warnings=["<img src=x> | ```\x1b[31m"])
    text = written(run, spec, winner)
    assert "<img" not in text
    assert "\x1b" not in text
    assert "- &lt;img src=x&gt; \\|" in text


def test_nothing_is_written_where_only_the_time_differs(run: RunFolder, spec: SweepSpec) -> None:
    first = written(run, spec, best())
    before = run.best_md.stat().st_ino
    assert written(run, spec, best(), now=NOW + timedelta(hours=1)) == first
    assert run.best_md.stat().st_ino == before
    later = written(run, spec, best(), now=NOW + timedelta(hours=1), trials_done=13)
    assert "13 of 30" in later
    assert "Written 2026-11-03 11:00:00 UTC." in later


def test_a_disk_that_refuses_it_is_a_warning(run: RunFolder, spec: SweepSpec) -> None:
    run.best_md.mkdir()
    (run.best_md / "in the way").touch()
    said = best_file.write(run, spec, best(), BASELINE, status="running", trials_done=1, now=NOW)
    assert said is not None
    assert "the best so far is only in the records: " in said
    assert "best.md can't be written" in said
