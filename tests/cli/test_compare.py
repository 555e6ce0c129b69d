"""`vbench compare`: its words, its JSON, its refusals and its exit codes, on stored runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.cli.process import Vbench
from tests.cli.terminal import Terminal
from tests.records.builders import make_failure, make_record, make_run
from vbench.cli.main import run_command
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder

STEADY = (400.0, 401.0, 399.0, 400.5)
KEYS = {
    "a", "b", "metric", "direction", "verdict", "sentence", "is_paired", "ratio", "low", "high", "method", "num_pairs",
    "detectable", "metrics", "differences", "notes", "gate",
}  # fmt: skip
OTHER_PROMPTS = make_record(0).prompt_set.model_copy(update={"sha256": "cd" * 32})
OTHER_LENGTHS = make_record(0).prompt_set.model_copy(update={"sha256": "cd" * 32, "output_tokens": 7})


def store(vbench: Vbench, sweep: str, *records: TrialRecord, **facts: Any) -> RunFolder:
    """A run of the folder's results."""
    return make_run(vbench.folder / "results", records, sweep=sweep, **facts)


def two_runs(vbench: Vbench, a: Sequence[float] = STEADY, b: Sequence[float] = STEADY, **changes: Any) -> None:
    """`old` and `new`, a trial each."""
    store(vbench, "old", make_record(0, a))
    store(vbench, "new", make_record(0, b, **changes))


def in_process(vbench: Vbench, *words: str) -> int:
    """The exit code of `vbench compare` without a process of its own, which is quicker."""
    return run_command(["compare", *words, "--results", str(vbench.folder / "results")], is_debugging=False)


def scaled(factor: float) -> list[float]:
    return [rate * factor for rate in STEADY]


def test_two_runs_are_compared_by_their_best(vbench: Vbench) -> None:
    store(vbench, "old", make_record(0, STEADY), make_record(1, [100.0] * 4))
    store(vbench, "new", make_record(0, [90.0] * 4), make_record(1, scaled(1.05), parameters={"max_num_seqs": 8}))
    output = vbench("compare", "old", "new", check=0).stdout
    for words in ("A  old/20261103-093000:0", "B  new/20261103-093000:1", "1.050", "max_num_seqs", "Peak memory"):
        assert words in output
    last = output.splitlines()[-1]
    assert last.startswith("B is 5.0 % faster (95 %: 4.")
    assert "Note: A and B weren't measured in turns" in output


def test_trials_of_a_run_are_named_by_number_or_word(vbench: Vbench) -> None:
    folder = store(vbench, "demo", make_record(0, STEADY, origin="baseline"), make_record(1, scaled(1.05)))
    for a, b in (("demo:0", "demo:1"), (":baseline", ":best"), (f"{folder.path}:0", f"demo/{folder.run_id}")):
        found = json.loads(vbench("compare", a, b, "--json", check=0).stdout)
        assert (found["a"]["trial"], found["b"]["trial"]) == (0, 1)
        assert found["verdict"] == "better"


def test_no_difference_says_what_could_have_been_seen(vbench: Vbench) -> None:
    two_runs(vbench)
    last = vbench("compare", "old", "new", check=0).stdout.splitlines()[-1]
    assert last.startswith("No difference shown; this comparison could have seen 0.")


def test_finals_of_one_run_are_compared_pair_by_pair(vbench: Vbench) -> None:
    records = [make_record(0, STEADY), make_record(1, STEADY)]
    for number in range(4):
        base = 300.0 + 40 * number
        records.append(make_record(2 + 2 * number, base, origin="final", repeat_of=0))
        records.append(make_record(3 + 2 * number, base * (1.04 + 0.001 * number), origin="final", repeat_of=1))
    store(vbench, "demo", *records)
    found = json.loads(vbench("compare", "demo:0", "demo:1", "--json", check=0).stdout)
    assert (found["is_paired"], found["num_pairs"], found["method"]) == (True, 4, "t")
    assert found["sentence"].startswith("B is 4.1 % faster (95 %: 3.9 to 4.4)")


def test_json_has_the_documented_keys(vbench: Vbench) -> None:
    two_runs(vbench, b=scaled(0.9))
    done = vbench("compare", "old", "new", "--json", "--fail-if-slower", "3%", check=6)
    found = json.loads(done.stdout)
    assert set(found) == KEYS
    assert found["gate"] == {"share": 0.03, "decision": "slower", "is_failed": True}
    assert found["metrics"][0]["metric"] == found["metric"] == "output_throughput_tok_s"
    assert set(found["metrics"][0]) == {
        "metric", "a", "b", "ratio", "low", "high", "method", "num_pairs", "detectable",
    }  # fmt: skip
    assert set(found["a"]) == {"name", "trial", "engine", "engine_version", "model", "hardware"}
    assert found["ratio"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("factors", "words", "code", "said"),
    [
        pytest.param(0.9, [], 6, "failed: a loss of more than 3.0 % of output throughput is shown", id="slower"),
        pytest.param(0.99, [], 0, "a loss of more than 3.0 % of output throughput is excluded", id="a little slower"),
        pytest.param(1.2, ["--strict"], 0, "is excluded", id="faster"),
    ],
)
def test_the_gate_ends_with_6_when_the_loss_is_shown(
    vbench: Vbench, factors: float, words: list[str], code: int, said: str
) -> None:
    two_runs(vbench, b=scaled(factors))
    done = vbench("compare", "old", "new", "--fail-if-slower", "3%", *words, check=code)
    assert said in done.stderr


def test_a_loss_that_could_not_be_seen_is_a_warning_and_strictly_a_failure(vbench: Vbench) -> None:
    two_runs(vbench, a=[400.0, 300.0, 500.0], b=[390.0, 290.0, 510.0])
    done = vbench("compare", "old", "new", "--fail-if-slower", "0.03", check=0)
    assert "warning: a loss of more than 3.0 %" in done.stderr
    assert "would have shown one of" in done.stderr
    assert "failed: " in vbench("compare", "old", "new", "--fail-if-slower", "0.03", "--strict", check=6).stderr


def test_slower_means_longer_of_a_latency(vbench: Vbench) -> None:
    two_runs(vbench, b=scaled(0.9))
    words = ("--metric", "p50_e2e_latency_s", "--fail-if-slower", "3%")
    assert "is shown" in vbench("compare", "old", "new", *words, check=6).stderr
    assert "is excluded" in vbench("compare", "new", "old", *words, check=0).stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"prompt_set": OTHER_PROMPTS}, "the prompt sets differ", id="prompts"),
        pytest.param({"prompt_set": OTHER_LENGTHS}, "100 tokens in A, 7 tokens in B", id="lengths"),
        pytest.param({"engine": "fake"}, "B is an estimate and A a measurement", id="fake"),
        pytest.param(
            {"outcome": Outcome.OUT_OF_MEMORY, "failure": make_failure()}, "wasn't measured: out of memory", id="failed"
        ),
    ],
)
def test_what_is_not_comparable_is_refused(
    vbench: Vbench, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    two_runs(vbench, **changes)
    assert in_process(vbench, "old", "new:0") == 2
    printed = capsys.readouterr()
    assert "these aren't comparable" in printed.err
    assert words in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["demo", "demo"], "name two trials"),
        (["demo:0", "demo:7"], "has no trial 7: it has trials 0 to 1"),
        (["demo:baseline", "demo"], "has no baseline"),
        (["demo:0", "dem"], "did you mean demo"),
        (["demo:0", "demo:1", "--metric", "p95_ttft"], "did you mean p95_ttft_s"),
        (["demo:0", "demo:1", "--metric", "p95_itl_s"], "wasn't measured in A and B"),
        (["demo:0", "demo:1", "--fail-if-slower", "fast"], "give 3% or 0.03"),
        (["demo:0", "demo:1", "--fail-if-slower", "150%"], "give 3% or 0.03"),
        (["demo:0", "demo:1", "--strict"], "belongs to --fail-if-slower"),
        (["empty", "demo"], "has no best trial"),
    ],
)
def test_bad_input_says_what_to_give(
    vbench: Vbench, capsys: pytest.CaptureFixture[str], command: list[str], words: str
) -> None:
    store(vbench, "demo", make_record(0, STEADY), make_record(1, scaled(1.1)))
    store(vbench, "empty", make_record(0, None, outcome=Outcome.CRASHED, failure=make_failure()))
    assert in_process(vbench, *command) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_the_help_teaches_and_the_exit_code_is_among_the_others(vbench: Vbench) -> None:
    text = vbench("compare", "--help", check=0).stdout
    for words in ("demo:baseline demo:best", "--fail-if-slower", "--strict", "--metric", "RUN:NUMBER"):
        assert words in text
    assert "6 slower" in vbench("--help", check=0).stdout


@pytest.mark.parametrize("columns", [60, 100])
def test_it_fits_the_terminal(vbench: Vbench, columns: int) -> None:
    two_runs(vbench, b=scaled(1.05), config={"max_num_seqs": 8})
    terminal = Terminal(vbench, "compare", "old", "new", columns=columns)
    assert terminal.end() == 0
    assert max(map(len, terminal.text.splitlines())) <= columns
    assert "1.050" in terminal.text
