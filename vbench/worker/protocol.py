"""What crosses the pipe: one JSON object a line, on a descriptor that nothing else writes to.

Trial → parent, in this order: `phase` (a stretch begins; its end is the next one's begin), `engine` (facts after load),
`pass` (one traversal, with its requests), then exactly one of `done` or `error`. Times are `time.monotonic()`, which on
Linux is one clock for all processes, so the parent can lay its own samples over them.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from typing import Any, Dict

PROTOCOL = 1


class Channel:
    """The writing end. Each message is one `write` of one line, so a killed worker tears at most the last one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_inheritable(fd, False)  # an engine's children must not be able to write here

    def send(self, message: Dict[str, Any]) -> None:
        """Write one message; raises ValueError for NaN or infinities, which JSON can't hold."""
        data = (json.dumps(message, allow_nan=False) + "\n").encode()
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def phase(self, name: str, index: int = 0) -> None:
        """Say that a phase begins now."""
        self.send({"event": "phase", "name": name, "index": index, "t": time.monotonic()})


def error_event(error: BaseException, phase: str) -> Dict[str, Any]:
    """The last message of a worker that failed: what was raised, where, and the last lines of its traceback.

    An error that stands for another process's has that one's name (`original_type`).
    """
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "event": "error",
        "phase": phase,
        "type": getattr(error, "original_type", type(error).__name__),
        "message": str(error)[:20_000],
        "traceback": trace[-20_000:],
        "t": time.monotonic(),
    }
