"""Connections to a server on loopback, kept from pass to pass, and the requests that they carry."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import Dict, List, Optional

from .http_response import Response

# Below the 5 s after which vLLM closes idle connections, so that none is reused at the moment it is closed.
_KEEP_ALIVE_S = 2.0


class Connections:
    """Those to one server. To be made after the last fork: they aren't to be shared."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self._head = "HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n"
        self._head = self._head.format(port, key)
        self.epoll = select.epoll()
        self.by_descriptor: Dict[int, Connection] = {}
        self._idle: List[Connection] = []

    def message(self, path: str, body: bytes) -> bytes:
        """The request's bytes."""
        return "POST {} {}Content-Length: {}\r\n\r\n".format(path, self._head, len(body)).encode() + body

    def take(self) -> Connection:
        """One that is free: the last that became so, or a new one."""
        oldest = time.monotonic() - _KEEP_ALIVE_S
        while self._idle:
            found = self._idle.pop()
            if found.idle_since >= oldest and found.sock.fileno() >= 0:
                return found
            self.drop(found)
        made = Connection(self.port)
        self.by_descriptor[made.sock.fileno()] = made
        self.epoll.register(made.sock.fileno(), select.EPOLLIN)
        return made

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep it for another request."""
        connection.index, connection.idle_since = None, now
        self._idle.append(connection)

    def drop(self, connection: Connection) -> None:
        """Close it, once; the server gives up what it was answering."""
        if self.by_descriptor.pop(connection.sock.fileno(), None) is not None:
            self.epoll.unregister(connection.sock.fileno())
            connection.sock.close()

    def drop_busy(self) -> None:
        """Close those that carry a request."""
        for one in list(self.by_descriptor.values()):
            if one.index is not None:
                self.drop(one)

    def drop_stale(self) -> None:
        """Of idle ones, close those that the server has closed, or may be about to."""
        closed = {descriptor for descriptor, _ in self.epoll.poll(0)}
        oldest = time.monotonic() - _KEEP_ALIVE_S
        for descriptor, one in list(self.by_descriptor.items()):
            if descriptor in closed or one.idle_since < oldest:
                self.drop(one)

    def close(self) -> None:
        """Close every connection."""
        for one in list(self.by_descriptor.values()):
            self.drop(one)
        self.epoll.close()


class Connection:
    """A socket, and the request that it carries: `index`, None while it is idle."""

    def __init__(self, port: int) -> None:
        self.index: Optional[int] = None
        self.idle_since = float("inf")
        self.response = Response()
        self.unsent = b""
        try:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno == errno.EMFILE:
                advice = "; raise its hard limit (`ulimit -Hn`), or send fewer requests at once (load.max_concurrency)"
                raise OSError(error.errno, (error.strerror or "EMFILE") + advice) from error
            raise
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        status = self.sock.connect_ex(("127.0.0.1", port))
        if status not in (0, errno.EINPROGRESS):
            self.sock.close()
            raise OSError(status, "cannot connect to the server: " + errno.errorcode.get(status, str(status)))

    def flush(self) -> bool:
        """Send what is unsent, as far as it goes; whether all of it went."""
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # not connected yet
                raise
        return not self.unsent
