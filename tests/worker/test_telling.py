"""What is told of a pass while it runs, that it comes as seldom as promised, and that it changes no answer."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vbench.worker import telling
from vbench.worker.engines.base import Work
from vbench.worker.load import drive
from vbench.worker.protocol import Channel
from vbench.worker.telling import Teller

FULL = 1 << 20


class Request:
    def __init__(self, tokens: int) -> None:
        self.token_ids = [1] * tokens


async def _stream(index: int, _: Any) -> AsyncIterator[list[int]]:
    for token in range(10):
        await asyncio.sleep(0.01)
        yield [index, token]


def test_a_pass_tells_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TELL_S", 0.02)
    monkeypatch.setattr(telling, "MAX_DUTY", 1.0)
    told: list[tuple[int, float]] = []

    result = asyncio.run(drive(["a", "b"], Work({}), _stream, lambda *one: told.append(one)))

    assert [len(ids) for ids in result.token_ids] == [20, 20]
    counts, times = [count for count, _ in told], [elapsed_s for _, elapsed_s in told]
    assert told
    assert counts == sorted(counts)
    assert counts[-1] > 0
    assert all(0 <= count <= 40 for count in counts)
    assert all(later - earlier >= 0.019 for earlier, later in zip([0.0, *times], times, strict=False))


def test_nothing_is_told_once_a_pass_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TELL_S", 0.02)
    told: list[int] = []

    async def one_and_wait() -> int:
        await drive(["a"], Work({}), _stream, lambda count, _: told.append(count))
        before = len(told)
        await asyncio.sleep(0.1)
        return before

    assert asyncio.run(one_and_wait()) == len(told)


def test_a_short_pass_and_one_that_nobody_asks_about_tell_nothing() -> None:
    told: list[int] = []
    asyncio.run(drive(["a"], Work({}), _stream, lambda count, _: told.append(count)))
    assert told == []
    assert Teller(None, [], 0.0).due_t == float("inf")


def test_what_takes_long_is_done_seldom() -> None:
    now = time.monotonic()
    quick = Teller(lambda *_: None, [Request(3), Request(4)], now)
    quick.tell(now)
    assert quick.due_t - now < 1.0

    slow = Teller(lambda *_: time.sleep(0.002), [], now)
    now = time.monotonic()
    slow.tell(now)
    assert slow.due_t - now >= 0.002 / telling.MAX_DUTY


def test_a_hint_reaches_who_reads_and_waits_for_nobody() -> None:
    reading, writing = os.pipe()
    try:
        channel = Channel(writing)
        channel.send_if_free({"event": "tokens", "count": 3})
        assert json.loads(os.read(reading, 1000)) == {"event": "tokens", "count": 3}
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writing, True)
        channel.send_if_free({"event": "tokens", "count": 4})  # would block for ever
        assert b"tokens" not in os.read(reading, FULL)
    finally:
        os.close(reading)
    channel.send_if_free({"event": "tokens", "count": 5})  # nor does it fail where nobody reads any more
    channel.close()
