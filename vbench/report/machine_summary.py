"""A report's answer for other programs: `report.json`, and what `vbench report --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vbench.analysis.answer import Answer
from vbench.analysis.failures import group_failures
from vbench.analysis.headroom import headroom_bytes
from vbench.analysis.merged import origin_of
from vbench.analysis.statistics import Interval
from vbench.execution.machine import vbench_version
from vbench.report.page import Page
from vbench.report.several import kind_of
from vbench.report.subject import Subject


def machine_summary(page: Page, subjects: Sequence[Subject]) -> dict[str, Any]:
    """What was found, part by part. What wasn't measured is null; bytes and seconds."""
    return {
        "vbench_version": vbench_version(),
        "mark": None if page.mark is None else page.mark.word,
        "parts": [_part(subject) for subject in subjects],
    }


def _part(subject: Subject) -> dict[str, Any]:
    answer, kind = subject.answer, kind_of(subject.contents)
    folders = [member.folder for member in subject.members] or [subject.folder]
    return {
        "runs": [f"{folder.sweep}/{folder.run_id}" for folder in folders],
        "mark": None if subject.mark is None else subject.mark.word,
        "hardware": kind.hardware,
        "objective": {"metric": answer.objective.metric, "direction": answer.objective.direction},
        "trials": answer.num_trials,
        "completed": answer.num_completed,
        "stopped_early": answer.num_pruned,
        "failures": {group.failure_class: group.count for group in group_failures(subject.records)},
        "problems": list(subject.contents.problems),
        "best": _best(subject, answer),
    }


def _best(subject: Subject, answer: Answer) -> dict[str, Any] | None:
    best = answer.best
    if best is None:
        return None
    origin = origin_of(best)
    folder, number = origin or (f"{subject.folder.sweep}/{subject.folder.run_id}", best.trial)
    return {
        "trial": best.trial,
        "run": folder,
        "trial_in_run": number,
        "value": answer.value,
        "interval": _interval(answer.interval),
        "gain": None if answer.gain is None else answer.gain.ratio,
        "gain_interval": None if answer.gain is None else _interval(answer.gain.interval),
        "baseline_trial": None if answer.baseline is None else answer.baseline.trial,
        "peak_memory_bytes": answer.peak_memory_bytes,
        "headroom_bytes": headroom_bytes(best, subject.contents),
        "not_told_apart_from": sorted(one.trial for one in answer.contenders),
        "parameters": dict(best.parameters),
        "config": dict(best.config),
    }


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    """`kind`: what the bounds are (`single`: of one value, so that nothing is known of its spread)."""
    if interval is None:
        return None
    return {"low": interval.low, "high": interval.high, "kind": interval.kind, "passes": interval.num_passes}
