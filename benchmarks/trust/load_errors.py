"""What a client said of its requests beside what the mock server knows of them: rates, and errors of the clock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.trust.load_clients import Failed, Said
from vbench.worker.engines.http_control import Control

TTFT_S, GAP_S, TOKENS = 0.05, 0.01, 16
# Left out of every comparison: the first requests open connections and warm the client up, the last run out.
FIRST, LAST = 0.2, 0.9


@dataclass(frozen=True)
class Truth:
    """One request at the server: when it was read, and when each token was handed to the kernel."""

    read_s: float
    written_s: tuple[float, ...]

    @property
    def ttft_s(self) -> float:
        return self.written_s[0] - self.read_s

    @property
    def gaps_s(self) -> tuple[float, ...]:
        return tuple(later - earlier for earlier, later in zip(self.written_s, self.written_s[1:], strict=False))

    @property
    def itl_s(self) -> float:
        return (self.written_s[-1] - self.written_s[0]) / (len(self.written_s) - 1)

    @property
    def lateness_s(self) -> float:
        """How far behind its due moment the latest token was."""
        return max(at - self.read_s - TTFT_S - GAP_S * index for index, at in enumerate(self.written_s))


class Mock:
    """The mock server on a core of its own, while the `with` lasts."""

    def __init__(self, core: int) -> None:
        script = Path(__file__).with_name("mock_server.py")
        pace = ["--ttft-s", str(TTFT_S), "--gap-s", str(GAP_S), "--tokens", str(TOKENS)]
        command = ["taskset", "-c", str(core), sys.executable, str(script), *pace]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port: int = json.loads(self._process.stdout.readline())["port"]

    def truth(self) -> list[Truth]:
        """Of the requests finished since the last call, in the order of arrival."""
        found = json.loads(Control(self.port).call("GET", "/truth"))["requests"]
        return sorted((Truth(one["read_s"], tuple(one["written_s"])) for one in found), key=lambda one: one.read_s)

    def __enter__(self) -> Mock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True)
class Errors:
    """The client's figures less the server's, in seconds. `ttft_*` have a sign; the others are 99th percentiles of
    the size: `itl_s` of a request's mean gap, `gap_s` of every gap, None where the client doesn't say them.
    """

    ttft_p50_s: float
    ttft_p99_s: float
    itl_p99_s: float
    gap_p99_s: float | None


def errors_of(said: Sequence[Said], truth: Sequence[Truth]) -> Errors:
    """Request by request, both in the order of sending. Raises Failed where they aren't as many.

    Two requests that crossed on the way are compared with each other's truth, which is the same to within the server's
    own lateness.
    """
    if len(said) != len(truth):
        raise Failed(f"the client tells of {len(said)} requests where the server had {len(truth)}")
    pairs = list(zip(said, truth, strict=True))[round(len(said) * FIRST) : round(len(said) * LAST)]
    ttft = sorted(ours.ttft_s - true.ttft_s for ours, true in pairs)
    itl = sorted(abs(ours.itl_s - true.itl_s) for ours, true in pairs)
    gaps = sorted(
        abs(one - other)
        for ours, true in pairs
        if ours.gaps_s
        for one, other in zip(ours.gaps_s, true.gaps_s, strict=True)
    )
    return Errors(
        quantile(ttft, 0.5), quantile(ttft, 0.99), quantile(itl, 0.99), quantile(gaps, 0.99) if gaps else None
    )


def rate_of(moments: Sequence[float]) -> float:
    """Events per second between the first and the last moments that count."""
    ordered = sorted(moments)
    first, last = round(len(ordered) * FIRST), round(len(ordered) * LAST) - 1
    return (last - first) / (ordered[last] - ordered[first])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of them doesn't exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
