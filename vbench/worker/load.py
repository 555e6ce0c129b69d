"""When each request of a pass is sent, and how a pass of single requests is driven and timed.

`load` (the sweep file's section; names of vLLM's `bench serve`): `request_rate` (per second; absent: all at once),
`arrival` (`poisson`, `constant`, `gamma` with `burstiness`, `burst` of `burst_size` at a time), `ramp_up_strategy`
(`linear`, `exponential`) with `ramp_up_start_rps` and `ramp_up_end_rps`, `max_concurrency`, `seed`.

Source of the formulas: vLLM 0.32, `vllm/benchmarks/serve.py`, `get_request` and `_get_current_request_rate`; of the
timing, `vllm/benchmarks/lib/endpoint_request_func.py` and `calculate_metrics`.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any, AsyncIterator, Callable, Dict, List, Optional

from .engines.base import PassResult, Work
from .telling import OnTokens, Teller

Send = Callable[[int, Any], AsyncIterator[List[int]]]
ARRIVALS = ("poisson", "constant", "gamma", "burst")


def arrival_offsets(count: int, load: Dict[str, Any]) -> Optional[List[float]]:
    """Seconds from the pass's start at which each of `count` requests is sent; None: all at once.

    As vLLM sends them: the first waits for its gap too, and at a fixed rate the gaps are stretched so that the last is
    sent at `count / request_rate` exactly, whatever the seed. Bursts begin at once and come every
    `burst_size / request_rate` seconds. Equal seeds give equal times, to the nanosecond, on every Python.
    """
    rate, ramp = load.get("request_rate"), load.get("ramp_up_strategy")
    rate = None if rate is None else float(rate)
    if ramp is None and (rate is None or math.isinf(rate)):
        return None
    implied = "gamma" if load.get("burstiness") is not None else "burst" if load.get("burst_size") else "poisson"
    arrival = load.get("arrival") or implied
    if arrival not in ARRIVALS:
        raise ValueError("arrival {!r} is none of {}".format(arrival, ", ".join(ARRIVALS)))
    gap = _gaps(arrival, load)
    offsets, now = [], 0.0
    for index in range(count):
        now += gap(index, _rate_at(index, count, load) if ramp is not None else _positive("request_rate", rate))
        offsets.append(now)
    is_stretched = ramp is None and arrival != "burst" and now > 0 and rate is not None
    factor = count / rate / now if is_stretched and rate is not None else 1.0
    return [round(offset * factor, 9) for offset in offsets]


def _gaps(arrival: str, load: Dict[str, Any]) -> Callable[[int, float], float]:
    """What makes the time between a request and the one before it, from its index and the rate at that point."""
    if arrival == "constant":
        return lambda _, rate: 1.0 / rate
    if arrival == "burst":
        size = int(_positive("burst_size", load.get("burst_size")))
        return lambda index, rate: size / rate if index and index % size == 0 else 0.0
    draw = random.Random(int(load.get("seed") or 0)).random
    burstiness = 1.0
    if arrival == "gamma" and load.get("burstiness") is not None:
        burstiness = _positive("burstiness", load["burstiness"])
    if math.isinf(burstiness):  # the limit, as vLLM has it
        return lambda _, rate: 1.0 / rate
    return lambda _, rate: _gamma(draw, burstiness) / (rate * burstiness)


def _rate_at(index: int, count: int, load: Dict[str, Any]) -> float:
    """Requests per second while the rate goes from the first to the last request's, as `_get_current_request_rate`."""
    start = _positive("ramp_up_start_rps", load.get("ramp_up_start_rps"))
    end = _positive("ramp_up_end_rps", load.get("ramp_up_end_rps"))
    progress = index / max(count - 1, 1)
    if load["ramp_up_strategy"] == "linear":
        return start + (end - start) * progress
    if load["ramp_up_strategy"] == "exponential":
        return float(start * (end / start) ** progress)
    raise ValueError("ramp_up_strategy {!r} is neither linear nor exponential".format(load["ramp_up_strategy"]))


def _positive(name: str, value: Any) -> float:
    if value is None or isinstance(value, bool) or not float(value) > 0:
        raise ValueError("load.{} must be above 0, not {!r}".format(name, value))
    return float(value)


def _gamma(draw: Callable[[], float], shape: float) -> float:
    """A gamma variate of scale 1 (Marsaglia and Tsang 2000; for shape 1 the exponential's inverse).

    From `random()` alone: of the module's generators, only its sequence is promised to stay across Pythons.
    """
    if shape == 1.0:
        return -math.log(1.0 - draw())
    if shape < 1.0:
        return _gamma(draw, shape + 1.0) * float((1.0 - draw()) ** (1.0 / shape))
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        # Box and Muller's normal variate; 1 − u is never 0.
        normal = math.sqrt(-2.0 * math.log(1.0 - draw())) * math.cos(2.0 * math.pi * draw())
        v = (1.0 + c * normal) ** 3
        if v > 0 and math.log(1.0 - draw()) < 0.5 * normal * normal + d - d * v + d * math.log(v):
            return d * v


class RequestError(RuntimeError):
    """One request of a pass failed. It stands for its cause: says its message, and in a record has its name."""

    def __init__(self, index: int, error: BaseException) -> None:
        self.original_type = getattr(error, "original_type", type(error).__name__)
        super().__init__("request {}: {}".format(index, str(error) or self.original_type))
        self.index = index


async def drive(prompts: List[Any], work: Work, send: Send, on_tokens: Optional[OnTokens] = None) -> PassResult:
    """Send every prompt at its time, at most `work.max_concurrency` at once, and time what comes back.

    `send(index, prompt)` sends one request and yields the new token ids of each chunk as it comes (chunks may hold
    several tokens; an empty one is not counted). The caller fills in `input_tokens`. Latencies count from the moment
    the request is sent, after its arrival time and once it has its place, as in `vllm bench serve`: waiting for a
    place is not the engine's. The first request to fail cancels the others and is raised as RequestError. `on_tokens`
    is told now and then what has come.
    """
    requests = [RequestTimes() for _ in prompts]
    start = time.monotonic()
    ended: "asyncio.Future[Optional[RequestError]]" = asyncio.get_running_loop().create_future()
    places = asyncio.Semaphore(work.max_concurrency or max(1, len(prompts)))
    tasks: List["asyncio.Task[None]"] = []
    unanswered = len(prompts)
    teller = Teller(on_tokens, requests, start)

    async def answer(index: int) -> None:
        nonlocal unanswered
        error: Optional[RequestError] = None
        try:
            async with places:
                await requests[index].run(send(index, prompts[index]))
        except Exception as cause:
            error = RequestError(index, cause)
            error.__cause__ = cause
        unanswered -= 1
        if (error is not None or unanswered == 0) and not ended.done():
            ended.set_result(error)

    teller.begin()
    try:
        for index in range(len(prompts)):
            wait_s = 0.0 if work.arrivals_s is None else start + work.arrivals_s[index] - time.monotonic()
            if wait_s > 0:
                await asyncio.wait({ended}, timeout=wait_s)
            if ended.done():
                break
            tasks.append(asyncio.ensure_future(answer(index)))
        error = await ended if prompts else None
    finally:
        teller.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if error is not None:
        raise error
    return result_of(requests, start)


class RequestTimes:
    """One request's times, all on the same clock, in seconds, and its tokens."""

    def __init__(self) -> None:
        self.token_ids: List[int] = []
        self.sent = self.first = self.last = 0.0
        self.gaps: List[float] = []

    async def run(self, chunks: AsyncIterator[List[int]]) -> None:
        """Send, and take every chunk as it comes."""
        self.sent = time.monotonic()
        async for ids in chunks:
            self.came(time.monotonic(), ids)

    def came(self, now: float, ids: List[int]) -> None:
        """A chunk with these new token ids came at that time; one without any is not counted."""
        if not ids:
            return
        if self.token_ids:
            self.gaps.append(now - self.last)
        else:
            self.first = now
        self.last = now
        self.token_ids.extend(ids)


def result_of(requests: List[RequestTimes], start: float) -> PassResult:
    """The result of a pass that began at `start`, its `input_tokens` left to the caller."""
    result = PassResult(input_tokens=[], token_ids=[one.token_ids for one in requests])
    result.ttft_s = [one.first - one.sent if one.token_ids else None for one in requests]
    result.e2e_latency_s = [one.last - one.sent if one.token_ids else None for one in requests]
    result.itl_s = [one.gaps for one in requests]
    result.send_s = [one.sent - start for one in requests]
    add_tpot(result, [len(one.token_ids) for one in requests])
    return result


def add_tpot(result: PassResult, tokens: List[int]) -> None:
    """TPOT = (E2E − TTFT) ÷ (tokens − 1), where `tokens` are those of each request's longest sequence."""
    assert result.ttft_s is not None
    assert result.e2e_latency_s is not None
    result.tpot_s = [
        (e2e - ttft) / (count - 1) if e2e is not None and ttft is not None and count > 1 else None
        for e2e, ttft, count in zip(result.e2e_latency_s, result.ttft_s, tokens)
    ]
