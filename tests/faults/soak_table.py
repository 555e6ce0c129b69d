"""What the soak found, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.soak_looks import growth
from tests.faults.soak_run import Seen

_NAMES = {
    "rss_kib": "memory of vbench, MiB", "fds": "descriptors of vbench", "threads": "threads of vbench",
    "children": "keepers", "keeper_rss_kib": "memory of a keeper, MiB", "keeper_fds": "descriptors of a keeper",
    "keeper_threads": "threads of a keeper", "keeper_children": "trials' processes, zombies too",
    "temp_files": "temporary files", "shared_memory": "shared memory segments", "strays": "stray files in the run",
}  # fmt: skip


def lines(
    found: Sequence[Seen], shown: Mapping[str, Any], measured: str, seconds: float, speed: float
) -> Iterator[str]:
    """The whole page. `measured` says when and with what."""
    yield from ["# Soak: thousands of trials, many of them broken", "", measured, ""]
    yield (
        f"{shown['trials']:,} real trials in {seconds / 60:.0f} minutes; the account (budgets, sessions, ledger) and "
        f"the engine's clock ran {speed:g} times as fast and saw {shown['simulated_hours']:g} hours. Processes, "
        "deadlines and clean-up took the time they take."
    )
    yield from ["", "| sweep | what is done | trials | hours | sittings | planted | kills | outcomes |",
                "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for one in found:
        outcomes = ", ".join(f"{count} {name}" for name, count in one.outcomes.most_common())
        yield (
            f"| {one.arm.name} | {one.arm.about} | {one.trials} | {one.hours:.1f} | {one.sittings} | "
            f"{one.planted.total()} | {one.hits.total()} | {outcomes} |"
        )
    yield from ["", "| what came of it | |", "|---|---|"]
    yield from (f"| {name.replace('_', ' ')} | {_shown(value)} |" for name, value in shown.items())
    yield from ["", "## What grew", "", *_growth(found)]
    yield from ["", "## What was planted, and what was hit", "", "| | " + " | ".join(_of(found)) + " |"]
    yield "|---|" + "---|" * len(found)
    for kind in ("planted", "hits", "exits"):
        names = sorted({name for one in found for name in getattr(one, kind)})
        for name in names:
            yield f"| {_WORDS[kind]} {name} | " + " | ".join(str(getattr(one, kind)[name]) for one in found) + " |"
    yield from _wrong(found)


_WORDS = {"planted": "told to", "hits": "hit:", "exits": "a sitting ended with"}


def _of(found: Sequence[Seen]) -> list[str]:
    return [one.arm.name for one in found]


def _shown(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


def _growth(found: Sequence[Seen]) -> Iterator[str]:
    yield (
        "Looked at after each trial, before the next begins, in 24 blocks of trials, the first quarter of them left "
        "out; a robust line (Theil, Sen) through the rest, growth in a thousand trials with its interval, all of the "
        "table at 95 % together. A block counts by its median (a trial's log is held for a while, a keeper has just "
        "been killed), and what processes hold among the looks with as many of them as most have (a living engine "
        "takes its share). Of several keepers the largest; memory as glibc has it that returns what is freed at once. "
        "*Flat*: the interval ends below the limit. *Grows*: it begins above."
    )
    yield from [
        "",
        "| sweep | what | first | last | most | growth in 1,000 trials | limit | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        for name, each in growth(one.looks).items():
            scale = 1024 if name.endswith("kib") else 1
            first, last, most, slope, low, high, limit = (
                f"{value / scale:.3g}"
                for value in (each.first, each.last, each.most, each.slope, each.low, each.high, each.limit)
            )
            yield (
                f"| {one.arm.name} | {_NAMES[name]} | {first} | {last} | {most} | {slope} ({low} – {high}) | {limit} | "
                f"{each.word} |"
            )


def _wrong(found: Sequence[Seen]) -> Iterator[str]:
    wrong = [f"* {one.arm.name}: {each}" for one in found for each in one.wrong]
    if wrong:
        yield from ["", "## What went wrong", "", *wrong]
