"""A pseudo-terminal to run the command in."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

from tests.cli.process import COMMAND, DEADLINE_S, Vbench

_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Terminal:
    """A command under a pseudo-terminal; all that it wrote, and how it left the terminal."""

    def __init__(self, vbench: Vbench, *words: str | Path, columns: int = 80, **environment: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.chdir(vbench.folder)
            os.execve(COMMAND, [str(COMMAND), *map(str, words)], vbench.environment(**environment))
        self.before = termios.tcgetattr(self.fd)
        self.after = self.before
        self.raw = ""

    def read_until(self, words: str) -> None:
        """Read on until it has written these words (codes left out)."""
        end = time.monotonic() + DEADLINE_S
        while words not in self.text:
            assert time.monotonic() < end, f"never wrote {words!r}: {self.text}"
            assert self._read(), f"ended without {words!r}: {self.text}"

    def end(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + DEADLINE_S
        while self._read():
            assert time.monotonic() < end, self.text
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        self.pid = 0
        return code

    @property
    def text(self) -> str:
        """Without codes; a redrawn line is there as often as it was drawn."""
        return _CODES.sub("", self.raw).replace("\r\n", "\n")

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
            self.after = termios.tcgetattr(self.fd)
        except OSError:  # the other end is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)

    @property
    def is_cursor_shown(self) -> bool:
        """Whether the last that was said of the cursor is to show it."""
        return re.findall(r"\x1b\[\?25([hl])", self.raw)[-1:] in ([], ["h"])
