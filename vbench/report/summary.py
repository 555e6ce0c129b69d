"""The answer in a few numbers and sentences: for the page's top and for the terminal's box."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.analysis.answer import Answer
from vbench.analysis.ranking import Gain
from vbench.analysis.timing import TimeSplit, time_split
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.blocks import Fact
from vbench.report.text import NOT_MEASURED, metric_label, show_bounds, show_metric, show_ratio, show_trials
from vbench.units import format_bytes, format_duration


def summary_headline(answer: Answer) -> str:
    """The finding in one sentence, whatever became of the sweep."""
    if answer.best is not None:
        if answer.finals:
            if answer.num_ranked == 1:
                return f"Trial {answer.best.trial} is the best, and was measured again"
            return f"Trial {answer.best.trial} is the best of {answer.num_ranked} finalists, which were measured again"
        if answer.num_remeasured:
            trial, others = answer.best.trial, answer.num_remeasured
            which = f"the {others} that were" if others > 1 else "the one that was"
            return f"Trial {trial} is the best: not measured again, but clearly ahead of {which}"
        return f"Trial {answer.best.trial} is the best of {answer.num_ranked} that could be ranked"
    if answer.num_trials == 0:
        return "Nothing has been tried yet"
    if answer.num_completed == 0:
        return f"None of the {answer.num_trials} trials completed: see what failed, and what to try, below"
    completed = f"{answer.num_completed} of {answer.num_trials} trials completed"
    return f"{completed}, but none of them has a value and keeps every constraint"


def summary_facts(
    answer: Answer, records: Sequence[TrialRecord], splits: Sequence[TimeSplit] | None = None
) -> tuple[Fact, ...]:
    """The numbers that matter most: the best value first, with what each is worth. `splits` are those of the records,
    where they were made already."""
    tried = Fact(label="Trials", value=f"{answer.num_trials:,}", note=_how_they_ended(answer))
    total = sum(record.duration_s or 0.0 for record in records)
    splits = [time_split(record) for record in records] if splits is None else splits
    spent = Fact(label="Time spent", value=format_duration(total), note=_startup_share(splits))
    if answer.best is None:
        return (tried, spent) if records else ()
    metric = answer.objective.metric
    interval = answer.interval
    note = interval.describe() if interval else "one value for the whole trial"
    if answer.finals:
        note += f"; of its finals, trial{_s(answer.finals)} {show_trials(answer.finals)}"
    bounds = show_bounds(metric, interval)
    value = Fact(
        label=metric_label(metric),
        value=show_metric(metric, answer.value),
        note=f"{bounds}: {note}" if interval and interval.kind != "single" else note,
    )
    source = str(answer.best.hardware.get("memory_source", ""))
    memory = Fact(
        label="Peak memory",
        value=NOT_MEASURED if answer.peak_memory_bytes is None else format_bytes(answer.peak_memory_bytes),
        note=_memory_note(source, len(answer.best.hardware.get("gpus") or ())),
    )
    return (value, _gain_fact(answer), memory, tried, spent)


def _how_they_ended(answer: Answer) -> str:
    refused = answer.num_refused
    failed = answer.num_trials - answer.num_completed - answer.num_pruned - refused - answer.num_spoilt
    if not (answer.num_pruned or refused or answer.num_spoilt):
        return f"{answer.num_completed} completed, {failed} failed" if failed else "all completed"
    rest = f", {answer.num_pruned:,} stopped early" if answer.num_pruned else ""
    rest += f", {failed:,} failed" if failed else ""
    rest += f", {answer.num_spoilt:,} spoilt by the machine" if answer.num_spoilt else ""
    rest += f", {refused:,} refused by the planner" if refused else ""
    return f"{answer.num_completed:,} completed{rest}"


def _memory_note(source: str, num_gpus: int) -> str:
    if "pss" in source.lower():
        return "host memory (PSS of the trial's process tree), as the engine ran on a CPU"
    if source == "NVML":
        return "of the fullest GPU, by NVML" if num_gpus > 1 else "of the GPU, by NVML"
    return source or "source not recorded"


def _startup_share(splits: Sequence[TimeSplit]) -> str:
    total = sum(split.total_s for split in splits)
    return f"{sum(split.startup_s for split in splits) / total:.0%} of it starting engines" if total > 0 else ""


def _gain_fact(answer: Answer) -> Fact:
    label = "Against the baseline"
    if answer.baseline is None:
        return Fact(label=label, value="no baseline", note="the sweep names no baseline to compare with")
    if answer.best is not None and answer.best.trial == answer.baseline.trial:
        return Fact(label=label, value="the same", note="nothing tried was better than the baseline")
    if answer.gain is None:
        how = answer.baseline.outcome.value.replace("_", " ")
        return Fact(label=label, value="not comparable", note=f"the baseline, trial {answer.baseline.trial}: {how}")
    return Fact(label=label, value=show_ratio(answer.gain.ratio), note=_gain_note(answer, answer.gain))


def _gain_note(answer: Answer, gain: Gain) -> str:
    once = "; the baseline was not measured again" if answer.finals and not answer.is_baseline_remeasured else ""
    interval = gain.interval
    if interval is None:
        return f"no value per pass{once}"
    if interval.kind == "single":
        return f"a single pass on one side: how sure this is, is not known{once}"
    kind = "95% bootstrap interval" if interval.is_confidence else "worst to best case of the passes"
    doubt = "" if gain.is_clear else "; not told apart from no gain"
    return f"×{interval.low:.2f} – ×{interval.high:.2f}: {kind}{doubt}{once}"


def summary_notes(answer: Answer, records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """What limits the answer, as sentences with advice."""
    notes: list[str] = []
    if answer.not_remeasured:
        notes.append(missing_finals(answer))
    if answer.contenders:
        trials = sorted(record.trial for record in answer.contenders)
        notes.append(
            f"These passes don't tell it apart from trial{_s(trials)} {show_trials(trials)}, "
            "as the intervals overlap: measure again with more passes before relying on the order."
        )
    if answer.late:
        notes.append(late_trials(answer))
    rate = value_of(answer.best.measurements, "prefix_cache_hit_rate") if answer.best else None
    if rate:
        notes.append(
            f"{rate:.0%} of its prompt tokens came from the prefix cache: expect less of prompts that don't repeat."
        )
    digests = {record.prompt_set.sha256 for record in records}
    if len(digests) > 1:
        notes.append(f"The trials ran on {len(digests)} different prompt sets: their throughputs don't compare.")
    return tuple(notes)


def missing_finals(answer: Answer) -> str:
    """What it means that a finalist couldn't be measured again; empty where all were."""
    trials = answer.not_remeasured
    if not trials:
        return ""
    return (
        f"Trial{_s(trials)} {show_trials(trials)} could not be measured again, so that the order is still that of the "
        "first measurements: see what failed, and run the sweep again."
    )


def late_trials(answer: Answer) -> str:
    """That trials after the finals may be better than the best; empty where none may be."""
    trials = answer.late
    if not trials:
        return ""
    were = "were" if len(trials) > 1 else "was"
    return (
        f"Trial{_s(trials)} {show_trials(trials)} came after the finals with a better first measurement, not clear of "
        f"the best's, and {were} not measured again: run the sweep again with --finalists."
    )


def _s(trials: Sequence[int]) -> str:
    return "s" if len(trials) > 1 else ""
