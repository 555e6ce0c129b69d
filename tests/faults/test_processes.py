"""Processes that trials leave, lose or can't get, and keepers that die, hang or run out of something."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, How, is_alive, open_bench, wait_until
from tests.faults import limits
from tests.faults.keepers import make_keeper
from tests.faults.matrix import fault
from vbench.errors import MachineError
from vbench.execution import keeper_client, leftovers, process_tree, trial_process
from vbench.execution.memory import MemorySampler
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
    others = {leftovers.RUN_MARK: "another", leftovers.KEEPER_MARK: "another"}
    ran = fake_bench.run(how=how, environment=others, engine_args={"fail": "leave_child@load"}, keep_engine=True)
    assert ran.raw.engine is not None, ran.log

    assert len(fake_bench.processes()) == 2  # the trial and its child

    fake_bench.close(ran.raw.engine)


class TestOutOfMemory:
    """By the kernel's own hand, in a control group with little memory."""

    @fault("engine", "OOM kill of the worker, by the kernel", "the trial is `out_of_memory`, the next one runs")
    def test_of_the_worker(self, tmp_path: Path) -> None:
        with open_bench("fake", tmp_path) as bench, limits.of_memory(bench.keeper.pid, 96):
            ran = bench.run(engine_args={"fail": "eat=512"})

            assert (ran.outcome, ran.failure_class) == (Outcome.OUT_OF_MEMORY, "host_out_of_memory"), ran.log
            assert bench.run().outcome is Outcome.COMPLETED

    @fault("engine", "OOM kill of its child only, by the kernel", "the trial is `out_of_memory`, the next one runs")
    def test_of_its_child(self, tmp_path: Path) -> None:
        with open_bench("fake", tmp_path) as bench, limits.of_memory(bench.keeper.pid, 96):
            ran = bench.run(engine_args={"fail": "eat_in_child"})

            assert (ran.outcome, ran.failure_class) == (Outcome.OUT_OF_MEMORY, "host_out_of_memory"), ran.log
            assert bench.run().outcome is Outcome.COMPLETED


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
            with (
                limits.of_files(bench.keeper.pid),
                pytest.raises(MachineError, match=r"raise the limit .`ulimit -n 65536`"),
            ):
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

    @fault("machine", "no more threads", "exit code 3 says what to raise; the trial that had begun is ended")
    def test_threads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(_: MemorySampler) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(MemorySampler, "start", refused)
        with open_bench("fake", tmp_path) as bench, pytest.raises(MachineError, match="no more processes or threads"):
            bench.run(engine_args={"fail": "hang_deaf"})

    @fault(
        "machine", "file-descriptor limit, in vbench", "exit code 3 says what to raise; nothing of the trial is left"
    )
    def test_descriptors_of_our_own(self, tmp_path: Path) -> None:
        with limits.of_files(os.getpid()), pytest.raises(MachineError):
            make_keeper(tmp_path)


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
