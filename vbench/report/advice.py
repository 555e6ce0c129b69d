"""Why the best won, and what to try next, in a few sentences. Each has its counts or trials in it; where the trials
say nothing, so does this."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vbench.analysis.effects import ParameterEffect
from vbench.analysis.failures import FailureGroup, group_failures
from vbench.analysis.neighbours import Neighbour, by_parameter, is_same_setting, neighbours
from vbench.analysis.ranking import objective_value
from vbench.analysis.search_work import count_trials
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.edges import edge_sentences
from vbench.report.subject import Subject
from vbench.report.text import shorten, show_metric, show_ratio, show_trials, show_value, stopped

MAX_SENTENCES = 4
_MIN_TRIALS = 3
"""On either side of a comparison of medians."""
_MAX_P = 0.01
"""Corrected for the number of parameters that were looked at."""
_ADVICE_CHARACTERS = 200
_SAME = "the same command goes on with it"
_ENDED_EARLY = {
    "out_of_time": ("its time was spent", "go on with a larger --timeout"),
    "gpu_hours": ("its GPU-hours were spent", "go on with larger --gpu-hours"),
    "session_end": ("the session’s end came near", _SAME),
    "interrupted": ("it was interrupted", _SAME),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Sentences; empty where there is nothing to say."""

    why: tuple[str, ...]
    next: tuple[str, ...]


def advice_on(subject: Subject) -> Advice:
    """Why the best won, and what to try next."""
    best = subject.answer.best
    found = [] if best is None else neighbours(best, subject.standing, subject.contents.objective)
    return Advice(why=() if best is None else _why(subject, best, found), next=_next(subject, best, found))


def _why(subject: Subject, best: TrialRecord, found: Sequence[Neighbour]) -> tuple[str, ...]:
    """What the best's settings did, by trials that differ from it in one alone; else by medians over all."""
    groups = by_parameter(found)
    told = list(_told_apart(subject, best, groups)) or list(_by_medians(subject, best))
    return (*told[: MAX_SENTENCES - 1], *_not_told_apart(groups))


def _next(subject: Subject, best: TrialRecord | None, found: Sequence[Neighbour]) -> tuple[str, ...]:
    """What the trials leave open, the most promising first."""
    sentences = (
        *_measure_again(subject),
        *([] if best is None else islice(edge_sentences(best, subject.effects, found), 2)),
        *_preempted(best),
        *([] if best is None else _most_failures(subject.records)),  # else `next_section` has all of them
        *_ended_early(subject),
    )
    return sentences[:MAX_SENTENCES]


def _told_apart(subject: Subject, best: TrialRecord, found: dict[str, list[Neighbour]]) -> Iterator[str]:
    """A parameter each, the largest difference first: against the baseline's value where that was tried, else against
    what came closest."""
    chosen = [one for name, group in found.items() if (one := _rival(subject, name, group)).is_clear]
    metric = subject.contents.objective.metric
    value = show_metric(metric, objective_value(best, subject.contents.objective))
    for one in sorted(chosen, key=lambda each: -each.ratio):
        mine, theirs = _setting(best.parameters[one.parameter]), _setting(one.value)
        result = show_metric(metric, one.result)
        how = f"was stopped early, at {result} or worse" if one.is_bound else f"came to {result}"
        least = "at least " if one.is_bound else ""
        yield (
            f"{one.parameter} {mine} instead of {theirs}, all else the same: {least}{show_ratio(one.ratio)} "
            f"({value}; trial {one.trial} {how})."
        )


def _rival(subject: Subject, name: str, group: Sequence[Neighbour]) -> Neighbour:
    baseline = subject.answer.baseline
    if baseline is not None and name in baseline.config:
        for one in group:
            if is_same_setting(one.value, baseline.config[name]):
                return one
    return group[0]


def _not_told_apart(found: dict[str, list[Neighbour]]) -> list[str]:
    level = {name: [one for one in group if one.is_level] for name, group in found.items()}
    unclear = [
        f"{name} (trial {level[name][0].trial})"
        for name, group in found.items()
        if level[name] and not any(one.is_clear for one in group)
    ]
    if not unclear:
        return []
    return [f"With another value, all else the same, the passes show no difference: {', '.join(unclear[:4])}."]


def _by_medians(subject: Subject, best: TrialRecord) -> Iterator[str]:
    """The parameter whose value in the best goes with the largest difference, where chance is an unlikely reason."""
    metric = subject.contents.objective.metric
    compared = [(one, *sides) for one in subject.effects if (sides := _sides(one, best)) is not None]
    is_more = subject.contents.objective.direction == "maximize"
    ranked = sorted(
        ((one, mine, others, _ratio(mine, others, is_more)) for one, mine, others in compared),
        key=lambda each: -each[3],
    )
    for effect, mine, others, ratio in ranked[:1]:
        if ratio > 1 and _p_value(mine, others) * len(compared) < _MAX_P:
            ours, theirs = show_metric(metric, statistics.median(mine)), show_metric(metric, statistics.median(others))
            yield (
                f"The {len(mine)} completed trials with {effect.name} {_setting(best.parameters[effect.name])} have a "
                f"median of {ours}, the {len(others)} with other values {theirs}: {show_ratio(ratio)}. Other settings "
                "differ between them too."
            )


def _sides(effect: ParameterEffect, best: TrialRecord) -> tuple[list[float], list[float]] | None:
    """The results with the best's value of a parameter, and those with any other; None where either are too few."""
    if effect.name not in best.parameters:
        return None
    mine: list[float] = []
    others: list[float] = []
    for one in effect.values:
        side = mine if is_same_setting(one.value, best.parameters[effect.name]) else others
        side += [result for _, result in one.results]
    return (mine, others) if min(len(mine), len(others)) >= _MIN_TRIALS and min(*mine, *others) > 0 else None


def _ratio(mine: Sequence[float], others: Sequence[float], is_more_better: bool) -> float:
    ratio = statistics.median(mine) / statistics.median(others)
    return ratio if is_more_better else 1 / ratio


def _p_value(mine: Sequence[float], others: Sequence[float]) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(mine, others).pvalue)


def _measure_again(subject: Subject) -> Iterator[str]:
    answer = subject.answer
    if answer.best is None or answer.finals or answer.num_ranked < _MIN_TRIALS:
        return
    # Behind one that came after finals, or is of another run than these, only the finalists are ranked.
    before = (
        f"comes before {answer.num_remeasured} that were measured again"
        if answer.num_remeasured
        else f"is the first of {answer.num_ranked}"
    )
    yield (
        f"Trial {answer.best.trial} was measured once and {before}, so likely a lucky one: run the sweep again with "
        "`--finalists 3`, which measures the best anew."
    )


def _preempted(best: TrialRecord | None) -> Iterator[str]:
    count = None if best is None else value_of(best.measurements, "num_preemptions")
    if count:
        yield (
            f"The best preempted {count:,.0f} request{'s' if count > 1 else ''} for lack of KV cache: give it more "
            "memory, or fewer requests at once (max_num_seqs)."
        )


def _most_failures(records: Sequence[TrialRecord]) -> Iterator[str]:
    groups = group_failures(records)
    if not groups:
        return
    first: FailureGroup = groups[0]
    advice = f": {stopped(shorten(first.advice, _ADVICE_CHARACTERS))}" if first.advice else "."
    of = f"of {len(records):,} trials" if len(records) > 1 else "trial"
    name = shorten(first.failure_class.replace("_", " "), 60)
    how = "refused before the start" if first.phases == ("plan",) else "failed"
    were = ("were " if first.count > 1 else "was ") if first.phases == ("plan",) else ""
    trials = f"trial{_s(first.trials)} {show_trials(first.trials, 6)}"
    yield f"{first.count} {of} {were}{how} with “{name}” ({trials}){advice}"


def _ended_early(subject: Subject) -> Iterator[str]:
    run = subject.contents.run
    found, planned = _ENDED_EARLY.get(str(run.get("status"))), run.get("num_trials_planned")
    if found is not None:
        reason, how = found
        started = count_trials(subject.records).started  # what was planned has no finals and no random arm in it
        of = f" of {planned} planned" if isinstance(planned, int) else ""
        yield f"The search ended after {started}{of} trial{'s' if started != 1 or of else ''}, as {reason}: {how}."


def _setting(value: object) -> str:
    return shorten(show_value(value), 48)


def _s(trials: Sequence[int]) -> str:
    return "s" if len(trials) > 1 else ""
