"""What a sweep prints: JSON lines for machines, plain lines for logs and pipes, a live view for a terminal (`live`)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, TextIO

from vbench.metrics import metric_of, value_of
from vbench.outcome import Outcome
from vbench.progress import Listener, RunInfo
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_duration, format_number

_PHASES = {
    "start": "starting",
    "import": "importing the engine",
    "load": "loading the model",
    "warmup": "warming up",
    "pass": "measuring",
    "close": "closing",
}


def make_listener(*, as_json: bool, stream: TextIO, is_verbose: bool = False) -> Listener:
    """The listener that fits where the output goes."""
    if as_json:
        return JsonListener(stream)
    if stream.isatty() and not is_verbose:
        from vbench.cli.live import LiveListener

        return LiveListener(stream)
    return PlainListener(stream, is_verbose=is_verbose)


def describe_point(parameters: dict[str, Any] | Any) -> str:
    """`max_num_seqs=8 quantization=awq`, by the last part of each dotted name; `engine defaults` for none."""
    words = [f"{name.rpartition('.')[2]}={value}" for name, value in parameters.items()]
    return " ".join(words) or "the file's own arguments"


def show_value(name: str, value: float | None) -> str:
    """A measurement with its unit; `–` when there is none."""
    metric = metric_of(name)
    if value is None or not metric.unit:
        return format_number(value)
    return format_bytes(value) if metric.unit == "B" else f"{format_number(value)} {metric.unit}"


def describe_result(record: TrialRecord, objective: Objective) -> str:
    """One line: the objective and what it cost, or how the trial failed."""
    value = show_value(objective.metric, value_of(record.measurements, objective.metric))
    if record.outcome is Outcome.COMPLETED:
        broken = [text for text, violation in record.constraint_violations.items() if violation > 0]
        suffix = f"  violates {', '.join(broken)}" if broken else ""
        peak = format_bytes(value_of(record.measurements, "peak_memory_bytes"))
        return f"{value}  peak {peak}  in {format_duration(record.duration_s)}{suffix}"
    failure = record.failure
    reason = f" ({failure.failure_class}): {failure.evidence}" if failure else ""
    return f"{record.outcome.replace('_', ' ')}{reason}"


class Eta:
    """Time left, from what the trials of this run took so far; None before the first has ended."""

    def __init__(self, planned: int, records: Sequence[TrialRecord]) -> None:
        self.planned = planned
        self.durations = [record.duration_s for record in records if record.duration_s is not None]
        self.done = len(records)

    def add(self, record: TrialRecord) -> None:
        """Count a trial that ended."""
        self.done += 1
        if record.duration_s is not None:
            self.durations.append(record.duration_s)

    @property
    def seconds(self) -> float | None:
        """Estimated seconds until the last planned trial has ended."""
        if not self.durations:
            return None
        return (self.planned - self.done) * sum(self.durations) / len(self.durations)


class JsonListener:
    """Each record as one line, then one summary line; nothing else on the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._best: int | None = None
        self._is_summarized = True

    def run_started(self, info: RunInfo) -> None:
        """`run` alone prints its record last, so a run of one trial has no summary."""
        self._is_summarized = info.planned_trials > 1

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """Not said."""

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Not said."""

    def trial_event(self, message: dict[str, Any]) -> None:
        """Not said."""

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """The record, as it is on disk."""
        self._best = best.trial if best else None
        print(record.to_json_line(), file=self._stream, flush=True)

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
        """`{"run", "status", "num_trials", "best_trial"}`."""
        if not self._is_summarized:
            return
        outcomes = [str(record.outcome) for record in records]
        summary = {
            "run": str(run.path),
            "status": status,
            "num_trials": len(records),
            "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
            "best_trial": self._best,
        }
        print(json.dumps(summary), file=self._stream, flush=True)


class PlainListener:
    """One line for each thing that happens: calm in a log, no control codes."""

    def __init__(self, stream: TextIO, *, is_verbose: bool) -> None:
        self._stream = stream
        self._is_verbose = is_verbose
        self._trial_started_t = 0.0

    def run_started(self, info: RunInfo) -> None:
        """What will be done, and where it goes."""
        self.info = info
        self.eta = Eta(info.planned_trials, info.records)
        self._say(f"sweep {info.spec.name}: {info.engine} on {info.spec.hardware}, model {info.spec.model}")
        self._say(f"prompts: {info.num_prompts}, sha256 {info.prompt_sha256[:12]}; results in {info.run.path}")
        for note in info.notes:
            self._say(f"note: {note}")
        if info.records:
            self._say(f"going on: {len(info.records)} of {info.planned_trials} trials are done")
        if len(info.records) < info.planned_trials:
            self._say(f"starting {info.engine} (importing it may take a while)")

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """How trials will be started."""
        way = "trials fork from it" if fork_blocker is None else f"each trial starts cold: {fork_blocker}"
        self._say(f"engine process ready after {format_duration(seconds)}; {way}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Its number and what it tries."""
        self._trial_started_t = time.monotonic()
        left = f", {format_duration(self.eta.seconds)} left" if self.eta.seconds is not None else ""
        name = "baseline: " if origin == "baseline" else ""
        place = f"[{number + 1}/{self.info.planned_trials}{left}]"
        self._say(f"{place} {name}{describe_point(point.parameters)}")

    def trial_event(self, message: dict[str, Any]) -> None:
        """Phases and passes, when asked to be verbose."""
        if not self._is_verbose:
            return
        elapsed = format_duration(time.monotonic() - self._trial_started_t)
        if message["event"] == "phase":
            self._say(f"  {elapsed:>7}  {_PHASES.get(message['name'], message['name'])}")
        elif message["event"] == "pass":
            self._say(f"  {elapsed:>7}  {message['kind']} pass: {pass_rate(message)}")

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Its result, and whether it leads."""
        self.eta.add(record)
        is_best = best is not None and best.trial == record.trial
        self._say(f"    {describe_result(record, self.info.spec.objective)}{'  ← best so far' if is_best else ''}")
        for warning in record.warnings:
            self._say(f"    warning: {warning}")

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
        """How it ended, and what can be done next."""
        print_ending(self._stream, self.info, run, records, status)

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def pass_rate(message: dict[str, Any]) -> str:
    """`812 tok/s` of a pass message; `–` when it can't be computed."""
    requests = message.get("requests") or {}
    tokens = sum(requests.get("output_tokens") or [0])
    duration_s = message.get("duration_s") or 0.0
    return show_value("output_throughput_tok_s", tokens / duration_s if duration_s > 0 else None)


def print_ending(stream: TextIO, info: RunInfo, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
    """The answer in a box, then the next commands."""
    from rich.console import Console

    from vbench.report.terminal import summary_panel

    if status == "interrupted":
        return
    console = Console(file=stream, soft_wrap=False)
    console.print(summary_panel(records, info.spec.objective))
    reasons = {
        "out_of_time": "the time budget is spent; go on with a larger `--timeout`",
        "exhausted": "every allowed configuration was tried",
    }
    if status in reasons:
        console.print(f"{len(records)} of {info.planned_trials} trials: {reasons[status]}", highlight=False)
    name = f"{run.sweep}/{run.run_id}"
    next_steps = f"vbench report {name}\nvbench best {name} --as serve\nvbench show {name}"
    console.print(next_steps, highlight=False, style="dim", soft_wrap=True)
