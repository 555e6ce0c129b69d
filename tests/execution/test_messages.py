"""Which lines of the result pipe are messages."""

from __future__ import annotations

import json

import pytest

from vbench.execution import messages
from vbench.execution.messages import is_sound, message_of
from vbench.worker import protocol

PASS = {
    "event": "pass", "kind": "timed", "index": 0, "t": 1.0, "duration_s": 0.5,
    "requests": {"input_tokens": [6], "output_tokens": [4], "itl_s": [[0.1]], "finish_reasons": [None]},
}  # fmt: skip


def test_both_houses_speak_the_same_protocol() -> None:
    assert messages.PROTOCOL == protocol.PROTOCOL


@pytest.mark.parametrize(
    "message",
    [
        PASS,
        {"event": "hello", "protocol": 1},
        {"event": "phase", "name": "load", "t": 3},
        {"event": "engine", "facts": {"weights_bytes": 7, "notes": ["a"], "x": None}},
        {"event": "tokens", "count": 3, "elapsed_s": 0.5},
        {"event": "settled", "half_width": None},
        {"event": "quality", "nll": [1.5], "greedy": [[1, 2], []]},
        {"event": "done", "t": 1.0},
        {"event": "error", "message": "x"},
    ],
)
def test_a_message_is_one(message: dict[str, object]) -> None:
    assert message_of(json.dumps(message).encode()) == message


def changed(**changes: object) -> str:
    return json.dumps({**PASS, **changes})


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "unheard-of"}',
        '{"event": ["phase"]}',
        '{"event": "phase", "name": "load", "t": 1e999}',
        '{"event": "phase", "name": "load", "t": 1' + 400 * "0" + "}",
        '{"event": "phase", "name": "load", "t": 1' + 5000 * "0" + "}",
        '{"event": "phase", "name": "load", "t": true}',
        '{"event": "phase", "name": "unheard-of", "t": 1}',
        '{"event": "phase", "name": ["load"], "t": 1}',
        '{"event": "phase", "name": "pass", "t": 1, "of": "many"}',
        '{"event": "phase", "name": "load", "t": 1, "index": -1}',
        '{"event": "engine", "facts": {"x": -1e999}}',
        '{"event": "engine", "facts": {"x": [[1e999]]}}',
        '{"event": "engine", "facts": {"notes": 5}}',
        '{"event": "engine", "facts": {"notes": [5]}}',
        '{"event": "engine", "facts": ' + 40 * '{"x": ' + "1" + 40 * "}" + "}",
        '{"event": "tokens", "count": -1, "elapsed_s": 1}',
        '{"event": "tokens", "count": 1, "elapsed_s": "1"}',
        changed(t="1"),
        changed(duration_s=None),
        changed(index=1.5),
        changed(requests=None),
        changed(requests={"input_tokens": [6]}),
        changed(requests={"input_tokens": [6], "output_tokens": 4}),
        changed(requests={"input_tokens": [6], "output_tokens": [4.5]}),
        changed(requests={"input_tokens": [6], "output_tokens": [True]}),
        changed(requests={"input_tokens": [6], "output_tokens": [10**400]}),
        changed(requests={"input_tokens": [6], "output_tokens": [4], "send_s": [1]}).replace("[1]", "[1e999]"),
    ],
)
def test_what_could_not_be_read_further_is_none(line: str) -> None:
    assert message_of(line.encode()) is None


def test_a_message_that_grows_with_nothing_is_short() -> None:
    line = json.dumps({"event": "engine", "facts": {"x": "y" * 9 * 1024**2}}).encode()

    assert message_of(line) is None


def test_half_a_character_is_made_fit_to_be_stored() -> None:
    message = message_of(
        json.dumps({"event": "engine", "facts": {"a\udcff": "caf\u00e9 \ud83d\ude00 \udcff"}}).encode()
    )

    assert message is not None
    assert message["facts"] == {"a?": "caf\u00e9 \ud83d\ude00 ?".encode("utf-16", "surrogatepass").decode("utf-16")}


def test_bytes_that_are_not_utf_8_are_none() -> None:
    assert message_of(b'{"event": "error", "message": "\xed\xa0\x80"}') is None


@pytest.mark.parametrize("value", [[1, 2.5, None], [], {}, "1e999", [["a", None], [0.5]], [0, "", None], True])
def test_sound(value: object) -> None:
    assert is_sound(value)


@pytest.mark.parametrize("value", [[float("inf")], [float("nan")], [1.5, 10**400], [10**19], {"a": [{"b": 10**19}]}])
def test_unsound(value: object) -> None:
    assert not is_sound(value)
