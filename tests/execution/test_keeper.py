"""The keeper and its parent: each survives, or is survived, as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import How, is_alive, open_bench, pid_of, temp_folders, wait_until
from vbench.execution import leftovers
from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Exit, Keeper, KeeperGone
from vbench.outcome import Outcome

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("how", ["fork", "cold"])


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Exit(code=0, signal=None), "exit code 0"),
        (Exit(code=7, signal=None), "exit code 7"),
        (Exit(code=None, signal=9), "killed by SIGKILL"),
        (Exit(code=None, signal=11), "killed by SIGSEGV"),
        (Exit(code=None, signal=signal.SIGRTMIN + 3), f"killed by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_an_exit_is_described(ending: Exit, text: str) -> None:
    assert ending.describe() == text


class TestReady:
    def test_a_preloaded_keeper_can_fork(self, tmp_path: Path) -> None:
        with open_bench("fake", tmp_path) as bench:
            assert bench.keeper.can_fork
            assert bench.keeper.fork_blocker is None
            assert bench.keeper.preload_seconds is not None

    def test_without_preloading_it_says_why_it_cannot(self, tmp_path: Path) -> None:
        with open_bench("fake", tmp_path, preload=False) as bench:
            assert not bench.keeper.can_fork
            assert bench.keeper.fork_blocker == "cold starts were asked for"
            assert bench.run(how="cold").outcome is Outcome.COMPLETED

    def test_an_engine_that_cannot_be_imported_is_a_reason_not_to_fork(self, tmp_path: Path) -> None:
        with make_keeper(sys.executable, tmp_path, engine="steam") as keeper:
            keeper.wait_ready(120)

            assert keeper.fork_blocker is not None
            assert keeper.fork_blocker.startswith(
                "the engine could not be imported: ValueError: no engine named 'steam'"
            )
            assert "Traceback" in (tmp_path / "keeper.log").read_text()

    def test_an_interpreter_that_ends_at_once_is_gone(self, tmp_path: Path) -> None:
        with make_keeper("/bin/false", tmp_path) as keeper, pytest.raises(KeeperGone, match="exit code 1"):
            keeper.wait_ready(120)

    def test_one_that_says_nothing_is_given_up(self, tmp_path: Path) -> None:
        silent = tmp_path / "silent"
        silent.write_text("#!/bin/sh\nexec sleep 3600\n")
        silent.chmod(0o755)
        keeper = make_keeper(str(silent), tmp_path)
        with pytest.raises(KeeperGone, match="importing the engine took over 0 s"):
            keeper.wait_ready(0.1)
        os.kill(keeper.pid, signal.SIGTERM)
        keeper.close()


def make_keeper(path: str, folder: Path, engine: str = "fake") -> Keeper:
    interpreter = Interpreter(path=path, python_version="3", distribution="x", engine_version="1", packages={})
    return Keeper(
        interpreter, engine, preload=True, environment={}, run_uid=uuid.uuid4().hex, log=folder / "keeper.log"
    )


def test_the_terminals_interrupt_is_not_the_keepers(tmp_path: Path) -> None:
    with open_bench("fake", tmp_path) as bench:
        os.kill(bench.keeper.pid, signal.SIGINT)

        assert bench.run().outcome is Outcome.COMPLETED


@BOTH
def test_a_keeper_killed_in_mid_trial_takes_the_trial_with_it(tmp_path: Path, how: How) -> None:
    pids: list[int] = []
    with open_bench("fake", tmp_path) as bench:

        def kill_keeper(message: dict[str, Any]) -> None:
            if message["event"] == "hello":
                pids.append(pid_of(message))
            if message.get("name") == "warmup":
                os.kill(bench.keeper.pid, signal.SIGKILL)

        ran = bench.run(how=how, engine_args={"fail": "hang_deaf@pass"}, on_event=kill_keeper)

        assert ran.raw.keeper_error == "the keeper process is gone: killed by SIGKILL"
        assert (ran.outcome, ran.failure_class) == (Outcome.CRASHED, "keeper_gone")
        assert ran.why.phase == "warmup"
        assert wait_until(lambda: not is_alive(pids[0]))
        assert bench.processes() == []
        assert bench.temp_folders() == []

        again = bench.run(how=how)
        assert again.raw.keeper_error is not None
        assert again.failure_class == "keeper_gone"
        assert bench.temp_folders() == []


def test_an_interrupt_is_not_hidden_by_a_keeper_that_died(tmp_path: Path) -> None:
    with open_bench("fake", tmp_path) as bench:

        def kill_keeper_and_stop(message: dict[str, Any]) -> None:
            os.kill(bench.keeper.pid, signal.SIGKILL)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.run(engine_args={"fail": "hang"}, on_event=kill_keeper_and_stop)

        assert wait_until(lambda: bench.processes() == [])


@BOTH
def test_closing_the_keeper_ends_a_trial_that_runs(tmp_path: Path, how: How) -> None:
    result_read, result_write = os.pipe()
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "one two"}\n')
    request = {
        "engine": "fake", "model": "any", "engine_args": {"fail": "hang_deaf"}, "prompts_file": str(prompts),
        "output_tokens": 1, "warmup_passes": 0, "passes": 1,
    }  # fmt: skip
    with open_bench("fake", tmp_path) as bench, (tmp_path / "log").open("wb") as log:
        pid = bench.keeper.start(0, how, request, (result_write, log.fileno()))
        os.close(result_write)
        with os.fdopen(result_read) as said:
            assert [json.loads(said.readline())["event"] for _ in range(3)] == ["hello", "phase", "phase"]
        assert is_alive(pid)
    assert wait_until(lambda: not is_alive(pid))
    assert wait_until(lambda: leftovers.marked_processes(bench.run_uid) == [])


# A vbench of its own: it runs one trial that leaves a child in another session and then takes very long.
PARENT = """
import json, sys
from pathlib import Path
from tests.execution.bench import open_bench

folder, how = Path(sys.argv[1]), sys.argv[2]

def tell(message):
    if message.get("name") == "warmup":
        print(json.dumps({"run_uid": bench.run_uid, "keeper": bench.keeper.pid}), flush=True)

with open_bench("fake", folder) as bench:
    bench.run(how=how, engine_args={"fail": "leave_child@load", "sleep_scale": 1e5}, on_event=tell)
"""


@dataclass(frozen=True)
class Parent:
    process: subprocess.Popen[str]
    run_uid: str
    pids: list[int]
    """Keeper, trial, and the child that the trial left."""


@pytest.fixture(params=["fork", "cold"])
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parent]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), request.param],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        run_uid = said["run_uid"]
        assert wait_until(lambda: len(leftovers.marked_processes(run_uid)) == 3)
        yield Parent(process, run_uid, leftovers.marked_processes(run_uid))
        process.kill()
        leftovers.kill_marked(run_uid)
        leftovers.remove_temp_folders(run_uid)


def test_nothing_outlives_a_killed_parent(parent: Parent) -> None:
    parent.process.kill()

    assert wait_until(lambda: not any(map(is_alive, parent.pids)))
    assert leftovers.marked_processes(parent.run_uid) == []
    assert wait_until(lambda: temp_folders(parent.run_uid) == [])


def test_an_interrupt_ends_everything_in_order(parent: Parent) -> None:
    parent.process.send_signal(signal.SIGINT)

    _, errors = parent.process.communicate(timeout=120)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not any(map(is_alive, parent.pids))
    assert leftovers.marked_processes(parent.run_uid) == []
    assert temp_folders(parent.run_uid) == []


class TestLeftovers:
    UID = uuid.uuid4().hex

    def start(self, program: str = "import time; time.sleep(3600)") -> subprocess.Popen[bytes]:
        environment = {**os.environ, leftovers.RUN_MARK: self.UID}
        return subprocess.Popen([sys.executable, "-S", "-c", program], env=environment, start_new_session=True)

    def test_a_process_is_known_by_its_mark_alone(self) -> None:
        with self.start() as process:
            assert wait_until(lambda: leftovers.marked_processes(self.UID) == [process.pid])
            assert leftovers.marked_processes(self.UID[:-1]) == []
            assert leftovers.marked_processes(self.UID, excluding=[process.pid]) == []

            assert leftovers.kill_marked(self.UID) == [process.pid]
            assert process.wait() == -signal.SIGKILL
        assert leftovers.marked_processes(self.UID) == []

    def test_one_that_ends_by_itself_in_time_is_no_leftover(self) -> None:
        with self.start("import time; time.sleep(0.3)") as process:
            assert wait_until(lambda: leftovers.marked_processes(self.UID) == [process.pid])

            assert leftovers.kill_marked(self.UID, grace_s=20) == []
            assert process.wait() == 0

    def test_temp_folders_are_a_runs_own(self) -> None:
        other = leftovers.make_temp_folder("ff" + self.UID)
        mine = [leftovers.make_temp_folder(self.UID) for _ in range(2)]
        (mine[0] / "socket").write_text("x")

        leftovers.remove_temp_folders(self.UID)

        assert [path.exists() for path in mine] == [False, False]
        assert other.exists()
        other.rmdir()
