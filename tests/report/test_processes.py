"""The processes that help with a report end with the one that made them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOLDER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began this in the background
from vbench.report.processes import beside

with beside() as pool:
    if pool is None:
        print("none", flush=True)
    else:
        print(*(process.pid for process in pool._processes.values()), flush=True)
        time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # whoever adopted it may take a while to reap it


def all_gone(pids: list[int]) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not any(map(is_there, pids)):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_none_of_them_outlives_it(ending: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        words = holder.stdout.readline().split()
        if words == [b"none"]:
            holder.kill()
            pytest.skip("one core: no processes beside")
        pids = [int(word) for word in words]
        assert pids
        os.kill(holder.pid, ending)
    assert all_gone(pids)
