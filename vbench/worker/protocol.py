"""What crosses the pipe: one JSON object a line, on a descriptor that nothing else writes to.

Trial → parent, in this order: `phase` (a stretch begins; its end is the next one's begin), `engine` (facts after load),
`pass` (one traversal, with its requests), `settled` (after the last timed pass), where it is asked for `quality` (what
the module of that name found, or the `problem`), then exactly one of `done` or `error`. Times are `time.monotonic()`,
which on Linux is one clock for all processes, so the parent can lay its own samples over them.

A timed pass's `phase` says how many of them there will be: `of`, and `is_most` where it may end before. A `pass` says
what became of the `prefix_cache` before it: `reset`, `kept` as the request has it (`reset_prefix_cache: false`),
`refused` by the engine, or `unsupported`. `settled` is `pacing.Pacer.summary`.

While a pass runs whose answers come one by one, `tokens` says at most twice a second how many there are so far
(`count`, after `elapsed_s`). It is for who looks on: kept by nobody, and not sent where the reader is behind.

A request comes as JSON in a file in memory (memfd_create(2)), whatever its size, and the messages that go with it are
packets of a SOCK_SEQPACKET socket with descriptors: [result, log, request] of a trial.

A trial whose request has `keep_engine` has a fourth descriptor, a SOCK_SEQPACKET socket. It doesn't close its engine:
it says `done` with `is_kept` and waits there, for `{op: next}` with the same three descriptors, which begins
another trial of the same engine on a new pipe (`hello`, `engine` with the same facts, then passes), or for
`{op: close}` or the socket's end, at which it closes the engine and ends, and says nothing any more.

A request's `slow_share` (0 or more; in no request of a sweep) is for tests of vbench itself: after the answers of each
pass the worker idles for that share of the time they took, within what is timed. 0.03 is an engine slower by 3 %.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

PROTOCOL = 1
_MAX_PACKET = 1 << 20
_MOST_DESCRIPTORS = 4


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

    def send_if_free(self, message: Dict[str, Any]) -> None:
        """Write a short message (below PIPE_BUF), or leave it where that would have to wait or nobody reads."""
        free = select.poll()
        free.register(self.fd, select.POLLOUT)
        if free.poll(0) == [(self.fd, select.POLLOUT)]:
            self.send(message)

    def close(self) -> None:
        """Let go of the descriptor; what is sent from now on goes nowhere."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.close(self.fd)
        self.fd = null

    def phase(self, name: str, index: int = 0, **plan: Any) -> None:
        """Say that a phase begins now."""
        self.send({"event": "phase", "name": name, "index": index, "t": time.monotonic(), **plan})


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


def receive(control: socket.socket) -> Tuple[Optional[Dict[str, Any]], List[int]]:
    """One packet and the descriptors that came with it, which no child inherits; None when the parent is gone.

    Where this process may not open as many (RLIMIT_NOFILE) there are none: some of them alone are of no use.
    """
    fds = array.array("i")
    space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * fds.itemsize)
    data, ancillary, flags, _ = control.recvmsg(_MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if flags & socket.MSG_CTRUNC:
        while fds:
            os.close(fds.pop())
    return (json.loads(data) if data else None), list(fds)


def read_request(fd: int) -> Dict[str, Any]:
    """What stands in a request's file; closes it."""
    with open(fd, "rb") as file:
        file.seek(0)
        request: Dict[str, Any] = json.loads(file.read())
    return request
