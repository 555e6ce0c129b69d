"""What is behind the search section: finals and sessions as tables, and what the search was worth in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.search_work import Arm, Finalist, Point
from vbench.analysis.statistics import interval_of
from vbench.records.record import TrialRecord
from vbench.report.tables import Row, Table
from vbench.report.text import MISSING, show_bounds, show_metric, show_share, show_trials
from vbench.spec.types import Objective
from vbench.sweep.ledger import SessionLine, sum_of
from vbench.units import format_duration, format_number

_NO_END = "no end noted"
_AS_LATE = 0.95
"""Of the time that both arms had: a search that caught up later than this was no quicker."""


def worth_sentences(
    search: Arm, random: Arm, borrowed: Sequence[int], records: Sequence[TrialRecord], objective: Objective
) -> tuple[str, ...]:
    """Both arms at the engine-seconds that both have spent, and how they differ. Both began with the baseline in hand:
    what isn't better is nothing found (the search may have stopped it early for that)."""
    if borrowed and not any(one.origin == "random" for one in records):
        return (
            "The random arm drew nothing but what the search had measured, so that there is nothing to compare: the "
            "space is small, or the search was short.",
        )
    equal_s = min(search.engine_s, random.engine_s)
    start = _baseline_value(records, objective)
    ours, theirs = (_found(arm.best_at(equal_s), start, objective) for arm in (search, random))
    after = f"After the same {format_duration(equal_s)} of engine time"
    if ours is not None and theirs is not None:
        sentences = [f"{after}, {_compared(ours, theirs, records, objective)}"]
        sentences += _caught_up(search, theirs, equal_s, objective)
    else:
        sentences = [f"{after}, {_one_sided(ours, theirs, start, objective)}"]
    if borrowed:
        drawn = f"trial{plural(len(borrowed))} {show_trials(list(borrowed), 6)}"
        sentences.append(
            f"The random arm drew {drawn} too, which the search had measured. Nothing was run twice; the cost is "
            "charged to the arm at its start, where the values help it most."
        )
    return tuple(sentences)


def _baseline_value(records: Sequence[TrialRecord], objective: Objective) -> float | None:
    """Its first measurement; None where it may not be ranked."""
    first = next((one for one in records if one.origin == "baseline" and is_rankable(one, objective)), None)
    return None if first is None else objective_value(first, objective)


def _found(point: Point | None, start: float | None, objective: Objective) -> Point | None:
    """What an arm has that is better than the baseline."""
    if point is None or start is None:
        return point
    return point if (point.value > start) is (objective.direction == "maximize") and point.value != start else None


def _compared(ours: Point, theirs: Point, records: Sequence[TrialRecord], objective: Objective) -> str:
    off = theirs.value / ours.value - 1 if ours.value else 0.0
    told = "" if _are_apart(ours, theirs, records, objective) else "; their intervals overlap"
    return (
        f"random search had found {_point(theirs, objective)}, {show_share(off)} against the search's "
        f"{_point(ours, objective)}{told}. Both by their first measurements; baseline and finals are not counted."
    )


def _one_sided(ours: Point | None, theirs: Point | None, start: float | None, objective: Objective) -> str:
    """Where one arm or both have found nothing."""
    nothing = "a configuration that may be ranked"
    if start is not None:
        nothing = f"anything better than the baseline's {show_metric(objective.metric, start)}"
    found = ours or theirs
    if found is None:
        return f"neither arm had found {nothing}."
    who, other = ("the search", "random search") if found is ours else ("random search", "the search")
    return f"only {who} had found {nothing}: {_point(found, objective)}. {other[0].upper()}{other[1:]} had not."


def _are_apart(ours: Point, theirs: Point, records: Sequence[TrialRecord], objective: Objective) -> bool:
    by_number = {record.trial: record for record in records}
    one, other = (interval_of(by_number[point.trial], objective.metric) for point in (ours, theirs))
    return one is None or other is None or one.low > other.high or other.low > one.high


def _caught_up(search: Arm, theirs: Point, equal_s: float, objective: Objective) -> list[str]:
    """When the search had what random search ended with."""
    sign = 1 if objective.direction == "maximize" else -1
    reached = next((point for point in search.points if sign * point.value >= sign * theirs.value), None)
    share = 1.0 if reached is None or equal_s <= 0 else reached.engine_s / equal_s
    if reached is None or share > _AS_LATE:
        return []
    return [f"The search had as much after {format_duration(reached.engine_s)}, {share:.0%} of that time."]


def _point(point: Point, objective: Objective) -> str:
    return f"{show_metric(objective.metric, point.value)} (trial {point.trial})"


def finals_table(again: Sequence[Finalist], objective: Objective) -> Table:
    """Each finalist's first measurement beside the one that counts."""
    metric = objective.metric
    rows = tuple(
        Row(
            cells=(
                str(one.trial),
                show_metric(metric, one.original),
                str(one.original_rank),
                show_metric(metric, one.value),
                show_bounds(metric, one.interval),
                MISSING if (change := one.change) is None else show_share(change),
                MISSING if one.rank is None else str(one.rank),
                show_trials(one.finals) if one.finals else MISSING,
            ),
            mark="best" if one.rank == 1 else "",
        )
        for one in again
    )
    columns = ("Trial", "First", "Place", "Again", "Interval", "Change", "Place now", "In trials")
    return Table(columns=columns, rows=rows, numeric=frozenset(range(7)))


def finals_notes(again: Sequence[Finalist]) -> tuple[str, ...]:
    """What the finals showed."""
    if len(again) == 1:
        return (
            "Only one finalist was run again, as the run ended then, or only its answers had to be checked: the first "
            "measurements still count.",
        )
    notes = [
        "The finalists were run again in turns, and stand with these passes alone: the best of many first "
        "measurements is likely a lucky one."
    ]
    first = again[0]
    if first.change is not None:
        notes[0] += f" Trial {first.trial}, which had been first, changed by {show_share(first.change)}."
    places = [one.rank for one in again]
    if None in places:
        missing = [one.trial for one in again if one.rank is None]
        notes.append(f"Of trial{plural(len(missing))} {show_trials(missing)} no final can be ranked.")
    elif len(again) > 1:
        notes.append("The order stayed." if places == sorted(p for p in places if p) else "The order changed.")
    return tuple(notes)


def sessions_table(lines: Sequence[SessionLine]) -> Table | None:
    """The ledger; None for fewer than two sessions."""
    if len(lines) < 2:
        return None
    rows = [
        Row(
            cells=(
                str(line.session),
                line.started_at[:16].replace("T", " "),
                format_duration(line.wall_s),
                format_duration(line.engine_s),
                format_number(line.gpu_s / 3600),
                str(line.trials),
                line.status.replace("_", " ") if line.ended_at or line.session == 0 else _NO_END,
            )
        )
        for line in lines
    ]
    total = sum_of(lines)
    cells = ("", "All", format_duration(total.wall_s), format_duration(total.engine_s))
    rows.append(Row(cells=(*cells, format_number(total.gpu_hours), str(total.trials), ""), mark="total"))
    columns = ("Session", "Began (UTC)", "Wall", "Engine", "GPU-hours", "Trials", "Ended")
    return Table(columns=columns, rows=tuple(rows), numeric=frozenset((0, 2, 3, 4, 5)))


def plural(count: int) -> str:
    """The `s` after a noun."""
    return "" if count == 1 else "s"
