"""What a sweep prints: JSON lines for machines, plain lines for logs and pipes, a live view for a terminal (`live`)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from vbench.analysis.ranking import best
from vbench.cli.options import DEFAULT_RESULTS
from vbench.metrics import metric_of, value_of
from vbench.outcome import Outcome
from vbench.progress import Listener, RunInfo
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.text import printable
from vbench.report.text import show_value as show_setting
from vbench.spec.config import displayed_path, effective_config, engine_arguments
from vbench.spec.space import Point
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_duration, format_number

if TYPE_CHECKING:
    from rich.console import Console

STOPPING = "stopping (Ctrl-C again ends at once)"
PIPE_WIDTH = 100
"""Columns where there is no terminal to ask."""
PHASES = {
    "start": "starting",
    "import": "importing the engine",
    "load": "loading the model",
    "warmup": "warming up",
    "pass": "measuring",
    "close": "closing",
}


class CliListener(Listener, Protocol):
    """A listener that can also be told of Ctrl-C."""

    def stopping(self) -> None:
        """The user asked to stop. Called in a signal handler, so nothing may be written through a buffer here."""


def make_listener(*, as_json: bool, stream: TextIO, is_single: bool = False) -> CliListener:
    """The listener that fits where the output goes; `is_single` for a run of one trial, told in full."""
    if as_json:
        return JsonListener(stream, sys.stderr, has_summary=not is_single)
    if is_single:
        return SingleListener(stream)
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from vbench.cli.live import LiveListener

        return LiveListener(stream)
    return PlainListener(stream)


def describe_point(parameters: dict[str, Any] | Any) -> str:
    """`max_num_seqs=8 quantization=awq`, by the last part of each dotted name; `engine defaults` for none."""
    words = [f"{name.rpartition('.')[2]}={show_setting(value)}" for name, value in parameters.items()]
    return " ".join(words) or "the file's own arguments"


def show_value(name: str, value: float | None) -> str:
    """A measurement with its unit; `–` when there is none."""
    metric = metric_of(name)
    if value is None or not metric.unit:
        return format_number(value)
    return format_bytes(value) if metric.unit == "B" else f"{format_number(value)} {metric.unit}"


def describe_result(record: TrialRecord, objective: Objective, *, has_evidence: bool = True) -> str:
    """One line: the objective and what it cost, or how the trial failed, with the engine's own words or without."""
    value = show_value(objective.metric, value_of(record.measurements, objective.metric))
    if record.outcome is Outcome.COMPLETED:
        broken = [text for text, violation in record.constraint_violations.items() if violation > 0]
        suffix = f"  violates {', '.join(broken)}" if broken else ""
        peak = format_bytes(value_of(record.measurements, "peak_memory_bytes"))
        return f"{value}  peak {peak}  in {format_duration(record.duration_s)}{suffix}"
    failure = record.failure
    reason = f" ({failure.failure_class})" if failure else ""
    if failure and has_evidence:
        reason += f": {printable(failure.evidence)}"
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

    def seconds_left(self, running_s: float = 0.0) -> float | None:
        """Estimated seconds until the last planned trial has ended; `running_s` is how long the current one has run."""
        if not self.durations:
            return None
        mean_s = sum(self.durations) / len(self.durations)
        return (self.planned - self.done) * mean_s - min(running_s, mean_s)


class JsonListener:
    """Each record as one line, then one summary line; nothing else on the stream. Notes go to `side`."""

    def __init__(self, stream: TextIO, side: TextIO, *, has_summary: bool) -> None:
        self._stream, self._side = stream, side
        self._has_summary = has_summary
        self._best: int | None = None

    def stopping(self) -> None:
        """Not said: the error message is enough."""

    def run_started(self, info: RunInfo) -> None:
        """Only what a person should know."""
        self._best = info.best.trial if info.best else None
        for note in info.notes:
            print(f"note: {note}", file=self._side, flush=True)

    def engine_starting(self) -> None:
        """Not said."""

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
        """`{"run", "status", "num_trials", "outcomes", "best_trial"}`, of the whole run."""
        if not self._has_summary:
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

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def stopping(self) -> None:
        """Straight to stderr."""
        os.write(2, f"{STOPPING}\n".encode())

    def run_started(self, info: RunInfo) -> None:
        """What will be done, and where it goes."""
        self.info = info
        self.eta = Eta(info.planned_trials, info.records)
        self._say(f"sweep {info.spec.name}: {describe_work(info)}")
        self._say(f"results in {info.run.path}")
        for note in info.notes:
            self._say(f"note: {note}")
        if info.records:
            self._say(describe_earlier(info))

    def engine_starting(self) -> None:
        """This may take a while."""
        self._say(f"starting {self.info.engine} (importing it may take a while)")

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """How trials will be started."""
        way = "trials fork from it" if fork_blocker is None else f"each trial starts cold: {fork_blocker}"
        self._say(f"engine process ready after {format_duration(seconds)}; {way}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Its number and what it tries."""
        left_s = self.eta.seconds_left()
        left = f", {format_duration(left_s)} left" if left_s is not None else ""
        name = "baseline: " if origin == "baseline" else ""
        place = f"[{self.eta.done + 1}/{self.info.planned_trials}{left}] trial {number}"
        self._say(f"{place}  {name}{describe_point(point.parameters)}")

    def trial_event(self, message: dict[str, Any]) -> None:
        """Not said: a log needs no phases."""

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Its result, and whether it leads."""
        self.eta.add(record)
        is_best = best is not None and best.trial == record.trial
        self._say(f"    {describe_result(record, self.info.spec.objective)}{'  ← best so far' if is_best else ''}")
        for warning in record.warnings:
            self._say(f"    warning: {warning}")

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
        """How it ended, and what can be done next."""
        print_ending(make_console(self._stream), self.info, run, records, status)

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class SingleListener(PlainListener):
    """A run of one trial: its settings, each phase as it begins, then everything that its record holds."""

    def run_started(self, info: RunInfo) -> None:
        """What will be run."""
        self.info = info
        self._say(f"run {info.spec.name.removesuffix('-run')}: {describe_work(info)}")
        self._say(f"settings: {describe_point(engine_arguments(effective_config(info.spec, {})))}")
        for note in info.notes:
            self._say(f"note: {note}")

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:  # noqa: ARG002
        """Only how long it took; whether the trial forks is in the record."""
        self._say(f"engine process ready after {format_duration(seconds)}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:  # noqa: ARG002
        """The clock of the phases starts."""
        self._started_t = time.monotonic()

    def trial_event(self, message: dict[str, Any]) -> None:
        """Phases and passes."""
        if message["event"] == "phase":
            self._say_at(PHASES.get(message["name"], message["name"]))
        elif message["event"] == "pass":
            self._say_at(f"{message['kind']} pass {message['index'] + 1}: {pass_rate(message)}")

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:  # noqa: ARG002
        """The record, for people."""
        from vbench.report.terminal import trial_details

        self._say("")
        make_console(self._stream).print(trial_details(record))

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:  # noqa: ARG002
        """Where it is kept."""
        if records:
            self._say(f"\nrecord in {run.trials_jsonl}, log in {run.log(records[-1].trial)}")

    def _say_at(self, text: str) -> None:
        self._say(f"  {format_duration(time.monotonic() - self._started_t):>7}  {text}")


def pass_rate(message: dict[str, Any]) -> str:
    """`812 tok/s` of a pass message; `–` when it can't be computed."""
    requests = message.get("requests") or {}
    tokens = sum(requests.get("output_tokens") or [0])
    duration_s = message.get("duration_s") or 0.0
    return show_value("output_throughput_tok_s", tokens / duration_s if duration_s > 0 else None)


def describe_work(info: RunInfo) -> str:
    """`vllm 0.32.0 on cpu, model org/name, 16 prompts × 48 tokens`."""
    prompts = info.spec.prompts
    tokens = f"{prompts.output_tokens}" if prompts.output_tokens is not None else f"up to {prompts.max_tokens}"
    model = displayed_path(info.spec.model)
    return f"{info.engine} on {info.hardware}, model {model}, {info.num_prompts} prompts × {tokens} tokens"


def describe_earlier(info: RunInfo) -> str:
    """What earlier sessions did, and what that means for this one."""
    if info.is_complete:
        num_trials = len(info.records)
        return (
            f"nothing left to do: {num_trials} trials are done. --trials with a larger number adds to them, --new "
            "starts over"
        )
    return f"going on: {len(info.records)} of {info.planned_trials} trials are done"


def make_console(stream: TextIO, *, pipe_width: int = PIPE_WIDTH) -> Console:
    """A console for the stream; where it is no terminal, as wide as `pipe_width` and without control codes."""
    from rich.console import Console

    class PipeAwareConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process with exit code 1

    console = PipeAwareConsole(file=stream)
    if not console.is_terminal:
        console.width = pipe_width
    return console


def print_ending(console: Console, info: RunInfo, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
    """The answer in a box, then the next commands."""
    from vbench.report.terminal import summary_panel

    if status == "interrupted":
        return
    if records:
        console.print(summary_panel(records, info.spec.objective))
    reasons = {
        "out_of_time": "the time budget is spent; go on with a larger `--timeout`",
        "exhausted": "every allowed configuration was tried",
    }
    if status in reasons:
        console.print(f"{len(records)} of {info.planned_trials} trials: {reasons[status]}", highlight=False)
    if not records:
        return
    name = f"{run.sweep}/{run.run_id}"
    root = "" if run.path.parent.parent == DEFAULT_RESULTS else f" --results {run.path.parent.parent}"
    next_steps = [f"vbench report {name}{root}", f"vbench show {name}{root}"]
    if best(records, info.spec.objective) is not None:
        next_steps.insert(1, f"vbench best {name} --as serve{root}")
    console.print("\n".join(next_steps), highlight=False, markup=False, style="dim", soft_wrap=True)
