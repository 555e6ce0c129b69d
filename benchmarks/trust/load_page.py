"""The table of `load_generator.py`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.trust.load_errors import GAP_S, TOKENS, TTFT_S
from benchmarks.trust.pages import table
from vbench.execution.interpreters import find_interpreter
from vbench.execution.machine import machine_facts

if TYPE_CHECKING:
    from benchmarks.trust.load_generator import Held, Highest

IS_HELD = 0.95
# From this share of what bare sockets reach, a client is as fast as the server.
IS_LIMIT = 0.9
BARE = "bare sockets"
NOTES = (
    "Errors are the client's figure less the server's, request by request; the server's are taken before it hands a "
    "token to the kernel and after it has read a request, so the way through the kernel and the client's waking up are "
    "in them. TTFT: with its sign. ITL: the 99th percentile of the size, of a request's mean gap, which all say; in "
    "`gap`, of every single gap, which GuideLLM doesn't say. The first fifth and the last tenth of each run are left "
    "out. Cells: median of the rounds (smallest to largest).",
    "GuideLLM runs with its `perf` extra (uvloop, msgspec), AIPerf with uvloop and orjson, server-side token counts "
    "and one record processor; each with the process count that was faster of 1 and 2 on its core. Bare sockets read "
    "and discard: what they reach is the mock server's own limit on its core.",
)


def page(
    highest: Mapping[str, Highest],
    held: Mapping[tuple[str, float], Sequence[Held]],
    failures: Sequence[str],
    versions: Mapping[str, str],
    command: str,
) -> list[str]:
    """Lines of Markdown."""
    chunks = f"TTFT {TTFT_S * 1e3:.0f} ms, a token each {GAP_S * 1e3:.0f} ms, {TOKENS} tokens"
    lines = ["# Load generators and their clocks", "", f"`{command}`, {_today()}; {_machine()}.", ""]
    lines += [f"Mock server on one core ({chunks}), client on the other.", ""]
    lines += [*(f"* {name}: {said}" for name, said in versions.items()), "", "## Highest rate", ""]
    rows = [(name, f"{one.rate:,.0f}", one.concurrency, one.workers) for name, one in highest.items()]
    lines += [*table(("client", "requests/s", "in flight", "processes"), rows), "", *_limit(highest)]
    lines += ["## Errors of the clock", ""]
    ordered = sorted(held.items(), key=lambda item: (item[0][1], item[0][0]))
    rows_of_errors = [_row(name, asked, rounds, highest) for (name, asked), rounds in ordered]
    head = ("requests/s", "client", "of its highest", "TTFT p50, µs", "TTFT p99, µs", "ITL p99, µs", "gap p99, µs",
            "server late p99, µs")  # fmt: skip
    lines += [*table(head, rows_of_errors), ""]
    for note in NOTES:
        lines += [note, ""]
    lines += [f"* failed: {one.splitlines()[0]}" for one in failures]
    return lines


def _limit(highest: Mapping[str, Highest]) -> list[str]:
    """Whose limit the fastest client met."""
    bare = highest.get(BARE)
    others = {name: one.rate for name, one in highest.items() if name != BARE}
    if bare is None or not others or not bare.rate:
        return []
    fastest = max(others, key=lambda name: others[name])
    share = others[fastest] / bare.rate
    whose = "the server's limit: its own is higher" if share >= IS_LIMIT else "its own limit"
    return [f"{fastest} reached {share:.0%} of what bare sockets do: {whose}.", ""]


def _row(name: str, asked: float, rounds: Sequence[Held], highest: Mapping[str, Highest]) -> list[str]:
    rate = statistics.median(one.rate for one in rounds)
    shown = f"{asked:,.0f}" if rate >= IS_HELD * asked else f"{asked:,.0f} (held {rate:,.0f})"
    return [
        shown, name, f"{asked / highest[name].rate:.0%}",
        _cell(rounds, lambda one: one.errors.ttft_p50_s), _cell(rounds, lambda one: one.errors.ttft_p99_s),
        _cell(rounds, lambda one: one.errors.itl_p99_s), _cell(rounds, lambda one: one.errors.gap_p99_s),
        _cell(rounds, lambda one: one.server_late_p99_s),
    ]  # fmt: skip


def _cell(rounds: Sequence[Held], of: Callable[[Held], float | None]) -> str:
    """In microseconds."""
    values = [value * 1e6 for one in rounds if (value := of(one)) is not None]
    if not values:
        return "–"
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _machine() -> str:
    facts = machine_facts(find_interpreter(None, "fake"), "fake", {})
    return (
        f"{facts['cpu']}, {facts['cpus_allowed']} cores, {facts['system']}, Python {facts['python_version']}, "
        f"load average {facts['load_average']} at the end"
    )
