"""Imports of engines that raise, crash, hang, or leave processes; and who waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.execution.bench import is_alive, wait_until
from tests.faults.keepers import make_keeper
from tests.faults.matrix import fault
from vbench.execution import process_tree, worker_question
from vbench.execution.keeper_client import KeeperGone

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
from tests.faults.keepers import make_keeper
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
from tests.faults.keepers import make_keeper
from vbench.execution.worker_question import ask_worker

for fd in range(3):
    os.close(fd)
folder = Path(sys.argv[1])
answer, _ = ask_worker(sys.executable, ["describe", "fake"], 240)
with make_keeper(folder) as keeper:
    keeper.wait_ready(240)
    (folder / "answer").write_text(f"{keeper.can_fork} {answer.get('engine')}")
"""
