"""One HTTP/1.1 response as its bytes come, in pieces cut anywhere: its events, or its body.

Only framing is done here (status line, headers, chunks, blank lines between events), as it must be known at once when
a response ends. What an event holds is for others to read, later.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

_LONGEST_HEAD = 65536
# Nothing that was asked for is as long; what has no end must not fill the memory until a deadline. Of an error's body
# the beginning is enough.
_LONGEST_EVENT, _LONGEST_BODY, _LONGEST_ERROR = 1 << 28, 1 << 28, 1 << 20
# Parts of a response, in order.
_HEAD, _SIZE, _DATA, _DATA_END, _TRAILER, _COUNTED, _UNTIL_CLOSE, _ENDED = range(8)


class BadResponse(RuntimeError):
    """What came is not HTTP."""


class Response:
    """`feed` it bytes; it returns the data of the events that they complete, where the response is a stream of events.

    Any other response, an error above all, is kept in `body`. `is_ended`: nothing of it is still to come.
    """

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.is_kept_alive = True
        self._part = _HEAD
        self._is_stream = False
        self._rest = b""  # of the framing, not yet understood
        self._left = 0  # bytes of this chunk, or of the body, that are still to come
        self._text = bytearray()  # of an event that isn't complete

    @property
    def is_ended(self) -> bool:
        return self._part == _ENDED

    def feed(self, data: bytes) -> List[bytes]:
        """The data of each event that is now complete. Raises BadResponse."""
        events: List[bytes] = []
        if self._part == _SIZE and self._is_stream and not self._rest and not self._text:
            events, data = _whole_chunks(data)
            if not data:
                return events
        return events + self._events(self._payload(data))

    def close(self) -> List[bytes]:
        """The server has closed the connection: the last event, where that is how this response ends.

        Raises ConnectionError where it isn't.
        """
        if self._part != _UNTIL_CLOSE:
            raise ConnectionError("the server closed the connection before its answer's end")
        self._part, self.is_kept_alive = _ENDED, False
        return self._events(b"\n\n") if self._is_stream else []

    def _payload(self, data: bytes) -> bytes:
        """What is content in these bytes."""
        content = []
        self._rest += data
        while self._rest or self._part in (_COUNTED, _DATA):
            if self._part in (_DATA, _COUNTED):
                taken, self._rest = self._rest[: self._left], self._rest[self._left :]
                self._left -= len(taken)
                content.append(taken)
                if self._left:
                    break
                self._part = _DATA_END if self._part == _DATA else _ENDED
            elif self._part == _UNTIL_CLOSE:
                content.append(self._rest)
                self._rest = b""
            elif self._part == _ENDED:
                raise BadResponse("the server sent more than its answer: {!r}".format(self._rest[:50]))
            elif not self._step():
                break
        return b"".join(content)

    def _step(self) -> bool:
        """Understand the next line of the framing, or the head; whether it had come."""
        if self._part == _HEAD:
            return self._read_head()
        line, newline, rest = self._rest.partition(b"\n")
        if not newline:
            if len(line) > _LONGEST_HEAD:
                raise BadResponse("a line of the answer's framing has no end")
            return False
        self._rest = rest
        line = line.strip()
        if self._part == _SIZE:
            self._left = _number(line.partition(b";")[0].strip(), 16)
            self._part = _DATA if self._left else _TRAILER
        elif self._part == _DATA_END:
            if line:
                raise BadResponse("a chunk of the answer is longer than it says")
            self._part = _SIZE
        elif not line:  # the trailer's end
            self._part = _ENDED
        return True

    def _read_head(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _LONGEST_HEAD or not (head.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(head[:7])):
                raise BadResponse("not an HTTP answer: {!r}".format(head[:50]))
            return False
        self._rest = rest
        first, *lines = head.split(b"\r\n")
        version, _, status = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise BadResponse("not an HTTP answer: {!r}".format(first[:50]))
        self.status = _number(status[:3], 10)
        if 100 <= self.status < 200:  # an interim one: the answer is still to come
            return True
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip().lower()
        connection = headers.get(b"connection", b"" if version == b"HTTP/1.1" else b"close")
        self.is_kept_alive = b"close" not in connection
        self._is_stream = self.status == 200 and headers.get(b"content-type", b"").startswith(b"text/event-stream")
        self._part = _UNTIL_CLOSE
        if b"chunked" in headers.get(b"transfer-encoding", b""):
            self._part = _SIZE
        elif b"content-length" in headers:
            self._part, self._left = _COUNTED, _number(headers[b"content-length"], 10)
        return True

    def _events(self, content: bytes) -> List[bytes]:
        """The data of the events that this content completes."""
        if not self._is_stream:
            self._add_to_body(content)
            return []
        if b"\n" not in content and b"\r" not in content and not self._text.endswith(b"\r"):
            self._text += content  # nothing ends here, and a long event isn't to be read again with each piece of it
            if len(self._text) > _LONGEST_EVENT:
                raise BadResponse("an event of the answer has no end: {} MiB came".format(_LONGEST_EVENT >> 20))
            return []
        text = bytes(self._text) + content
        held = b""
        if b"\r" in text:
            if text.endswith(b"\r") and not self.is_ended:  # half of a line's end, perhaps
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *blocks, rest = text.split(b"\n\n")
        self._text = bytearray(rest + held)
        found = (_data_of(block) for block in blocks)
        return [data for data in found if data is not None]

    def _add_to_body(self, content: bytes) -> None:
        self.body += content
        if self.status != 200 and len(self.body) > _LONGEST_ERROR:
            self._part, self.is_kept_alive = _ENDED, False
        elif len(self.body) > _LONGEST_BODY:
            raise BadResponse("the answer has no end: {} MiB came".format(_LONGEST_BODY >> 20))


def _whole_chunks(data: bytes) -> Tuple[List[bytes], bytes]:
    """The events at the beginning of these bytes that are a chunk each and one line, as nearly all are; and the rest.

    The response's end is never among what is taken.
    """
    events, at = [], 0
    while True:
        start = data.find(b"\r\n", at, at + 10) + 2
        size = data[at : start - 2]
        if start == 1 or not size.isalnum() or not data.startswith(b"data: ", start):
            break
        end = start + _number(size, 16)
        event = data[start + 6 : end - 2]
        if data[end - 2 : end + 2] != b"\n\n\r\n" or b"\n" in event or b"\r" in event:
            break
        events.append(event)
        at = end + 2
    return events, data[at:]


def _data_of(block: bytes) -> Optional[bytes]:
    """An event's data: the values of its `data` lines; None where it has none (a comment, a ping)."""
    values = [line[5:] for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(value[1:] if value.startswith(b" ") else value for value in values) if values else None


def _number(digits: bytes, base: int) -> int:
    try:
        if digits.isalnum():  # `int` would take signs and underscores too
            return int(digits, base)
    except ValueError:
        pass
    raise BadResponse("the answer's framing has {!r} for a number".format(digits[:20]))
