"""Where the time went, and what start-up was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from vbench.analysis.startup import KV_CACHE, Startup, StartupSummary, part_totals, startups, summaries
from vbench.analysis.timing import TimeSplit, binned
from vbench.report import plots_time
from vbench.report.blocks import Bullets, Grid, Plot, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, printable, shorten
from vbench.units import format_duration

_SLOWEST = 5
_MAX_REASON = 200
_MUCH = 0.2
"""Of start-up: a part that takes this much is worth a sentence on what would spare it."""
_HOW = {"fork": "forked", "cold": "started cold"}


def time_section(subject: Subject) -> Section | None:
    """None where no trial took any time."""
    splits = [split for split in subject.splits if split.total_s > 0]
    if not splits:
        return None
    found = startups(subject.records)
    ways = summaries(found)
    reused = sum(record.environment.get("worker_start") == "reused" for record in subject.records)
    sentences = tuple(_sentences(found, ways, reused))
    blocks = blocks_of(
        Prose(_whole(splits)),
        _time_plot(splits),
        _startup_plot(found, ways),
        Grid(startup_table(ways), "Start-up by the way of starting"),
        Bullets(sentences) if sentences else None,
    )
    return Section("time", "Where the time went", blocks)


def _whole(splits: Sequence[TimeSplit]) -> str:
    """The sum over all trials."""
    total = sum(split.total_s for split in splits)
    parts = {
        "start-up": sum(split.startup_s for split in splits),
        "probe and warm-up": sum(split.probe_s + split.warmup_s for split in splits),
        "timed passes": sum(split.timed_s for split in splits),
        "the rest": sum(split.closing_s + split.other_s for split in splits),
    }
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts.items())
    trials = "1 trial" if len(splits) == 1 else f"{len(splits):,} trials"
    return f"{trials} took {format_duration(total)} in all: {shares}."


def _time_plot(splits: Sequence[TimeSplit]) -> Plot:
    bins = tuple(binned(splits))
    caption = (
        "Start-up is process start, imports and loading. Other is writing, closing and waiting for free memory, the "
        "check of the answers, and first attempts that were disturbed."
    )
    largest = max(one.count for one in bins)
    if largest > 1:
        caption += f" Each bar is the mean of {largest:,} trials that follow each other."
    return Plot(
        name="time",
        title="Time of each trial" if largest == 1 else "Time of trials, in their order",
        caption=caption,
        alt=f"Stacked bars of the time of {len(splits)} trials: start-up, warm-up, timed passes, other.",
        draw=partial(plots_time.draw_time, bins),
    )


def _startup_plot(found: Sequence[Startup], ways: Sequence[StartupSummary]) -> Plot | None:
    if not found:
        return None
    slowest = sorted(found, key=lambda one: (-one.total_s, one.trial))[:_SLOWEST]
    rows = tuple(
        [(f"typical, {_way(one.how)} (trial {one.typical.trial})", one.typical) for one in ways]
        + [(f"trial {one.trial}", one) for one in slowest if len(found) > len(ways)]
    )
    return Plot(
        name="startup",
        title="What start-up was made of",
        caption=(
            f"The trial at the median of each way of starting, and the {_SLOWEST} slowest. What the engine "
            "doesn't name of loading is in the rest: its configuration, the tokenizer, often the weights."
        ),
        alt=". ".join(f"{label}: {_parts(one)}" for label, one in rows),
        draw=partial(plots_time.draw_startups, rows),
    )


def _parts(one: Startup) -> str:
    return ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in one.parts.items())


def _way(how: str) -> str:
    return _HOW.get(how, printable(how))


def startup_table(ways: Sequence[StartupSummary]) -> Table:
    """Seconds of start-up, by the way of starting."""
    columns = ("Way of starting", "Trials", "Median", "5th percentile", "95th percentile")
    rows = tuple(
        Row(
            cells=(
                _way(one.how),
                f"{one.count:,}",
                format_duration(one.median_s),
                *(format_duration(value) if one.count > 1 else MISSING for value in (one.low_s, one.high_s)),
            )
        )
        for one in ways
    )
    return Table(columns=columns, rows=rows, numeric=frozenset((1, 2, 3, 4)))


def _sentences(found: Sequence[Startup], ways: Sequence[StartupSummary], reused: int) -> Iterator[str]:
    """How trials were started, and what would shorten it; only what the numbers bear."""
    by_how = {one.how: one for one in ways}
    cold, forked = by_how.get("cold"), by_how.get("fork")
    if cold is not None:
        against = f", {format_duration(forked.median_s)} forked" if forked is not None else ""
        how_many = f"{cold.count:,} of {len(found):,}" if cold.count < len(found) else f"All {len(found):,}"
        text = f"{how_many} trials were started cold: {format_duration(cold.median_s)}{against}"
        yield f"{text} ({'medians' if against else 'median'}).{_blockers(found)}"
    if reused and found:
        spared = format_duration(reused * ways[0].median_s)
        trials = f"{reused:,} trial{'' if reused == 1 else 's'}"
        yield f"{trials} ran on an engine that was running already, which spared about {spared}."
    yield from _shorter(found, is_cold=cold is not None)


def _shorter(found: Sequence[Startup], *, is_cold: bool) -> Iterator[str]:
    """The parts that took much, and what would spare them."""
    totals = part_totals(found)
    whole = sum(totals.values())
    if not whole:
        return
    share = {name: seconds / whole for name, seconds in totals.items()}
    graphs = share.get("compiling", 0.0) + share.get("capturing graphs", 0.0)
    if graphs >= _MUCH:
        yield (
            f"Compiling and capturing graphs took {graphs:.0%} of start-up: enforce_eager spares both, at a cost in "
            "speed that a trial would show."
        )
    if share.get("weights", 0.0) >= _MUCH:
        yield (
            f"Loading weights took {share['weights']:.0%} of start-up: a faster disk, or enough memory to keep the "
            "files cached, would shorten it."
        )
    if is_cold and share.get("import", 0.0) >= _MUCH:
        yield f"Importing the engine took {share['import']:.0%} of start-up: trials that are forked are spared that."
    if share.get(KV_CACHE, 0.0) >= _MUCH:
        yield (
            f"Profiling memory and setting up the KV cache took {share[KV_CACHE]:.0%} of start-up: a smaller cache, "
            "or one whose size is given (kv_cache_memory_bytes), may start sooner."
        )


def _blockers(found: Sequence[Startup]) -> str:
    """Why they weren't forked, where it is known and one reason."""
    reasons = {one.blocker for one in found if one.how == "cold"} - {None}
    return f" Why: {shorten(reasons.pop() or '', _MAX_REASON)}." if len(reasons) == 1 else ""
