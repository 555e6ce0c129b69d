"""Questions to a worker in another interpreter: a verb, and the one line of JSON that it answers with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

WORKER_ENTRY = Path(__file__).parent.parent / "worker" / "__main__.py"


def ask_worker(
    python: str, words: Sequence[str], timeout_s: float, request: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str]:
    """The answer (empty when it gave none) and the last line of what else was printed. `request` goes to its stdin.

    Raises OSError when the interpreter can't be started, subprocess.TimeoutExpired.
    """
    with _file() as answers:
        said = run_worker(
            [python, str(WORKER_ENTRY), *words, str(answers.fileno())],
            timeout_s,
            text="" if request is None else json.dumps(request),
            pass_fds=[answers.fileno()],
        )
        answers.seek(0)
        line = answers.readline()
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        answer = {}
    return answer, last_line(said.errors + said.output)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    output: str
    errors: str
    code: int


def run_worker(command: Sequence[str], timeout_s: float, *, text: str = "", pass_fds: Collection[int] = ()) -> Said:
    """Run a command to its end, `text` on its stdin. What it started in its session ends with it, and isn't waited for.

    Raises OSError when it can't be started, subprocess.TimeoutExpired.
    """
    # Files, not pipes: what they hold may be long, and a process that outlives the command may keep them open.
    with _file() as given, _file() as output, _file() as errors:
        given.write(text.encode())
        given.seek(0)
        process = subprocess.Popen(
            command, stdin=given, stdout=output, stderr=errors, pass_fds=pass_fds, start_new_session=True
        )
        try:
            code = process.wait(timeout_s)
        finally:
            _end(process)
        return Said(_text_of(output), _text_of(errors), code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and what is left of its group, whose number is nobody else's as long as one of it is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _file() -> IO[bytes]:
    """An empty file in memory, above the standard descriptors: a child gets its own of those, even if we have none."""
    fd = os.memfd_create("vbench")
    try:
        return open(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3), "w+b")
    finally:
        os.close(fd)


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def last_line(text: str | None) -> str:
    """The last line that isn't blank; `it said nothing` without one."""
    lines = [line for line in (text or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
