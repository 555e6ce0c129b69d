"""How Ctrl-C, a signal that ends, or a closed pipe ends a command: with a sentence that says how to go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from vbench.errors import Interrupted

_SHOW_CURSOR = b"\x1b[?25h"
_AGAIN_S = 0.02


class _Stopped(BaseException):
    """Raised by a signal wherever the program happens to be, so no `except Exception` may take it for its own:
    `threading.Thread.start` has one, and would lose track of a thread that does run."""


@contextmanager
def interruptible(message: str, on_stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into `Interrupted` with a message that says how to go on.

    `on_stop` is called first, in a signal handler: it must not write through a buffer. A second Ctrl-C while cleaning
    up ends at once, with the same message; the keeper sees our end close and kills what is left. A reader of our output
    that is gone (`vbench sweep … | head`) ends the command the same way. Where SIGHUP is ignored (`nohup`) it stays so.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        for one in heard:  # a terminal that is closed may send SIGHUP twice, and its shell once more
            signal.signal(one, _hear_nothing if one == signal.SIGHUP else lambda *_: _end_now(message))
        with suppress(OSError):  # the terminal may be what has gone
            on_stop()
        raise _Stopped

    def stop_again(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    is_hup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = (signal.SIGINT, signal.SIGTERM, *(() if is_hup_ignored else (signal.SIGHUP,)))
    before = {one: signal.signal(one, stop) for one in heard}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop_again)
    try:
        with _nothing_swallowed():
            yield
    except _Stopped:
        raise Interrupted(message) from None
    except BrokenPipeError as error:
        silence_stdout()
        raise Interrupted(f"nobody reads the output any more: {message}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _nothing_swallowed() -> Iterator[None]:
    """A signal may come while a destructor or a weak reference's callback runs, as they do within every import; what is
    raised there Python only reports. The same is raised again then, a moment later."""
    report = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if unraisable.exc_type is _Stopped:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            report(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.unraisablehook = report


def _hear_nothing(_number: int, _frame: object) -> None:
    """Not SIG_IGN, which processes that are started would inherit."""


def silence_stdout() -> None:
    """Let what is still buffered for a closed pipe go nowhere, or Python complains about it on its way out."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _end_now(message: str) -> None:
    with suppress(OSError):  # a terminal that has gone
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR + b"\n")  # the live view hid it, and stands there without an end
        os.write(2, f"{message}\n".encode(errors="replace"))
    os._exit(Interrupted.exit_code)
