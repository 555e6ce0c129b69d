"""The worker's end of the socket by which a kept engine is told what is next (see `protocol`)."""

from __future__ import annotations

import os
import socket
from typing import Any, Dict, Optional, Tuple

from .printed import flush
from .protocol import Channel, read_request, receive


class NextTrials:
    """Waits for the next trial of an engine that has been kept."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.set_inheritable(False)
        # A forked engine core must not hold the end that its trial waits on.
        os.register_at_fork(after_in_child=self._socket.close)

    def wait(self) -> Optional[Tuple[Dict[str, Any], Channel]]:
        """The next trial's request and channel, its log in place of the last one's; None when there is to be none."""
        message, fds = receive(self._socket)
        if message is None or message["op"] != "next":
            return None
        result_fd, log_fd, request_fd = fds
        flush()
        for standard in (1, 2):
            os.dup2(log_fd, standard)
        os.close(log_fd)
        return read_request(request_fd), Channel(result_fd)
