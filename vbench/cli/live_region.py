"""A few lines at the foot of a terminal that are drawn again and again, with a scrollback above them.

Each drawing is one write, between the codes of a synchronised update, and none is made where nothing has changed: it
doesn't flicker. Lines are never as wide as the terminal, and what a narrower window makes of those that stand there is
counted, so that a resize leaves nothing behind. The drawing thread rations itself: an engine may need every core.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

_INTERVAL_S = 0.25
_MAX_DUTY = 0.005  # of one core
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Region:
    """`draw` gives the lines for a width; it is asked in the region's own thread, and must not raise."""

    def __init__(self, console: Console, draw: Callable[[int], Sequence[Text]]) -> None:
        self._console, self._draw = console, draw
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-view", daemon=True)
        self._is_shown = False
        self._shown: tuple[int, str] | None = None  # the terminal's width, and what was written
        self._lengths: list[int] = []

    def start(self) -> None:
        """Begin to draw."""
        with self._lock:
            self._is_shown = True
            self._write(_HIDE_CURSOR)
            self._redraw()
        self._thread.start()

    def stop(self) -> None:
        """Take the lines away and end the thread; the scrollback stays. Before `start` and twice it does nothing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if self._is_shown:
                self._write(self._erasing() + _SHOW_CURSOR)
                self._is_shown = False

    def say(self, text: Text, *, is_cut: bool = False) -> None:
        """Add a line to the scrollback: wrapped by the terminal where it is too long, or cut off."""
        with self._lock:
            if self._is_shown:
                self._write(_BEGIN + self._erasing())
            if is_cut:
                self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
            else:
                self._console.print(text, soft_wrap=True)
            if self._is_shown:
                self._redraw()
                self._write(_END)

    def _run(self) -> None:
        pause_s = _INTERVAL_S
        while not self._ended.wait(pause_s):
            before_s = time.thread_time()
            try:
                with self._lock:
                    self._redraw()
            except (OSError, ValueError):  # the terminal has gone; who writes next hears of it
                return
            pause_s = max(_INTERVAL_S, (time.thread_time() - before_s) / _MAX_DUTY)

    def _redraw(self) -> None:
        size = self._console.size
        width = max(10, size.width - 1)  # in the last column terminals differ
        lines = list(self._draw(width))[: max(1, size.height - 1)]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        with self._console.capture() as captured:
            self._console.print(Text("\n").join(lines), end="", soft_wrap=True)
        text = captured.get()
        if self._shown != (size.width, text):
            self._write(_BEGIN + self._erasing() + text + _END)
            self._shown, self._lengths = (size.width, text), [line.cell_len for line in lines]

    def _erasing(self) -> str:
        """Codes that take the drawn lines away, by the rows that they have in the window as it is now."""
        if self._shown is None:
            return ""
        width = max(1, self._console.size.width)
        rows = sum(max(1, math.ceil(length / width)) for length in self._lengths)
        self._shown, self._lengths = None, []
        return f"\r\x1b[{rows - 1}A\x1b[J" if rows > 1 else "\r\x1b[J"

    def _write(self, text: str) -> None:
        if text:
            self._console.file.write(text)
            self._console.file.flush()
