"""What may come down the result pipe besides our protocol, from a child that says exactly what a test wants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.execution.bench import temp_folders
from vbench.execution import verdict, watch
from vbench.execution.keeper_client import Exit, Keeper
from vbench.execution.runner import OnEvent, RawTrial, run_trial
from vbench.execution.stopping import Stopper
from vbench.outcome import Outcome
from vbench.records.record import Failure, Pass, Stopped
from vbench.spec.types import Deadlines

RUN_UID = uuid.uuid4().hex
LIMITS = Deadlines(load_s=120, pass_s=120, close_s=120)
NOW = 1e9
"""Stands in what a child says for the time at which it says it."""


class StubKeeper:
    """Stands in for the keeper: its trials write given bytes, one `write` each, and end as told.

    Readable for select when the child has ended (a pidfd), as the keeper's socket is when it says so.
    """

    pid = os.getpid()
    is_adopting = False
    is_running = True

    def __init__(self, writes: list[bytes], code: int = 0, *, stays: bool = False) -> None:
        self.writes, self.code, self.stays = writes, code, stays

    def start(self, trial_id: int, how: str, request: dict[str, Any], fds: tuple[int, int]) -> int:
        program = (
            "import os, sys, time\n"
            f"for part in {self.writes!r}:\n"
            f"    os.write({fds[0]}, part.replace(b'{NOW}', repr(time.monotonic()).encode()))\n"
            "    time.sleep(0.01)\n"
            + (f"os.close({fds[0]}); time.sleep(3600)\n" if self.stays else "")
            + f"os._exit({self.code})\n"
        )
        self.child = subprocess.Popen([sys.executable, "-S", "-c", program], pass_fds=fds, start_new_session=True)
        self.pidfd = os.pidfd_open(self.child.pid)
        return self.child.pid

    def fileno(self) -> int:
        return self.pidfd

    def receive(self, timeout_s: float) -> dict[str, Any]:
        ended = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        was_exit = ended.si_code == os.CLD_EXITED
        code, number = (ended.si_status, None) if was_exit else (None, ended.si_status)
        return {"event": "exited", "id": 0, "code": code, "signal": number}

    def reap(self, trial_id: int) -> None:
        self.child.wait()
        os.close(self.pidfd)


def line(**message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def pass_message(**changes: Any) -> dict[str, Any]:
    requests = {"input_tokens": [6, 6], "output_tokens": [4, 4]}
    base = {"event": "pass", "kind": "timed", "index": 0, "t": 110.0, "duration_s": 0.5, "requests": requests}
    return {**base, **changes}


HELLO = line(event="hello", protocol=1, pid=1, t=1.0)
PASS = line(**pass_message(t=NOW))
DONE = line(event="done", t=2.0)


@pytest.fixture(autouse=True)
def no_temp_folder_is_left() -> Iterator[None]:
    yield
    assert temp_folders(RUN_UID) == []


def run(
    tmp_path: Path, *writes: bytes, code: int = 0, stays: bool = False, limits: Deadlines = LIMITS,
    stopper: Stopper | None = None, on_event: OnEvent = lambda _: None,
) -> tuple[RawTrial, Outcome, Failure | None, list[Pass]]:  # fmt: skip
    keeper = cast(Keeper, StubKeeper(list(writes), code, stays=stays))
    raw = run_trial(
        keeper, trial_id=0, how="cold", request={}, deadlines=limits, log=tmp_path / "log", run_uid=RUN_UID,
        on_event=on_event, stopper=stopper,
    )  # fmt: skip
    return (raw, *verdict.judge(raw, "", limits, num_prompts=2))


def test_a_sound_conversation_completes(tmp_path: Path) -> None:
    raw, outcome, failure, passes = run(tmp_path, HELLO, PASS, DONE)

    assert (outcome, failure) == (Outcome.COMPLETED, None)
    assert [message["event"] for message in raw.messages] == ["hello", "pass", "done"]
    assert passes[0].requests.output_tokens == [4, 4]


def test_tokens_so_far_are_passed_on_and_not_kept(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    told = [line(event="tokens", count=count, elapsed_s=count / 10) for count in (2, 5)]

    raw, outcome, _, _ = run(tmp_path, HELLO, *told, PASS, DONE, on_event=heard.append)

    assert outcome is Outcome.COMPLETED
    assert [message["event"] for message in raw.messages] == ["hello", "pass", "done"]
    assert [message["count"] for message in heard if message["event"] == "tokens"] == [2, 5]


def test_messages_may_come_in_pieces_and_together(tmp_path: Path) -> None:
    whole = HELLO + PASS + DONE
    raw, outcome, _, _ = run(tmp_path, whole[:7], whole[7:90], whole[90:])

    assert outcome is Outcome.COMPLETED
    assert raw.garbage == []


@pytest.mark.parametrize(
    ("stray", "shown"),
    [
        pytest.param(b"INFO starting\n", "INFO starting", id="text"),
        pytest.param(b"\n", "", id="empty line"),
        pytest.param(b"\xff\xfe\x00\n", "\ufffd\ufffd\0", id="binary"),
        pytest.param(b"[1, 2]\n", "[1, 2]", id="not an object"),
        pytest.param(b'{"event": 7}\n', '{"event": 7}', id="no event's name"),
        pytest.param(b"[" * 50_000 + b"\n", "[" * 200, id="nested too deep"),
        pytest.param(
            b'{"event": "phase", "name": "load"}\n', '{"event": "phase", "name": "load"}', id="timeless phase"
        ),
        pytest.param(
            b'{"event": "phase", "name": "pass", "index": "1", "t": 3}\n',
            '{"event": "phase", "name": "pass", "index": "1", "t": 3}',
            id="index that is text",
        ),
        pytest.param(b'{"event": "phase", "t": 3}\n', '{"event": "phase", "t": 3}', id="nameless phase"),
        pytest.param(b'{"event": "tokens"}\n', '{"event": "tokens"}', id="tokens without a number"),
        pytest.param(b'{"event": "engine", "facts": [1]}\n', '{"event": "engine", "facts": [1]}', id="no facts"),
        pytest.param(b'{"event": "pass", "duration_s": NaN}\n', '{"event": "pass", "duration_s": NaN}', id="NaN"),
        pytest.param(b'{"event": "x", "y": -Infinity}\n', '{"event": "x", "y": -Infinity}', id="infinity"),
    ],
)
def test_a_stray_line_spoils_the_result_and_is_shown(tmp_path: Path, stray: bytes, shown: str) -> None:
    raw, outcome, failure, _ = run(tmp_path, HELLO, stray, PASS, DONE)

    assert raw.garbage == [shown]
    assert outcome is Outcome.CRASHED
    assert failure is not None
    assert failure.failure_class == "bad_result"
    assert failure.evidence.startswith("a line on the result pipe isn't ours: ")


def test_a_torn_last_line_is_shown(tmp_path: Path) -> None:
    raw, outcome, _, _ = run(tmp_path, HELLO, PASS, DONE, b'{"event": "pa')

    assert raw.garbage == ['{"event": "pa']
    assert outcome is Outcome.CRASHED


def test_a_message_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_MAX_MESSAGE_BYTES", 4096)

    raw, outcome, failure, _ = run(tmp_path, HELLO, PASS, DONE, b"x" * 8192)

    assert raw.garbage == ["x" * 200]
    assert outcome is Outcome.CRASHED
    assert failure is not None
    assert failure.evidence.startswith("a line of over 0 MiB came down the result pipe, the first: 'xxx")


@pytest.mark.parametrize(
    ("writes", "code", "failure_class", "evidence"),
    [
        pytest.param([], 0, "died", "the worker ended in start with exit code 0", id="silence"),
        pytest.param([HELLO, PASS], 0, "died", "the worker ended in start with exit code 0", id="not done"),
        pytest.param([HELLO, DONE], 0, "bad_result", "said it was done without a timed pass", id="no pass"),
        pytest.param([HELLO, PASS, DONE, DONE], 0, "bad_result", "said `done` 2 times", id="done twice"),
        pytest.param(
            [HELLO, PASS, DONE], 3, "bad_exit", "said it was done, then ended with exit code 3", id="bad exit"
        ),
    ],
)
def test_an_unsound_end_is_no_completion(
    tmp_path: Path, writes: list[bytes], code: int, failure_class: str, evidence: str
) -> None:
    _, outcome, failure, _ = run(tmp_path, *writes, code=code)

    assert outcome is Outcome.CRASHED
    assert failure is not None
    assert (failure.failure_class, failure.evidence) == (failure_class, evidence)


def test_one_that_says_done_and_stays_has_completed_and_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_EXIT_GRACE_S", 0.3)

    raw, outcome, failure, passes = run(tmp_path, HELLO, PASS, DONE, stays=True)

    assert (outcome, failure) == (Outcome.COMPLETED, None)
    assert raw.exit == Exit(code=None, signal=15)
    assert verdict.warnings_of(raw, passes, [4, 4, 4]) == [
        "the worker didn't end by itself after its last result and was killed"
    ]


def test_one_that_closes_its_pipe_and_stays_meets_its_deadline(tmp_path: Path) -> None:
    _, outcome, failure, _ = run(tmp_path, HELLO, stays=True, limits=Deadlines(load_s=0.5, pass_s=30, close_s=30))

    assert outcome is Outcome.TIMED_OUT
    assert failure is not None
    assert failure.failure_class == "load_deadline"


class NoTime:
    """Gives a timed pass no time at all."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def limit_s(self, phase: str, index: int) -> float | None:
        return 0.0 if phase == "pass" else None

    def passed(self, message: dict[str, Any]) -> None:
        self.told.append(message["index"])

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        return Stopped(
            phase=phase, index=index, after_s=after_s, bound=1.0, incumbent_trial=0, incumbent_value=2.0,
            error_rate=0.05,
        )  # fmt: skip


def begins(name: str) -> bytes:
    return line(event="phase", name=name, index=0, t=1.0)


def test_a_pass_that_is_being_told_has_ended_and_is_not_stopped(tmp_path: Path) -> None:
    stopper = NoTime()
    raw, outcome, _, passes = run(tmp_path, HELLO + begins("pass") + PASS[:20], PASS[20:], DONE, stopper=stopper)

    assert (raw.stopped, outcome, len(passes)) == (None, Outcome.COMPLETED, 1)
    assert stopper.told == [0]


def test_an_error_that_came_before_the_stop_is_the_trials_end(tmp_path: Path) -> None:
    error = line(event="error", phase="pass", type="RuntimeError", message="it failed", t=2.0)
    raw, outcome, failure, _ = run(tmp_path, HELLO + begins("pass") + error, code=1, stopper=NoTime())

    assert (raw.stopped, outcome) == (None, Outcome.CRASHED)
    assert failure is not None
    assert failure.evidence == "RuntimeError: it failed"


def test_a_pass_that_takes_its_time_is_stopped(tmp_path: Path) -> None:
    raw, outcome, failure, _ = run(tmp_path, HELLO + begins("pass"), stays=True, stopper=NoTime())

    assert (outcome, failure) == (Outcome.PRUNED, None)
    assert raw.stopped is not None


def test_time_in_which_vbench_stood_still_counts_for_no_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it does when it hears of the pass stands for a suspension; meanwhile the trial ends well.
    monkeypatch.setattr(watch, "_STOOD_STILL_S", 0.5)

    def stand_still(message: dict[str, Any]) -> None:
        if message["event"] == "phase":
            time.sleep(1.5)

    limits = Deadlines(load_s=120, pass_s=1.0, close_s=120)
    raw, outcome, failure, passes = run(
        tmp_path, HELLO + begins("pass"), PASS, DONE, limits=limits, on_event=stand_still
    )

    assert (outcome, failure) == (Outcome.COMPLETED, None)
    assert raw.stood_still_s >= 1.0
    assert any("vbench stood still" in warning for warning in verdict.warnings_of(raw, passes, [4, 4]))
