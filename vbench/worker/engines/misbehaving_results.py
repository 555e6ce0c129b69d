"""What the fake engine does to its results, and to the pipe that they go through, when it is told to
(`misbehaviours`). No engine knows that descriptor; a stray library that writes where it shouldn't may find it."""

from __future__ import annotations

import fcntl
import math
import os
import time
from typing import Any, Callable, Dict, Iterator, List

from .base import PassResult

NOW = "NOW"
"""In a text that is said: seconds on the monotonic clock."""


def result_fds() -> Iterator[int]:
    """The descriptors of pipes that can be written to, standard output and error left out."""
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        fd = int(name)
        try:
            is_pipe = os.readlink("/proc/self/fd/" + name).startswith("pipe:")
            if fd > 2 and is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                yield fd
        except OSError:
            pass  # that which the folder was read by


def _write(data: bytes) -> None:
    view = memoryview(data)
    fd = next(result_fds())
    while view:
        view = view[os.write(fd, view) :]


def _data(text: str) -> bytes:
    return text.replace(NOW, repr(time.monotonic())).encode()


def _say(text: str) -> None:
    """A line on the result pipe."""
    _write(_data(text) + b"\n")


def _say_and_exit(text: str) -> None:
    """The beginning of a line, and the end of the process, as if all were well."""
    _write(_data(text))
    os._exit(0)


def _say_binary(_: str) -> None:
    _write(bytes(range(256)) * 64)


def _say_endless(text: str) -> None:
    """The same line for ever."""
    line = _data(text) + b"\n"
    block = line * max(1, 60_000 // len(line))
    while True:
        _write(block)


def _say_line_endless(_: str) -> None:
    """A line without an end."""
    while True:
        _write(b"z" * 60_000)


def _close_pipe(_: str) -> None:
    for fd in list(result_fds()):
        os.close(fd)


RESULTS: Dict[str, Callable[[str], None]] = {
    "say": _say,
    "say_and_exit": _say_and_exit,
    "say_binary": _say_binary,
    "say_endless": _say_endless,
    "say_line_endless": _say_line_endless,
    "close_pipe": _close_pipe,
}


def _first_latency(value: float) -> Callable[[PassResult], None]:
    def spoil(result: PassResult) -> None:
        assert result.ttft_s is not None
        result.ttft_s[0] = value

    return spoil


def _cut(result: PassResult) -> None:
    result.input_tokens.pop()
    result.token_ids.pop()


def _repeat(result: PassResult) -> None:
    for column in vars(result).values():
        if isinstance(column, list):
            column.append(column[-1])


def _other_gaps(result: PassResult) -> None:
    result.itl_s = [[0.1]]


def _silent(result: PassResult) -> None:
    nothing: List[Any] = [[] for _ in result.token_ids]
    result.token_ids = nothing


SPOILED: Dict[str, Callable[[PassResult], None]] = {
    "nan": _first_latency(math.nan),
    "infinite": _first_latency(math.inf),
    "negative": _first_latency(-1.0),
    "cut": _cut,
    "repeat": _repeat,
    "other_gaps": _other_gaps,
    "no_tokens": _silent,
}
"""Done to a pass's result before it is handed over."""
