"""The worker's verbs, and the surroundings that a trial finds itself in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, How, pid_of, read_pid_link
from vbench.execution import leftovers
from vbench.execution.worker_question import WORKER_ENTRY
from vbench.outcome import Outcome

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])


def test_an_unknown_verb_names_the_known_ones() -> None:
    done = subprocess.run([sys.executable, str(WORKER_ENTRY), "dance"], check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr == "unknown verb 'dance': identify, describe, keeper or trial\n"


def test_no_module_of_the_worker_can_shadow_an_engines() -> None:
    # Python puts a script's folder first on sys.path: our `engines` or `trial` would come before any other.
    code = (
        "import runpy, sys\n"
        "sys.argv = [sys.argv[1], 'dance']\n"
        "sys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import protocol\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(WORKER_ENTRY)], check=False, capture_output=True, text=True)

    assert "ModuleNotFoundError: No module named 'protocol'" in done.stderr


@BOTH
def test_a_trial_has_the_requests_environment_and_a_temp_folder_of_its_own(fake_bench: Bench, how: How) -> None:
    seen: dict[str, bytes] = {}

    def look(message: dict[str, Any]) -> None:
        if message["event"] != "pass":
            return
        # The child was started by the trial, so it has what the trial had.
        (child,) = (pid for pid in fake_bench.processes() if pid != trial[0])
        for entry in Path("/proc", str(child), "environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            seen[name.decode()] = value

    trial: list[int] = []

    def on_event(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            trial.append(pid_of(message))
        look(message)

    ran = fake_bench.run(
        how=how,
        environment={"VBENCH_TEST_SETTING": "seven"},
        engine_args={"fail": "leave_child@load", "sleep_scale": 5.0},
        passes=1,
        warmup_passes=0,
        on_event=on_event,
    )

    assert ran.outcome is Outcome.COMPLETED, ran.log
    assert seen["VBENCH_TEST_SETTING"] == b"seven"
    assert seen[leftovers.RUN_MARK] == fake_bench.run_uid.encode()
    folder = Path(os.fsdecode(seen["TMPDIR"]))
    assert folder.parent == Path(tempfile.gettempdir())
    assert not folder.exists()


@BOTH
def test_a_trials_standard_input_is_empty_and_its_output_is_its_log(fake_bench: Bench, how: How) -> None:
    links: dict[int, str] = {}

    def look(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            links.update({fd: read_pid_link(pid_of(message), f"fd/{fd}") for fd in (0, 1, 2)})

    ran = fake_bench.run(how=how, engine_args={"load_seconds": 0.3}, on_event=look)

    assert ran.outcome is Outcome.COMPLETED, ran.log
    assert links[0] == os.devnull
    assert links[1] == links[2]
    assert links[1].endswith(".log")


@BOTH
def test_a_trial_leads_a_session_and_a_group_of_its_own(fake_bench: Bench, how: How) -> None:
    seen: list[tuple[int, int, int]] = []

    def look(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            pid = pid_of(message)
            seen.append((pid, os.getpgid(pid), os.getsid(pid)))

    fake_bench.run(how=how, engine_args={"load_seconds": 0.3}, on_event=look)

    ((pid, group, session),) = seen
    assert pid == group == session
