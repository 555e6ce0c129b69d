"""The words of a sweep: a trial that was stopped, the phase that a run is in, how it ended."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from tests.cli.process import BASE, Vbench
from tests.cli.run_info import info_of
from tests.records.builders import make_record
from vbench.cli.listeners import JsonListener, PlainListener
from vbench.cli.wording import describe_pass, describe_result
from vbench.outcome import Outcome
from vbench.progress import RunSummary, Standing
from vbench.records.record import Stopped
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.spec.types import Objective

NOISY = """\
engine_args: {noise: 0.5, seed: 1}
parameters:
  max_num_seqs: [1, 2, 4]
  quantization: [awq, gptq]
baseline: {}
search: {method: grid, finalists: 2, final_rounds: 2}
"""


def test_a_pass_is_one_of_a_number_or_of_a_most() -> None:
    phase = {"event": "phase", "name": "pass", "index": 6}

    assert describe_pass({**phase, "of": 12, "is_most": True}, 3) == "pass 7 of at most 12"
    assert describe_pass({**phase, "of": 8, "is_most": False}, 3) == "pass 7 of 8"
    assert describe_pass(phase, 9) == "pass 7 of 9"


def stopped(bound: float, incumbent: float) -> Stopped:
    return Stopped(
        phase="pass", index=0, after_s=1.3, bound=bound, incumbent_trial=3, incumbent_value=incumbent, error_rate=0.05
    )


def test_a_stopped_trial_says_what_it_could_have_reached_at_best() -> None:
    objective = Objective(metric="output_throughput_tok_s", direction="maximize")
    record = make_record(7, None, outcome=Outcome.PRUNED, stopped=stopped(210.0, 405.0))
    said = describe_result(record, objective)
    assert said.startswith("stopped 1.3 s into pass 1: at most 210 tok/s, the best then had 405 tok/s (trial 3)")


def test_a_sweep_says_which_phase_it_is_in(vbench: Vbench) -> None:
    lines = vbench("sweep", vbench.write(BASE + NOISY), check=0).stdout.splitlines()
    places = [match[1] for line in lines if (match := re.match(r"\[([a-z]+ \d/\d)", line))]
    assert places == [*(f"search {done}/7" for done in range(1, 8)), *(f"finals {done}/4" for done in range(1, 5))]
    again = [line for line in lines if line.startswith("[finals")]
    assert all("measured again: max_num_seqs=" in line for line in again)
    assert "nothing left to do: 7 trials are done" in vbench("sweep", "small.yaml", check=0).stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--timeout", "1ms"), "0 of 7 trials: the time budget is spent; go on with a larger `--timeout`"),
        (("--session", "20m", "--session-margin", "1199999ms"), "0 of 7 trials: the session ends soon"),
    ],
)
def test_an_early_end_says_how_to_go_on(vbench: Vbench, options: tuple[str, ...], says: str) -> None:
    assert says in vbench("sweep", vbench.write(BASE + NOISY), *options, check=1).stdout


def test_json_says_notes_beside_it(tmp_path: Path) -> None:
    out, side = io.StringIO(), io.StringIO()
    summary = RunSummary(
        num_trials=3, outcomes={"completed": 3}, best=make_record(2), notes=["no finals were made"],
        standing=Standing(planned=3), read=lambda: pytest.fail("read all records for a summary"),
    )  # fmt: skip
    listener = JsonListener(out, side, has_summary=True)
    listener.run_started(info_of(tmp_path))
    listener.run_finished(RunFolder(Path("results/a/b")), summary, "gpu_hours")
    facts = json.loads(out.getvalue())
    assert (facts["best_trial"], facts["best_value"], facts["status"]) == (2, 250.0, "gpu_hours")
    assert side.getvalue() == "note: no finals were made\n"


def test_lines_of_trials_that_run_side_by_side_say_whose_they_are(tmp_path: Path) -> None:
    stream = io.StringIO()
    listener = PlainListener(stream)
    listener.run_started(info_of(tmp_path, standing=Standing(planned=5, done=1)))
    point = Point(parameters={"max_num_seqs": 4}, settings={})
    for number in (1, 2):
        listener.trial_started(number, point, "search")
    listener.trial_event({"event": "again", "why": "others", "trial": 2})
    for number in (2, 1):
        listener.trial_finished(make_record(number, 100.0), None)
    listener.trial_started(3, point, "search")
    listener.trial_finished(make_record(3, 100.0), None)
    lines = [line.partition("  peak")[0] for line in stream.getvalue().splitlines()[-7:]]
    assert lines == [
        "[search 2/5] trial 1  max_num_seqs=4",
        "[search 3/5] trial 2  max_num_seqs=4",
        "    trial 2: again: disturbed, as others",
        "    trial 2: 100 tok/s",
        "    trial 1: 100 tok/s",
        "[search 2/5] trial 3  max_num_seqs=4",
        "    100 tok/s",
    ]
