"""The live view of a sweep in a terminal: what runs, in which phase, how fast against the best so far, its memory, what
failed, time left. `live_lines` has its words, `live_region` draws them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TextIO

from rich.text import Text

from vbench.cli.live_lines import LiveState, live_lines
from vbench.cli.live_region import Region
from vbench.cli.live_trial import LiveTrial
from vbench.cli.wording import (
    again_text,
    describe_earlier,
    describe_point,
    describe_result,
    describe_work,
    make_console,
    mark_of_run,
    print_ending,
)
from vbench.outcome import Outcome
from vbench.progress import RunInfo, RunSummary
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.text import printable
from vbench.spec.space import Point
from vbench.units import format_duration


class LiveListener:
    """Redraws itself at most four times a second; finished trials stay in the scrollback above it."""

    def __init__(self, stream: TextIO) -> None:
        self._console = make_console(stream)
        self._region = Region(self._console, self._draw)
        self._state: LiveState | None = None
        self._is_stopping = False

    def stopping(self) -> None:
        """The next redraw says so."""
        self._is_stopping = True

    def run_started(self, info: RunInfo) -> None:
        """What will be done."""
        now = time.monotonic()
        self._info = info
        self._state = LiveState(info=info, best=info.best, started_t=now, since_t=now)
        self._say(f"sweep {info.spec.name}: {describe_work(info)}")
        self._say(f"results in {info.run.path}", style="dim")
        if (mark := mark_of_run(info)) is not None:
            self._say(mark, style="bold yellow")
        for note in info.notes:
            self._say(f"note: {note}", style="yellow")
        if info.num_earlier:
            self._say(describe_earlier(info), style="dim")

    def engine_starting(self) -> None:
        """Begin to draw."""
        self._set_status(f"starting {self._info.engine} (importing it may take a while)")
        self._region.start()

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """Say once if trials start cold, because that costs time."""
        if fork_blocker is not None:
            self._say(f"each trial starts cold: {fork_blocker}", style="dim")
        self._set_status(f"engine process ready after {format_duration(seconds)}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Show the new trial."""
        now, state = time.monotonic(), self._known
        trial = LiveTrial(number=number, point=point, origin=origin, started_t=now, since_t=now)
        state.running = {**state.running, number: trial}

    def trial_event(self, message: dict[str, Any]) -> None:
        """Follow the phases, passes and memory of the trial that says so: its number is there where several run."""
        running = self._known.running
        number = message.get("trial", next(iter(running), None))
        if number not in running:
            return
        running[number].take(message, time.monotonic())
        if message["event"] == "again":
            self._say(f"{number:>6}  {again_text(message)}", style="yellow")

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Leave one line in the scrollback."""
        state = self._known
        measured = record.repeat_of if record.origin == "final" else record.trial
        is_best = best is not None and best.trial == measured
        state.best = best
        state.running = {number: one for number, one in state.running.items() if number != record.trial}
        self._set_status("choosing the next trial")
        result = describe_result(record, self._info.spec.objective, has_evidence=False)
        if record.warnings:
            result += f"  ({len(record.warnings)} warning{'s' if len(record.warnings) > 1 else ''})"
        line = Text.assemble(
            (f"{record.trial:>6}{'*' if is_best else ' '} ", "bold green" if is_best else "dim"),
            (result, "bold green" if is_best else "" if record.outcome is Outcome.COMPLETED else "yellow"),
            ("  " + describe_point(record.parameters), "dim"),
        )
        self._region.say(line, is_cut=True)

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        """Stop drawing and give the answer."""
        self._region.stop()
        print_ending(self._console, self._info, run, summary, status)

    @property
    def _known(self) -> LiveState:
        assert self._state is not None
        return self._state

    def _say(self, text: str, style: str = "") -> None:
        self._region.say(Text(printable(text), style=style))

    def _set_status(self, text: str) -> None:
        self._known.status, self._known.since_t = text, time.monotonic()

    def _draw(self, width: int) -> Sequence[Text]:
        self._known.is_stopping = self._is_stopping
        return live_lines(self._known, width, time.monotonic())
