"""A run folder that is copied while its sweep runs, and gone on with: neither ends the other's trials."""

from __future__ import annotations

import shutil
import signal
import subprocess

from tests.cli.process import BASE, DEADLINE_S, Vbench, records_of, run_facts, trial_of, wait_for
from tests.execution.bench import is_alive
from tests.faults.matrix import Counts, fault
from tests.faults.test_signals import ends_well, sweeping, trial_now

_LONG = f"{BASE}parameters: {{max_num_seqs: [1, 2]}}\nsearch: {{method: grid}}\nengine_args: {{load_seconds: 60}}\n"


@fault(
    "vbench", "a copy of a running sweep's folder, gone on with",
    "its processes have a mark of their own, and the original's are let be",
)  # fmt: skip
def test_a_copy_leaves_the_original_alone(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(_LONG)
    with sweeping(vbench, path) as original:
        trial = trial_now(vbench, original)
        assert trial is not None
        copy = vbench.folder / "copies" / "small" / vbench.run().name
        shutil.copytree(vbench.run(), copy)
        with vbench.start("sweep", path, "--results", "copies") as beside:
            try:
                wait_for(lambda: trial_of(beside.pid, copy) or beside.poll() is not None, "the copy's trial")
                assert is_alive(trial)
                assert run_facts(copy)["run_uid"] != run_facts(vbench.run())["run_uid"]
                said = _stopped(beside)
            finally:
                beside.kill()
        assert is_alive(trial)
        assert "this run folder was copied" in said
        original.send_signal(signal.SIGTERM)
        ends_well(vbench, original)
    assert records_of(copy) == records_of(vbench.run()) == []
    counts.records(vbench.run(), 0)


def _stopped(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, output + errors
    return output + errors
