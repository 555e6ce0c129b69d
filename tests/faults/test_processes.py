"""Processes that trials leave, lose or can't get, and keepers that die, hang or run out of something."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, How, is_alive, open_bench, wait_until
from tests.faults import limits
from tests.faults.matrix import fault
from vbench.errors import MachineError
from vbench.execution import keeper_client, leftovers, process_tree, trial_process, worker_question
from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper, KeeperGone
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])
GONE = "it is ended with the trial, whatever session it moved to, and the record says so"


def kind(name: str, what: str) -> Any:
    """A parameter with a row of its own."""
    return pytest.param(name, id=name, marks=fault("engine", what, GONE))


@BOTH
@pytest.mark.parametrize(
    "left",
    [
        kind("leave_child", "child that survives its parent"),
        kind("leave_deaf_child", "child that ignores SIGTERM"),
        kind("leave_grandchild", "daemon, forked twice"),
        kind("leave_children", "twenty children in sessions of their own"),
        kind("leave_unmarked", "child without our variables"),
        kind("respawn", "two processes that start each other anew"),
        kind("fork_chain", "process that becomes another each moment"),
        kind("listen", "child that keeps a port"),
    ],
)
def test_what_a_trial_leaves_running_is_ended(fake_bench: Bench, how: How, left: str) -> None:
    ran = fake_bench.run(how=how, engine_args={"fail": left})

    assert ran.outcome is Outcome.COMPLETED, ran.log
    assert not any(map(is_alive, ran.raw.leftovers))
    assert process_tree.descendants(fake_bench.keeper.pid) == [] or wait_until(
        lambda: process_tree.descendants(fake_bench.keeper.pid) == []
    )
    assert fake_bench.run(how=how).outcome is Outcome.COMPLETED


@fault("engine", "sweep file that sets VBENCH_RUN", "the variable by which processes are known stays ours")
@BOTH
def test_no_configuration_changes_the_mark(fake_bench: Bench, how: How) -> None:
    seen: list[str] = []

    def look(message: dict[str, Any]) -> None:
        if message["event"] == "pass":
            seen.extend(str(pid) for pid in fake_bench.processes())

    others = {leftovers.RUN_MARK: "another", leftovers.KEEPER_MARK: "another"}
    ran = fake_bench.run(how=how, environment=others, engine_args={"fail": "leave_child@load"}, on_event=look)

    assert ran.outcome is Outcome.COMPLETED, ran.log
    assert len(set(seen)) == 2  # the trial and its child


class TestRequest:
    @fault("engine", "request of megabytes", "it reaches the engine; no packet's size limits a configuration")
    @BOTH
    def test_a_long_one_arrives(self, fake_bench: Bench, how: How) -> None:
        ran = fake_bench.run(how=how, lora_modules={}, padding="x" * 3_000_000)

        assert ran.outcome is Outcome.COMPLETED, ran.log

    @fault("engine", "request of megabytes", "it reaches the engine; no packet's size limits a configuration")
    def test_so_does_one_to_a_kept_engine(self, fake_bench: Bench) -> None:
        first = fake_bench.run(keep_engine=True)
        assert first.raw.engine is not None

        second = fake_bench.run(engine=first.raw.engine, padding="x" * 3_000_000)

        assert second.raw.how == "reused"
        assert second.outcome is Outcome.COMPLETED, second.log

    @fault("engine", "variable too long for a process", "the trial says so, and the next one runs")
    def test_a_variable_that_no_process_can_have_is_named(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(how="cold", environment={"LONG": "x" * 200_000})

        assert ran.outcome is not Outcome.COMPLETED
        assert "Argument list too long" in ran.why.evidence
        assert fake_bench.run(how="cold").outcome is Outcome.COMPLETED

    @fault("engine", "variable too long for a process", "the trial says so, and the next one runs")
    def test_nor_has_a_keeper_it(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match="the environment is too long for a process: shorten `environment:`"):
            make_keeper(tmp_path, LONG="x" * 200_000)


class TestShortOf:
    """What a machine can be short of; nothing of it is a trial's fault."""

    @fault("machine", "file-descriptor limit, in a keeper", "exit code 3 says what to raise; the keeper stays sound")
    @BOTH
    def test_descriptors(self, tmp_path: Path, how: How) -> None:
        with open_bench("fake", tmp_path) as bench:
            with limits.of_files(bench.keeper.pid), pytest.raises(MachineError, match=r"raise the limit .`ulimit -n`"):
                bench.run(how=how)

            assert bench.run(how=how).outcome is Outcome.COMPLETED
            assert bench.processes() == []

    @fault(
        "machine", "no more processes", "waits a little; then exit code 3 says what to raise; the keeper stays sound"
    )
    def test_processes(self, tmp_path: Path) -> None:
        with open_bench("fake", tmp_path) as bench:
            with limits.of_processes(bench.keeper.pid), pytest.raises(MachineError, match="no more processes or thr"):
                bench.run()

            assert bench.run().outcome is Outcome.COMPLETED

    @fault(
        "machine", "file-descriptor limit, in vbench", "exit code 3 says what to raise; nothing of the trial is left"
    )
    def test_descriptors_of_our_own(self, tmp_path: Path) -> None:
        with limits.of_files(os.getpid()), pytest.raises(MachineError):
            make_keeper(tmp_path)


def make_keeper(folder: Path, engine: str = "fake", **environment: str) -> Keeper:
    interpreter = Interpreter(
        path=sys.executable, python_version="3", distribution="x", engine_version="1", packages={}
    )
    return Keeper(
        interpreter, engine, preload=True, environment=environment, run_uid="ab" * 16,
        log=folder / "keeper.log",
    )  # fmt: skip


class TestKeeper:
    @fault("vbench", "trial that not even SIGKILL ends", "its record says `unkillable`; the next trials start at once")
    def test_one_that_stays_holds_up_nobody(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trial_process, "_TERM_GRACE_S", 0.2)
        monkeypatch.setattr(trial_process, "_KILL_GRACE_S", 0.2)
        with open_bench("fake", tmp_path) as bench, limits.freezer() as freeze:
            limit = Deadlines(load_s=1, pass_s=240, close_s=60)
            ran = bench.run(engine_args={"fail": "hang"}, deadlines=limit, on_event=lambda one: freeze(one.get("pid")))

            assert ran.failure_class == "unkillable"
            again = bench.run()
            assert again.outcome is Outcome.COMPLETED
            assert again.raw.leftovers == []

    @fault("vbench", "keeper that hangs", "it is ended at the sitting's end with all that it had adopted")
    def test_what_a_stuck_one_had_adopted_ends_with_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeper_client, "_STOP_GRACE_S", 0.2)
        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(keep_engine=True, engine_args={"fail": "leave_child@load"})
            assert ran.raw.engine is not None
            below = process_tree.descendants(bench.keeper.pid)
            os.kill(bench.keeper.pid, signal.SIGSTOP)
        ran.raw.engine.discard()

        assert len(below) == 2
        assert wait_until(lambda: not any(map(is_alive, below)))

    @fault("vbench", "keeper killed", "the trial goes with it, its record says `keeper_gone`, the sweep goes on")
    @BOTH
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV], ids=lambda one: one.name)
    def test_a_killed_one_takes_the_trial_with_it(self, tmp_path: Path, how: How, number: signal.Signals) -> None:
        def kill_keeper(message: dict[str, Any]) -> None:
            if message.get("name") == "warmup":
                os.kill(bench.keeper.pid, number)

        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(how=how, engine_args={"fail": "leave_child@load", "sleep_scale": 1e5}, on_event=kill_keeper)

            assert ran.failure_class == "keeper_gone"
            assert bench.processes() == []
            assert bench.temp_folders() == []


IMPORTS = {
    "raises": "raise ImportError('libcudart.so.12: cannot open shared object file')",
    "aborts": "import os; os.abort()",
    "exits": "import os; os._exit(3)",
    "hangs": "import time; time.sleep(600)",
    "hangs with a child": "import subprocess, time; subprocess.Popen(['sleep', '600'], start_new_session=True); "
    "print('up', flush=True); time.sleep(600)",
}


@pytest.fixture
def broken(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Variables with which an import of vLLM does what the parameter says."""
    package = tmp_path / "broken" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(IMPORTS[request.param] + "\n")
    return {"PYTHONPATH": str(package.parent)}


class TestImport:
    @fault("engine", "import error", "trials start cold, and each record has the import's own last words")
    @pytest.mark.parametrize("broken", ["raises"], indirect=True)
    def test_one_that_raises_is_told(self, tmp_path: Path, broken: dict[str, str]) -> None:
        with make_keeper(tmp_path, "vllm", **broken) as keeper:
            keeper.wait_ready(240)

            assert not keeper.can_fork
            assert "ImportError: libcudart.so.12" in str(keeper.fork_blocker)

    @fault("engine", "crash at import", "the keeper's end is told; trials start cold and fail by themselves")
    @pytest.mark.parametrize("broken", ["aborts", "exits"], indirect=True)
    def test_one_that_crashes_is_told(self, tmp_path: Path, broken: dict[str, str]) -> None:
        with (
            make_keeper(tmp_path, "vllm", **broken) as keeper,
            pytest.raises(KeeperGone, match=r"killed by SIGABRT|exit code 3"),
        ):
            keeper.wait_ready(240)

    @fault("engine", "hang at import", "the load deadline ends it, with what it had started")
    @pytest.mark.parametrize("broken", ["hangs", "hangs with a child"], indirect=True)
    def test_one_that_hangs_is_given_up(self, tmp_path: Path, broken: dict[str, str]) -> None:
        with make_keeper(tmp_path, "vllm", **broken) as keeper, pytest.raises(KeeperGone, match="took over"):
            keeper.wait_ready(2.0)

    @fault("vbench", "SIGKILL while the engine is imported", "the import ends too, with what it had started")
    @pytest.mark.parametrize("broken", ["hangs with a child"], indirect=True)
    @pytest.mark.parametrize("verb", ["keeper", "describe"])
    def test_none_outlives_vbench(self, tmp_path: Path, broken: dict[str, str], verb: str) -> None:
        parent = subprocess.Popen([sys.executable, "-c", ASKING, str(tmp_path), verb], env={**os.environ, **broken})
        try:
            assert wait_until(lambda: sleepers(parent.pid))
            begun = process_tree.descendants(parent.pid)
        finally:
            parent.kill()
            parent.wait()
        if verb == "describe":  # what it started in a session of its own isn't ours to find: it is said in the docs
            for pid in begun:
                if is_sleeper(pid):
                    os.kill(pid, signal.SIGKILL)

        assert wait_until(lambda: not any(map(is_alive, begun)))


ASKING = """
import sys
from pathlib import Path
from tests.faults.test_processes import make_keeper
from vbench.execution.worker_question import ask_worker

folder, verb = Path(sys.argv[1]), sys.argv[2]
if verb == "keeper":
    make_keeper(folder, "vllm").wait_ready(600)
else:
    ask_worker(sys.executable, ["describe", "vllm"], 600)
"""


def sleepers(pid: int) -> list[int]:
    return [one for one in process_tree.descendants(pid) if is_sleeper(one)]


def is_sleeper(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") == "sleep\n"
    except OSError:
        return False


class TestQuestion:
    @fault("engine", "import that leaves a process with its output open", "the answer is taken, the process ended")
    def test_nobody_waits_for_what_it_leaves(self, tmp_path: Path) -> None:
        script = tmp_path / "python"
        script.write_text("#!/bin/sh\nsleep 600 &\necho $! >&2\necho said\n")
        script.chmod(0o755)

        said = worker_question.run_worker([str(script)], 120)

        assert (said.output, said.code) == ("said\n", 0)
        assert wait_until(lambda: not is_alive(int(said.errors)))

    @fault("surroundings", "no standard descriptors", "questions and keepers get descriptors of their own")
    def test_closed_descriptors_are_no_matter(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(tmp_path)], timeout=600, check=False, env=os.environ
        )

        assert done.returncode == 0
        assert (tmp_path / "answer").read_text() == "True fake"


WITHOUT_DESCRIPTORS = """
import os, sys
from pathlib import Path
from tests.faults.test_processes import make_keeper
from vbench.execution.worker_question import ask_worker

for fd in range(3):
    os.close(fd)
folder = Path(sys.argv[1])
answer, _ = ask_worker(sys.executable, ["describe", "fake"], 240)
with make_keeper(folder) as keeper:
    keeper.wait_ready(240)
    (folder / "answer").write_text(f"{keeper.can_fork} {answer.get('engine')}")
"""


def test_a_packet_is_small_whatever_the_request(monkeypatch: pytest.MonkeyPatch, fake_bench: Bench) -> None:
    sizes: list[int] = []
    send = socket.socket.sendmsg

    def counted(self: socket.socket, parts: Any, *rest: Any) -> int:
        sizes.append(sum(map(len, parts)))
        return send(self, parts, *rest)

    monkeypatch.setattr(socket.socket, "sendmsg", counted)
    fake_bench.run(padding="x" * 1_000_000)

    assert sizes
    assert max(sizes) < 4096
