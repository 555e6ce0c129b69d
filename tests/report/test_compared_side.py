from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.builders import make_record, make_run
from vbench.errors import UsageError
from vbench.report.compared_side import read_side, split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("demo", ("demo", "best")),
        ("demo:3", ("demo", "3")),
        ("demo/20261121-113655:baseline", ("demo/20261121-113655", "baseline")),
        (":7", ("", "7")),
        ("odd:name", ("odd:name", "best")),
    ],
)
def test_what_is_named_is_a_run_and_a_trial_of_it(text: str, parts: tuple[str, str]) -> None:
    assert split(text) == parts


def test_a_finalist_comes_with_its_finals_and_a_final_may_be_named_itself(tmp_path: Path) -> None:
    records = [make_record(0, 400.0), make_record(1, 390.0)]
    records += [make_record(2, 200.0, origin="final", repeat_of=0), make_record(3, 250.0, origin="final", repeat_of=1)]
    make_run(tmp_path, records)
    values = {
        name: read_side(tmp_path, name).record.measurements["output_throughput_tok_s"]
        for name in ("demo:0", "demo:2", "demo")
    }
    assert values == {"demo:0": 200.0, "demo:2": 200.0, "demo": 250.0}
    assert read_side(tmp_path, "demo").name.endswith(":1")
    assert len(read_side(tmp_path, "demo").records) == 4


def test_an_emulated_run_is_known_as_one(tmp_path: Path) -> None:
    make_run(tmp_path, [make_record(0)], target={"is_emulated": True})
    side = read_side(tmp_path, "")
    assert side.is_emulated
    assert side.hardware == "Example CPU"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("demo:bset", "after the colon goes a trial's number, `best` or `baseline`; 'bset' is none of these"),
        ("nosuch:3", "no run 'nosuch'"),
        ("{folder}/some.yaml", "is a file, not a run: with --again"),
    ],
)
def test_what_is_no_trial_is_said_with_what_would_be_one(tmp_path: Path, text: str, words: str) -> None:
    make_run(tmp_path, [make_record(0)])
    (tmp_path / "some.yaml").write_text("name: some\n")
    with pytest.raises(UsageError) as caught:
        read_side(tmp_path, text.format(folder=tmp_path))
    assert words in str(caught.value)


def test_a_run_without_trials_says_so(tmp_path: Path) -> None:
    make_run(tmp_path, [])
    with pytest.raises(UsageError, match="none has ended yet"):
        read_side(tmp_path, "demo:0")
