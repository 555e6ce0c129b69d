"""HTTP responses cut anywhere: the same events and the same end, whatever the pieces."""

from __future__ import annotations

import json
import random

import pytest

from vbench.worker.engines.http_response import BadResponse, Response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
DATA = [b'{"choices": [1]}', b'{"text": "two\\n\\nlines \xc3\xa9"}', b'{"usage": null}', b"[DONE]"]
TEXT = b"data: %s\n\ndata: %s\n\n: keep-alive\n\ndata: %s\n\nevent: end\ndata:%s\n\n" % tuple(DATA)


def chunked(text: bytes, sizes: list[int]) -> bytes:
    """As chunks of these sizes in turn."""
    framed, start, turn = b"", 0, 0
    while start < len(text):
        part = text[start : start + sizes[turn % len(sizes)]]
        framed += b"%X;note=1\r\n%s\r\n" % (len(part), part) if turn % 3 == 2 else b"%x\r\n%s\r\n" % (len(part), part)
        start, turn = start + len(part), turn + 1
    return framed + b"0\r\n\r\n"


def one_a_chunk(text: bytes) -> bytes:
    events = [event + b"\n\n" for event in text.split(b"\n\n")[:-1]]
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


STREAMS = {
    "zeros before a size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0000%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT),
    "one event a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + one_a_chunk(TEXT),
    "chunks cut anywhere": HEAD + b"transfer-encoding: Chunked\r\n\r\n" + chunked(TEXT, [1, 5, 40]),
    "a trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(TEXT, [99])[:-2] + b"x-sum: 1\r\n\r\n",
    "a length": HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT,
    "until it closes": HEAD + b"Connection: close\r\n\r\n" + TEXT[:-2],
    "CRLF": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(TEXT.replace(b"\n", b"\r\n"), [31]),
    "CR": HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT.replace(b"\n", b"\r"),
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    + one_a_chunk(TEXT),
}  # fmt: skip


def fed(response: Response, pieces: list[bytes]) -> list[bytes]:
    return [event for piece in pieces for event in response.feed(piece)]


def cut(stream: bytes, draw: random.Random) -> list[bytes]:
    """Into pieces at random: mostly a few, at times into single bytes."""
    if draw.random() < 0.1:
        return [stream[at : at + 1] for at in range(len(stream))]
    places = sorted(draw.sample(range(1, len(stream)), draw.randint(0, 12)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_the_same_however_the_bytes_are_cut(name: str) -> None:
    draw = random.Random(name)
    for turn in range(300):
        response = Response()
        events = fed(response, cut(STREAMS[name], draw) if turn else [STREAMS[name]])
        if name == "until it closes":
            assert not response.is_ended
            events += response.close()
        assert events == DATA
        assert (response.status, response.is_ended) == (200, True)
        assert response.is_kept_alive == (name != "until it closes")


def test_several_chunks_at_once_are_as_many_events() -> None:
    head, _, chunks = STREAMS["one event a chunk"].partition(b"\r\n\r\n")
    for end in range(len(chunks) + 1):
        response = Response()
        pieces = [head + b"\r\n\r\n", chunks[:end], chunks[end:]]
        assert fed(response, [piece for piece in pieces if piece]) == DATA
        assert response.is_ended


def test_each_event_is_given_with_the_piece_that_completes_it() -> None:
    stream = STREAMS["one event a chunk"]
    response, ends = Response(), []
    for at in range(len(stream)):
        ends += [at + 1] * len(response.feed(stream[at : at + 1]))

    # The blank line ends an event; the end of its chunk doesn't have to be there.
    assert ends == [stream.index(data + b"\n\n") + len(data) + 2 for data in DATA]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_an_error_is_kept_whole(framing: str, size: int) -> None:
    body = json.dumps({"error": {"message": "too long\n\n", "code": 400}}).encode()
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/event-stream\r\n"
    stream = {
        "length": head + b"content-length: %d\r\n\r\n" % len(body) + body,
        "chunks": head + b"transfer-encoding: chunked\r\n\r\n" + chunked(body, [7]),
        "close": b"HTTP/1.0 400 Bad Request\r\n\r\n" + body,
    }[framing]
    response = Response()
    assert fed(response, [stream[at : at + size] for at in range(0, len(stream), size)]) == []
    if framing == "close":
        response.close()

    assert (response.status, bytes(response.body), response.is_ended) == (400, body, True)


def test_a_body_of_no_bytes_is_an_end() -> None:
    response = Response()
    response.feed(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    assert (response.status, response.is_ended) == (503, True)


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "until it closes"])
def test_an_end_before_the_end_is_an_error(name: str) -> None:
    stream = STREAMS[name]
    for length in range(0, len(stream), 7):
        response = Response()
        response.feed(stream[:length])
        with pytest.raises(ConnectionError, match="before its answer's end"):
            response.close()


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "for a number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "for a number"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "for a number"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "longer than it says"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000, "has no end"),
        (HEAD + b"Content-Length: 1\r\n\r\nabc", "more than its answer"),
    ],
)
def test_what_is_not_http_is_said(stream: bytes, said: str) -> None:
    with pytest.raises(BadResponse, match=said):
        Response().feed(stream)
