"""The report's account of the search: what was done, what it cost, what it saved, and what it was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vbench.analysis.ranking import objective_value
from vbench.analysis.search_work import (
    Arm,
    Counts,
    count_trials,
    finalists,
    is_refused,
    random_arm,
    saved_by_stops,
    search_arm,
    spent_by_part,
)
from vbench.analysis.timing import TimeSplit
from vbench.records.record import TrialRecord
from vbench.report import plots_search
from vbench.report.blocks import Block, Fold, Grid, Heading, Plot, Prose, Section, blocks_of
from vbench.report.contents import RunContents
from vbench.report.plot_data import Course
from vbench.report.search_tables import finals_notes, finals_table, plural, sessions_table, worth_sentences
from vbench.report.subject import Subject
from vbench.report.tables import Row, Table
from vbench.report.text import metric_label
from vbench.spec.types import Objective
from vbench.sweep.ledger import sum_of
from vbench.units import format_duration

_ORIGINS = ("search", "random", "final")
_PARTS = {
    "startup_s": "Starting engines", "probe_s": "Probes", "warmup_s": "Warm-up", "timed_s": "Timed passes",
    "closing_s": "Closing", "other_s": "In between",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSection:
    """What stands in the section. Tables that have nothing to say are None."""

    facts: Table
    spent: Table | None
    worth: tuple[str, ...]
    """Sentences on the random arm; empty without one."""
    course: Course | None
    finals: Table | None
    finals_notes: tuple[str, ...]
    sessions: Table | None


def search_section(
    records: Sequence[TrialRecord], contents: RunContents, splits: Sequence[TimeSplit] | None = None
) -> SearchSection | None:
    """None where nothing was searched. `splits` are those of the records, where they were made already."""
    if not any(record.origin in _ORIGINS for record in records):
        return None
    objective = contents.objective
    search = search_arm(records, objective)
    borrowed = _borrowed(contents.run)
    random = random_arm(records, objective, borrowed)
    again = finalists(records, objective)
    return SearchSection(
        facts=_facts(records, contents, random),
        spent=_spent(records, splits),
        worth=worth_sentences(search, random, borrowed, records, objective) if random else (),
        course=_course(search, random, records, objective),
        finals=finals_table(again, objective) if again else None,
        finals_notes=finals_notes(again) if again else (),
        sessions=sessions_table(contents.sessions),
    )


def _borrowed(run: dict[str, Any]) -> tuple[int, ...]:
    stored = run.get("random_arm")
    trials = stored.get("borrowed") if isinstance(stored, dict) else None
    return tuple(one for one in trials if isinstance(one, int)) if isinstance(trials, list) else ()


def _facts(records: Sequence[TrialRecord], contents: RunContents, random: Arm | None) -> Table:
    counts = count_trials(records)
    rows = [
        ("Method", _method(contents.run)),
        ("Started from", _warm_start(contents.run)),
        ("Started", f"{counts.started} trials" + (", the baseline among them" if _baseline(records) else "")),
        ("Refused by the planner", f"{counts.refused}, at no cost" if counts.refused else ""),
        ("Stopped early", _stopped(records, counts)),
        ("Failed", str(counts.failed) if counts.failed else ""),
        ("On a running engine", _reused(counts)),
        ("Measured again", _again(records, counts, contents.run)),
        ("Checked side by side", f"{counts.interference} trials" if counts.interference else ""),
        ("Random arm", _random(random, records)),
        ("GPU time", _gpu_time(contents)),
    ]
    return Table(columns=("What", "How much"), rows=tuple(Row(cells=row) for row in rows if row[1]))


def _method(run: dict[str, Any]) -> str:
    parts = [str(run["search_method"])] if run.get("search_method") else []
    parts += [f"seed {run['seed']}"] if run.get("seed") is not None else []
    return ", ".join(parts)


def _warm_start(run: dict[str, Any]) -> str:
    """The runs that the search heard of first: names, of `run.json`."""
    stored = run.get("warm_start")
    names = [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []
    if not names:
        return ""
    return f"{', '.join(names)}: taken as hints of what is better, none of their numbers is on this page"


def _stopped(records: Sequence[TrialRecord], counts: Counts) -> str:
    if not counts.pruned:
        return ""
    saved = saved_by_stops(records)
    note = f", which saved about {format_duration(sum(saved.values()))} of their remaining passes (an estimate)"
    return f"{counts.pruned}{note if saved else ''}"


def _reused(counts: Counts) -> str:
    return f"{counts.reused} trials, served by an engine that an earlier one had started" if counts.reused else ""


def _again(records: Sequence[TrialRecord], counts: Counts, run: dict[str, Any]) -> str:
    is_cut_short = run.get("status") not in (None, "running", "finished", "exhausted")
    end = "; the run ended before all were, so that the order isn't settled" if is_cut_short else ""
    of = {record.repeat_of for record in records if record.origin == "final"}
    return f"{len(of)} finalist{plural(len(of))}, in {counts.finals} more trials{end}" if counts.finals else ""


def _random(random: Arm | None, records: Sequence[TrialRecord]) -> str:
    if random is None:
        return ""
    own = sum(one.origin == "random" and not is_refused(one) for one in records)
    lent = random.num_trials - own
    note = f", {lent} of them measured by the search already" if lent else ""
    return f"{random.num_trials} trial{plural(random.num_trials)}, {format_duration(random.engine_s)}{note}"


def _gpu_time(contents: RunContents) -> str:
    if not contents.sessions:
        return ""
    total = sum_of(contents.sessions)
    sessions = f"{total.sessions} session{plural(total.sessions)}"
    return f"{format_duration(total.gpu_s)} in {sessions} (a CPU counts as one GPU)"


def _spent(records: Sequence[TrialRecord], splits: Sequence[TimeSplit] | None) -> Table | None:
    spent = spent_by_part(records, splits)
    total = sum(spent.values())
    if total <= 0:
        return None
    rows = [
        Row(cells=(label, format_duration(spent[part]), _share(spent[part] / total)))
        for part, label in _PARTS.items()
        if spent[part] > 0
    ]
    rows.append(Row(cells=("All trials", format_duration(total), ""), mark="total"))
    return Table(columns=("Engine time", "Took", "Share"), rows=tuple(rows), numeric=frozenset((1, 2)))


def _baseline(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """By its own, first measurement."""
    return next((one for one in records if one.origin == "baseline"), None)


def _course(search: Arm, random: Arm | None, records: Sequence[TrialRecord], objective: Objective) -> Course | None:
    if not search.points and not (random and random.points):
        return None
    first = _baseline(records)
    return Course(
        objective=objective,
        search=search,
        random=random,
        baseline=objective_value(first, objective) if first is not None else None,
    )


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def searched_section(subject: Subject) -> Section | None:
    """None where nothing was searched."""
    found = search_section(subject.records, subject.contents, subject.splits)
    if found is None:
        return None
    title = "What the search did"
    plot = course_plot(found.course) if found.course else None
    blocks = blocks_of(
        Grid(found.facts, title, "prose"),
        Heading(plot.title) if plot else None,
        [Prose(sentence) for sentence in found.worth],
        plot,
        [Heading("Finals"), *map(Prose, found.finals_notes)] if found.finals else None,
        Grid(found.finals, "Finalists, measured again") if found.finals else None,
        _spent_fold(found.spent),
        _titled("Sessions", found.sessions, "Sessions of this run"),
    )
    return Section("search", title, blocks)


def _spent_fold(table: Table | None) -> Fold | None:
    """Folded away, as the section on time says the same in a sentence."""
    if table is None:
        return None
    return Fold("Where the engine time went", (Grid(table, "Engine time by part of a trial", "narrow"),))


def _titled(title: str, table: Table | None, caption: str, style: str = "") -> list[Block]:
    return [] if table is None else [Heading(title), Grid(table, caption, style)]


def course_plot(course: Course) -> Plot:
    """The plot and its words."""
    arms = "the search" if course.random is None else "the search and a random search"
    alt = f"Best {metric_label(course.objective.metric)} so far of {arms} against engine-seconds."
    caption = (
        "Best so far of the trials that may be ranked, by their first measurements. Time is what a search's own "
        "trials took, start-up included; baseline and finals are not counted."
    )
    if course.random and any(point.is_borrowed for point in course.random.points):
        caption += " Hollow: the random arm drew a point that the search had measured; it was not run twice."
    draw = partial(plots_search.draw_course, course)
    return Plot(name="search", title="Best so far against engine time", caption=caption, alt=alt, draw=draw)
