"""A machine that is paused in the middle of a pass, or vbench alone that is: no deadline counts that time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.cli.process import BASE, Vbench, marked, records_of, wait_for
from tests.faults.matrix import Counts, fault

_PAUSED_S = 8.0
_SLOW = """\
engine_args: {max_num_seqs: 1, sleep_scale: 3, fail: "print=a pass begins@pass"}
deadlines: {pass: 6}
"""
"""A pass takes a second, and may take six; there are enough of them for one to be met."""


@fault("vbench", "paused for longer than a pass may take", "the time counts for no deadline; the record says it")
@pytest.mark.parametrize("whole", [True, False], ids=["with its trial", "alone"])
def test_a_pause(vbench: Vbench, counts: Counts, whole: bool) -> None:
    vbench.write(BASE.replace("passes: 2", "passes: 5") + _SLOW)
    process = vbench.start("sweep", "small.yaml")
    try:
        wait_for(lambda: _pass_begins(vbench), "a pass")
        paused = [process.pid, *(marked(vbench.run()) if whole else ())]
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(_PAUSED_S)  # this is the fault, and not a way to wait for anything
        for pid in paused:  # vbench first: it finds the deadline passed before its trial can go on
            os.kill(pid, signal.SIGCONT)
    finally:
        process.communicate()

    assert process.returncode == 0
    counts.records(vbench.run(), 1)
    (record,) = records_of(vbench.run())
    assert record["outcome"] == "completed"
    assert any("vbench stood still for " in warning for warning in record["warnings"])


def _pass_begins(vbench: Vbench) -> list[Path]:
    logs = (vbench.folder / "results").glob("*/*/logs/0000.log")
    return [log for log in logs if b"a pass begins" in log.read_bytes()]
