"""One question to a worker in another interpreter: a verb, and the one line of JSON that it answers with."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WORKER_ENTRY = Path(__file__).parent.parent / "worker" / "__main__.py"


def ask_worker(
    python: str, words: Sequence[str], timeout_s: float, request: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str]:
    """The answer (empty when it gave none) and the last line of what else was printed. `request` goes to its stdin.

    Raises OSError when the interpreter can't be started, subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryFile() as answers:  # not a pipe: an answer may be longer than a pipe holds unread
        done = subprocess.run(
            [python, str(WORKER_ENTRY), *words, str(answers.fileno())],
            pass_fds=[answers.fileno()],
            input="" if request is None else json.dumps(request),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        answers.seek(0)
        line = answers.readline()
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        answer = {}
    return answer, last_line(done.stdout)


def last_line(text: str | None) -> str:
    """The last line that isn't blank; `it said nothing` without one."""
    lines = [line for line in (text or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
