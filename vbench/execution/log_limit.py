"""A trial's log is kept within bounds while it is written: its head and its tail stay, the middle is left out.

What writes there has it open for appending, so a file that is cut shorter is gone on with at its new end. Nothing else
is asked of the file system, and no writer knows of it. What a flood writes in the very moment of a cut may be lost.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path

MOST_BYTES = 16 * 1024**2
"""Of one trial's output. Between two looks a flood may have written more than that."""
HEAD_BYTES = TAIL_BYTES = 4 * 1024**2
LOOK_S, _LOOK_AGAIN_S = 0.25, 0.02
_CATCH_UP = 8


class LogLimit:
    """Of one log, from byte `start` on; what stands before is another trial's, and not looked at."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self.path, self.start = path, start
        self.left_out = 0
        """Bytes that were written and aren't there any more."""
        self.next_look_t = 0.0
        """On the monotonic clock."""
        self._middle = 0  # where the note stands
        self._note_bytes = 0

    def hold(self, now: float | None = None) -> None:
        """Look whether it is too long, if it is time to, and cut it. Never raises: it is only a log."""
        now = time.monotonic() if now is None else now
        if now < self.next_look_t:
            return
        self.next_look_t = now + LOOK_S
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_size - self.start > MOST_BYTES:
                self._cut()
                self.next_look_t = time.monotonic() + _LOOK_AGAIN_S

    def hold_at_end(self) -> int:
        """The last look, whenever the one before was; returns how much was left out."""
        self.hold(math.inf)
        return self.left_out

    def _cut(self) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not self._middle:
                head = os.pread(fd, HEAD_BYTES, self.start)
                self._middle = self.start + (head.rfind(b"\n") + 1 or len(head))
            size = os.fstat(fd).st_size
            body = self._middle + self._note_bytes
            self.left_out += size - TAIL_BYTES - body
            note = b"\n[vbench: %d bytes of output were left out here]\n" % self.left_out
            self._note_bytes = len(note)
            end = self._middle + _write(fd, note + os.pread(fd, TAIL_BYTES, size - TAIL_BYTES), self._middle)
            for _ in range(_CATCH_UP):  # what was written meanwhile
                more = os.pread(fd, TAIL_BYTES, size)
                if not more:
                    break
                end, size = end + _write(fd, more, end), size + len(more)
            os.ftruncate(fd, end)
        finally:
            os.close(fd)


def _write(fd: int, data: bytes, offset: int) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)
    return len(data)
