"""What trials leave behind: found below the keeper that has adopted it, and else by the run's mark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.execution.bench import Bench, How, is_alive, open_bench, wait_until
from vbench.execution import leftovers, process_tree
from vbench.outcome import Outcome

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])
# A mark is inherited only as long as nobody changes it.
UNMARKED = {leftovers.RUN_MARK: "another"}
TREE = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(3600)"])
time.sleep(3600)
"""


@pytest.fixture
def num_scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An entry for each time that every process of the machine was looked at."""
    scans: list[str] = []
    scan = leftovers.marked_processes

    def counted(run_uid: str, **options: object) -> list[int]:
        scans.append(run_uid)
        return scan(run_uid, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(leftovers, "marked_processes", counted)
    return scans


class TestTrial:
    @BOTH
    def test_what_it_leaves_is_ended_whatever_its_environment_says(self, fake_bench: Bench, how: How) -> None:
        ran = fake_bench.run(how=how, engine_args={"fail": "leave_child"}, environment=UNMARKED)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        (child,) = ran.raw.leftovers
        assert not is_alive(child)

    @BOTH
    def test_no_other_process_is_looked_at(self, fake_bench: Bench, how: How, num_scans: list[str]) -> None:
        fake_bench.run(how=how)
        fake_bench.run(how=how, engine_args={"fail": "leave_child"})

        assert num_scans == []

    def test_nor_when_a_kept_engine_is_closed(self, fake_bench: Bench, num_scans: list[str]) -> None:
        ran = fake_bench.run(engine_args={"fail": "leave_child"}, environment=UNMARKED, keep_engine=True)
        assert ran.raw.engine is not None
        (child,) = process_tree.descendants(ran.raw.engine.process.pid)
        fake_bench.close(ran.raw.engine)

        assert num_scans == []
        assert not is_alive(child)

    def test_its_keeper_lets_go_of_what_was_ended(self, fake_bench: Bench) -> None:
        for _ in range(3):
            fake_bench.run(engine_args={"fail": "leave_child"})

        assert wait_until(lambda: process_tree.descendants(fake_bench.keeper.pid) == [])

    def test_of_a_keeper_that_cannot_adopt_the_mark_tells(
        self, fake_bench: Bench, num_scans: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fake_bench.keeper, "_adopts", False)
        ran = fake_bench.run(engine_args={"fail": "leave_child"})

        assert len(ran.raw.leftovers) == 1
        assert not is_alive(ran.raw.leftovers[0])
        assert set(num_scans) == {fake_bench.run_uid}

    def test_where_the_kernel_does_not_name_children_the_mark_tells(
        self, fake_bench: Bench, num_scans: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leftovers, "has_children_files", lambda: False)
        ran = fake_bench.run(engine_args={"fail": "leave_child"})

        assert not is_alive(ran.raw.leftovers[0])
        assert num_scans != []

    def test_only_its_own_temporary_folder_goes(self, fake_bench: Bench) -> None:
        other = leftovers.make_temp_folder(fake_bench.run_uid)
        fake_bench.run()

        assert fake_bench.temp_folders() == [other]
        other.rmdir()


def test_what_outlives_a_killed_keeper_is_found_by_its_mark(
    tmp_path_factory: pytest.TempPathFactory, num_scans: list[str]
) -> None:
    with open_bench("fake", tmp_path_factory.mktemp("killed")) as bench:

        def kill_keeper(message: dict[str, object]) -> None:
            if message.get("name") == "warmup":
                os.kill(bench.keeper.pid, signal.SIGKILL)

        ran = bench.run(engine_args={"fail": "leave_child", "sleep_scale": 1e4}, on_event=kill_keeper)

        assert ran.failure_class == "keeper_gone"
        assert bench.run_uid in num_scans
        assert not any(map(is_alive, ran.raw.leftovers))
        assert bench.processes() == []


def test_those_that_are_to_stay_stay(fake_bench: Bench) -> None:
    ran = fake_bench.run(keep_engine=True)
    assert ran.raw.engine is not None
    pid = ran.raw.engine.process.pid

    assert leftovers.kill_orphans(fake_bench.keeper, fake_bench.run_uid, excluding=[pid]) == []
    assert is_alive(pid)

    fake_bench.close(ran.raw.engine)


@contextmanager
def tree() -> Iterator[tuple[int, int]]:
    """A process and its only child."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", TREE], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (child,) = process_tree.descendants(process.pid)
        try:
            yield process.pid, child
        finally:
            os.killpg(process.pid, signal.SIGKILL)


class TestTree:
    @pytest.mark.parametrize("has_files", [True, False])
    def test_names_every_generation(self, has_files: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        with tree() as (parent, child):
            monkeypatch.setattr(process_tree, "has_children_files", lambda: has_files)
            assert process_tree.descendants(parent) == [child]
            assert set(process_tree.descendants(os.getpid())) >= {parent, child}
            assert process_tree.descendants(child) == []

    @pytest.mark.parametrize("has_files", [True, False])
    def test_of_one_that_has_gone_is_empty(self, has_files: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_tree, "has_children_files", lambda: has_files)
        assert process_tree.descendants(2**22 + 1) == []

    def test_a_zombie_does_not_run(self) -> None:
        with subprocess.Popen(["/bin/true"]) as process:
            assert wait_until(lambda: not is_alive(process.pid))
            assert process.pid in process_tree.descendants(os.getpid())
            assert not process_tree.is_running(process.pid)
        assert not process_tree.is_running(process.pid)
        assert process_tree.is_running(os.getpid())


@BOTH
def test_a_keeper_that_is_closed_ends_what_it_adopted(tmp_path: Path, how: How) -> None:
    children: list[int] = []
    with open_bench("fake", tmp_path) as bench:

        def interrupt(message: dict[str, object]) -> None:
            if message.get("name") == "close":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.run(how=how, engine_args={"fail": "leave_child"}, environment=UNMARKED, on_event=interrupt)
        assert wait_until(lambda: len(process_tree.descendants(bench.keeper.pid)) == 1)
        children += process_tree.descendants(bench.keeper.pid)
        assert is_alive(children[0])

    assert not is_alive(children[0])
