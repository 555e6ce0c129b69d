"""What an engine may print: floods and junk. Its log stays within bounds, its trial isn't hurt by it."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from tests.execution.bench import Bench, How
from tests.faults.matrix import fault
from vbench.execution import log_limit
from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper, KeeperGone
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])


class TestOutput:
    @fault("engine", "binary junk on stdout", "kept in the log as it is, never printed raw; the trial isn't hurt")
    def test_binary_junk(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(engine_args={"fail": "binary@pass"})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert "\ufffd" in ran.log

    @fault(
        "engine", "gigabytes on stdout",
        "the log keeps its first and last 4 MiB and says how much was left out; the record warns; the trial isn't hurt",
    )  # fmt: skip
    @BOTH
    def test_a_flood(self, fake_bench: Bench, how: How) -> None:
        ran = fake_bench.run(how=how, engine_args={"fail": "flood=100@pass"})  # 300 MiB in all

        assert ran.outcome is Outcome.COMPLETED
        assert ran.raw.log_left_out > 100 * 1024**2
        assert ran.log.startswith("flood 000000 ")
        assert "bytes left out" in ran.log
        assert "flood 00" in ran.log[-1000:]
        assert kept(fake_bench) <= log_limit.MOST_BYTES

    @fault(
        "engine",
        "an endless flood on stdout",
        "ended at its deadline like any hang; the log's size is bounded all the while",
    )
    def test_an_endless_flood(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(
            engine_args={"fail": "flood_endless@pass"}, deadlines=Deadlines(load_s=60, pass_s=0.4, close_s=60)
        )

        assert (ran.outcome, ran.failure_class) == (Outcome.TIMED_OUT, "pass_deadline")
        assert kept(fake_bench) <= log_limit.MOST_BYTES

    @fault("engine", "a line of 64 MiB on stdout", "the log keeps its beginning and its end; the trial isn't hurt")
    def test_an_endless_line(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(engine_args={"fail": "flood_line=64@pass"}, passes=1)

        assert ran.outcome is Outcome.COMPLETED
        assert kept(fake_bench) <= log_limit.MOST_BYTES

    @fault("engine", "the engine's last words, after a flood", "they are the evidence: the log's end is kept")
    def test_last_words(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(engine_args={"fail": "flood=100@load", "max_model_len": 99_999})

        assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "max_model_len_beyond_model")
        assert kept(fake_bench) <= log_limit.MOST_BYTES
        assert "User-specified max_model_len (99999)" in ran.log

    @fault("engine", "a reused engine's flood", "bounded as well, in the log of the trial that it came in")
    def test_a_flood_of_a_reused_engine(self, fake_bench: Bench) -> None:
        first = fake_bench.run(keep_engine=True)
        assert first.raw.engine is not None
        said = first.raw.engine.log.read_bytes()

        second = fake_bench.run(engine=first.raw.engine, keep_engine=True, sampling={"fail": "flood=60"})
        third = fake_bench.run(engine=first.raw.engine)

        assert [one.outcome for one in (second, third)] == [Outcome.COMPLETED] * 2
        assert second.raw.log_left_out > 0
        assert third.raw.log_left_out == 0
        assert "flood" not in third.log
        assert first.raw.engine.log.read_bytes() == said


@fault("engine", "an endless flood on stdout at import", "ended at the load deadline; `keeper.log` is bounded too")
def test_a_flood_at_import(tmp_path: Path) -> None:
    package = tmp_path / "broken" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os\nwhile True: os.write(1, b'still importing\\n' * 4000)\n")
    log = tmp_path / "keeper.log"
    interpreter = Interpreter(
        path=sys.executable, python_version="3", distribution="x", engine_version="1", packages={}
    )
    keeper = Keeper(
        interpreter, "vllm", preload=True, environment={"PYTHONPATH": str(package.parent)},
        run_uid=uuid.uuid4().hex, log=log,
    )  # fmt: skip

    with keeper, pytest.raises(KeeperGone, match="importing the engine took over"):
        keeper.wait_ready(3.0)

    assert log.stat().st_size < 64 * log_limit.MOST_BYTES
    assert b"bytes of output were left out here" in log.read_bytes()


def kept(bench: Bench) -> int:
    """Bytes of the latest log."""
    logs = sorted(bench.folder.glob("[0-9]*.log"), key=lambda path: int(path.stem))
    return logs[-1].stat().st_size
