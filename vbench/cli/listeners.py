"""What a sweep prints: JSON lines for machines, plain lines for logs and pipes, a live view for a terminal (`live`)."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Protocol, TextIO

from vbench.analysis.ranking import objective_value
from vbench.cli.wording import (
    ORIGINS,
    PHASES,
    STOPPING,
    again_text,
    can_redraw,
    describe_earlier,
    describe_point,
    describe_result,
    describe_work,
    make_console,
    mark_of_run,
    mark_word,
    pass_rate,
    print_ending,
)
from vbench.progress import Listener, RunInfo, RunSummary
from vbench.records.record import TrialRecord
from vbench.records.redaction import clean_data
from vbench.records.runs import RunFolder
from vbench.report.text import printable
from vbench.spec.config import effective_config, engine_arguments
from vbench.spec.space import Point
from vbench.units import format_duration


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
    if can_redraw(stream):
        from vbench.cli.live import LiveListener

        return LiveListener(stream)
    return PlainListener(stream)


_SEARCHED = ("baseline", "search")
"""Origins of the trials that a run was asked for."""


class JsonListener:
    """Each record as one line, then one summary line; nothing else on the stream. Notes go to `side`."""

    def __init__(self, stream: TextIO, side: TextIO, *, has_summary: bool) -> None:
        self._stream, self._side = stream, side
        self._has_summary = has_summary

    def stopping(self) -> None:
        """Not said: the error message is enough."""

    def run_started(self, info: RunInfo) -> None:
        """Only what a person should know."""
        self._info = info
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

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:  # noqa: ARG002
        """The record, as it is on disk."""
        print(record.to_json_line(), file=self._stream, flush=True)

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        """`{"run", "status", "num_trials", "outcomes", "best_trial", "objective", "best_value", "mark"}`, of the whole
        run; null is what there isn't."""
        if not self._has_summary:
            return
        for note in summary.notes:
            print(f"note: {note}", file=self._side, flush=True)
        objective = self._info.spec.objective
        facts = {
            "run": str(run.path),
            "status": status,
            "num_trials": summary.num_trials,
            "outcomes": dict(summary.outcomes),
            "best_trial": summary.best.trial if summary.best else None,
            "objective": objective.metric,
            "best_value": objective_value(summary.best, objective) if summary.best else None,
            "mark": mark_word(self._info),
        }
        print(json.dumps(facts), file=self._stream, flush=True)


class PlainListener:
    """One line for each thing that happens: calm in a log, no control codes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._running: dict[int, str] = {}  # origins by number
        self._told = -1  # the trial that the line above is of, where no other runs

    def stopping(self) -> None:
        """Straight to stderr."""
        os.write(2, f"{STOPPING}\n".encode())

    def run_started(self, info: RunInfo) -> None:
        """What will be done, and where it goes."""
        self.info = info
        self._say(f"sweep {info.spec.name}: {describe_work(info)}")
        self._say(f"results in {info.run.path}")
        if (mark := mark_of_run(info)) is not None:
            self._say(mark)
        for note in info.notes:
            self._say(f"note: {note}")
        if info.num_earlier:
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
        standing = self.info.standing
        left_s = standing.seconds_left()
        left = f", {format_duration(left_s)} left" if left_s is not None else ""
        place = standing.next_place(sum(one in _SEARCHED for one in self._running.values()))
        place = f"[{place}{left}] trial {number}"
        self._running[number] = origin
        self._told = number
        self._say(f"{place}  {ORIGINS.get(origin, '')}{describe_point(point.parameters)}")

    def trial_event(self, message: dict[str, Any]) -> None:
        """Only that a trial is run once more: a log needs no phases."""
        if message["event"] == "again":
            self._say(f"    {self._whose(message.get('trial'))}{again_text(message)}")

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Its result, and whether it leads."""
        measured = record.repeat_of if record.origin == "final" else record.trial
        is_best = best is not None and best.trial == measured
        whose = self._whose(record.trial)
        result = describe_result(record, self.info.spec.objective)
        self._say(f"    {whose}{result}{'  ← best so far' if is_best else ''}")
        for warning in record.warnings:
            self._say(f"    {whose}warning: {warning}")
        self._running.pop(record.trial, None)

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        """How it ended, and what can be done next."""
        print_ending(make_console(self._stream), self.info, run, summary, status)

    def _whose(self, number: int | None) -> str:
        """Nothing where the line above is of that trial alone, else its number."""
        if number is None or (number == self._told and len(self._running) < 2):
            return ""
        self._told = -1
        return f"trial {number}: "

    def _say(self, text: str) -> None:
        print(printable(text), file=self._stream, flush=True)


class SingleListener(PlainListener):
    """A run of one trial: its settings, each phase as it begins, then everything that its record holds."""

    def run_started(self, info: RunInfo) -> None:
        """What will be run."""
        self.info = info
        self._say(f"run {info.spec.name.removesuffix('-run')}: {describe_work(info)}")
        self._say(f"settings: {describe_point(clean_data(engine_arguments(effective_config(info.spec, {}))))}")
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
        elif message["event"] == "again":
            self._say_at(again_text(message))

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:  # noqa: ARG002
        """The record, for people."""
        from vbench.report.trial_details import trial_details

        self._last = record.trial
        self._say("")
        details = trial_details(record, self.info.spec.objective, mark=mark_of_run(self.info))
        make_console(self._stream).print(details)

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:  # noqa: ARG002
        """Where it is kept."""
        if summary.num_trials:
            self._say(f"\nrecord in {run.trials_jsonl}, log in {run.log(self._last)}")

    def _say_at(self, text: str) -> None:
        self._say(f"  {format_duration(time.monotonic() - self._started_t):>7}  {text}")
