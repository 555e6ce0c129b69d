"""The client of a server: sends a pass's requests and times what comes back. Loopback, HTTP/1.1, one thread.

A loop over sockets rather than an HTTP library, for the clock's sake: in a library on asyncio a chunk waits for the
tasks before it, its own parsing and theirs, and only then looks at the clock. Here the clock is read once for all that
`epoll` found, before a byte of it is read; reading only cuts events out of the bytes (`http_response`), and what they
hold is understood when no socket has anything; a pass ends when its last bytes come, whatever of them is understood by
then. It also takes a fraction of the processor time, and the client shares the machine with the engine it measures.
`benchmarks/trust/load_generator.md` has both in figures.
"""

from __future__ import annotations

import gc
import select
import time
from collections import deque
from typing import Deque, List, Optional, Tuple

from ..load import RequestError, RequestTimes, result_of
from ..telling import OnTokens, Teller
from .base import PassResult, Work
from .http_connections import Connection, Connections
from .http_control import HttpError, error_message, without_key
from .http_response import Response
from .http_stream import Answer, object_of

_RECEIVE_BYTES = 65536
# Between two looks at the sockets at most so many requests are sent, and so many events understood: 0.2 ms and 20 µs.
_MOST_SENT, _MOST_UNDERSTOOD = 8, 2
# Events not yet understood, some 300 bytes each. Beyond, understanding is no longer put off.
_MOST_PENDING = 50_000
# The timeout of `epoll` counts whole milliseconds, rounded up. That of `select` doesn't, but it takes low descriptors.
_COARSE_S, _SELECTABLE = 0.002, 1024
_DONE = b"[DONE]"


def drive(
    connections: Connections,
    requests: List[Tuple[str, bytes]],
    work: Work,
    answers: List[Answer],
    is_streamed: bool = True,
    on_tokens: Optional[OnTokens] = None,
) -> PassResult:
    """Send every request (path, body) at its time, at most `work.max_concurrency` at once; time what comes back.

    As `load.drive`, which does it for engines that are no servers; `answers` are filled in. The first request to
    fail closes the connections of the others and is raised as RequestError. `on_tokens` is told now and then what has
    come, when no socket has anything.
    """
    was_enabled = gc.isenabled()
    gc.disable()  # a collection in mid-pass is a pause of the clock, and there are no cycles to find
    try:
        connections.drop_stale()
        return _Pass(connections, requests, work, answers, is_streamed).run(on_tokens)
    finally:
        connections.drop_busy()
        if was_enabled:
            gc.enable()


class _Pass:
    """One pass: which requests are sent, which answers have ended, and the events that are not yet understood."""

    def __init__(
        self,
        connections: Connections,
        requests: List[Tuple[str, bytes]],
        work: Work,
        answers: List[Answer],
        is_streamed: bool,
    ) -> None:
        self._connections, self._requests = connections, requests
        self._answers, self._is_streamed = answers, is_streamed
        self._arrivals_s = work.arrivals_s
        self._places = work.max_concurrency or max(1, len(requests))
        self._times = [RequestTimes() for _ in requests]
        self._num_sent = self._in_flight = 0
        # Of each event: its request, when it came, its data. None for data: the answer's end.
        self._pending: Deque[Tuple[int, float, Optional[bytes]]] = deque()
        self._start = self._end = 0.0

    def run(self, on_tokens: Optional[OnTokens]) -> PassResult:
        connections, pending = self._connections.by_descriptor, self._pending
        self._start = time.monotonic()
        teller = Teller(on_tokens, self._times, self._start)
        while self._in_flight or pending or self._num_sent < len(self._requests):
            wait_s = self._send_due()
            ready = self._wait(0.0 if pending else wait_s)
            now = time.monotonic()
            for descriptor, events in ready:
                connection = connections.get(descriptor)
                if connection is not None:
                    self._serve(connection, events, now)
            if not ready:
                self._understand(_MOST_UNDERSTOOD)
                if now >= teller.due_t:
                    teller.tell(now)
            elif len(pending) > _MOST_PENDING:
                self._understand(2 * len(ready))
        result = result_of(self._times, self._start)
        result.ended_t = self._end or None
        return result

    def _send_due(self) -> Optional[float]:
        """Send what is due; seconds until the next is, None where that waits for an answer."""
        for _ in range(_MOST_SENT):
            if self._num_sent == len(self._requests) or self._in_flight == self._places:
                return None
            if self._arrivals_s is not None:
                wait_s = self._start + self._arrivals_s[self._num_sent] - time.monotonic()
                if wait_s > 0:
                    return wait_s
            self._send(self._num_sent)
        return 0.0

    def _wait(self, wait_s: Optional[float]) -> List[Tuple[int, int]]:
        """What the sockets have, waited for no longer than that."""
        epoll = self._connections.epoll
        if wait_s is None:
            return epoll.poll()
        if wait_s >= _COARSE_S:
            return epoll.poll(wait_s - _COARSE_S / 2)
        if wait_s > 0 and epoll.fileno() < _SELECTABLE:
            select.select([epoll], [], [], wait_s)
            wait_s = 0.0
        return epoll.poll(wait_s)

    def _send(self, index: int) -> None:
        self._num_sent += 1
        self._in_flight += 1
        message = self._connections.message(*self._requests[index])
        try:
            connection = self._connections.take()
            connection.index, connection.response, connection.unsent = index, Response(), message
            connection.idle_since = float("inf")
            self._times[index].sent = time.monotonic()
            if not connection.flush():
                self._connections.epoll.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError as cause:
            raise RequestError(index, cause) from cause

    def _serve(self, connection: Connection, events: int, now: float) -> None:
        """Read what has come for a connection's request, and send what is left of it."""
        index = connection.index
        if index is None:  # it has nothing to say but that it is closed
            self._connections.drop(connection)
            return
        try:
            if events & select.EPOLLOUT and connection.flush():
                self._connections.epoll.modify(connection.sock.fileno(), select.EPOLLIN)
            if events & ~select.EPOLLOUT:
                self._read(connection, index, now)
        except Exception as cause:
            raise RequestError(index, cause) from cause

    def _read(self, connection: Connection, index: int, now: float) -> None:
        try:
            data = connection.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        response = connection.response
        for event in response.feed(data) if data else response.close():
            self._pending.append((index, now, event))
        if not response.is_ended:
            return
        if response.status != 200:
            words = without_key(error_message(response.body.decode("utf-8", "replace")), self._connections.key)
            raise HttpError(response.status, words)
        if not self._is_streamed:
            self._pending.append((index, now, bytes(response.body)))
        self._pending.append((index, now, None))
        self._in_flight -= 1
        self._end = now
        if response.is_kept_alive:
            self._connections.give_back(connection, now)
        else:
            self._connections.drop(connection)

    def _understand(self, most: int) -> None:
        """Read the oldest events, at most so many."""
        for _ in range(min(most, len(self._pending))):
            index, came, data = self._pending.popleft()
            answer = self._answers[index]
            try:
                if data is None:
                    answer.check()
                elif not self._is_streamed:
                    self._times[index].came(came, answer.take_whole(object_of(data)))
                elif data != _DONE:
                    self._times[index].came(came, answer.take(object_of(data)))
            except Exception as cause:
                cause.args = tuple(without_key(str(one), self._connections.key) for one in cause.args)
                raise RequestError(index, cause) from cause
