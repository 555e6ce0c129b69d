"""The live view of a sweep in a terminal: what runs, in which phase, how fast against the best so far, time left."""

from __future__ import annotations

import time
from typing import Any, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vbench.cli.wording import (
    ORIGINS,
    PHASES,
    STOPPING,
    again_text,
    describe_earlier,
    describe_pass,
    describe_point,
    describe_result,
    describe_work,
    make_console,
    pass_rate,
    print_ending,
    show_value,
)
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.progress import RunInfo, RunSummary
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.units import format_duration


class LiveListener:
    """Redraws itself four times a second; finished trials stay in the scrollback above it."""

    def __init__(self, stream: TextIO) -> None:
        self._console = make_console(stream)
        self._trial: tuple[int, Point, str] | None = None
        self._trial_started_t = 0.0
        self._rates: list[str] = []
        self._is_stopping = False
        self._set_status("checking")

    def stopping(self) -> None:
        """The next redraw says so."""
        self._is_stopping = True

    def run_started(self, info: RunInfo) -> None:
        """What will be done."""
        self._info, self._best = info, info.best
        self._say(f"sweep {info.spec.name}: {describe_work(info)}")
        self._say(f"results in {info.run.path}", style="dim")
        for note in info.notes:
            self._say(f"note: {note}", style="yellow")
        if info.num_earlier:
            self._say(describe_earlier(info), style="dim")
        # Made only now: it draws once when it is made, and until here there is nothing to draw.
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def engine_starting(self) -> None:
        """Begin to draw."""
        self._set_status(f"starting {self._info.engine} (importing it may take a while)")
        self._live.start()

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """Say once if trials start cold, because that costs time."""
        if fork_blocker is not None:
            self._say(f"each trial starts cold: {fork_blocker}", style="dim")
        self._set_status(f"engine process ready after {format_duration(seconds)}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Show the new trial."""
        self._trial, self._rates = (number, point, origin), []
        self._trial_started_t = time.monotonic()
        self._set_status(PHASES["start"])

    def trial_event(self, message: dict[str, Any]) -> None:
        """Follow its phases and passes."""
        if message["event"] == "phase":
            if message["name"] == "import":
                self._rates = []  # a second attempt begins from the start
            count = f" ({describe_pass(message, self._num_passes)})" if message["name"] == "pass" else ""
            self._set_status(f"{PHASES.get(message['name'], message['name'])}{count}")
        elif message["event"] == "again":
            self._rates = []
            self._say(f"      {again_text(message)}", style="yellow")
        elif message["event"] == "pass" and message["kind"] == "timed":
            self._rates.append(pass_rate(message))

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Leave one line in the scrollback."""
        measured = record.repeat_of if record.origin == "final" else record.trial
        is_best = best is not None and best.trial == measured
        self._best, self._trial = best, None
        result = describe_result(record, self._info.spec.objective, has_evidence=False)
        if record.warnings:
            result += f"  ({len(record.warnings)} warning{'s' if len(record.warnings) > 1 else ''})"
        line = Text.assemble(
            (f"{record.trial:>4}{'*' if is_best else ' '} ", "bold green" if is_best else "dim"),
            (result, "bold green" if is_best else _style(record)),
            ("  " + describe_point(record.parameters), "dim"),
        )
        self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        """Stop drawing and give the answer."""
        self._live.stop()
        print_ending(self._console, self._info, run, summary, status)

    @property
    def _num_passes(self) -> int:
        return self._info.spec.measure.passes

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _set_status(self, text: str) -> None:
        self._status, self._since = text, time.monotonic()

    def _draw(self) -> RenderableType:
        rows = Table.grid(padding=(0, 1))
        rows.add_column(justify="right", min_width=5, no_wrap=True)
        rows.add_column(overflow="fold")
        self._add_current(rows)
        self._add_incumbent(rows)
        return Group(Text(), self._progress(), rows)

    def _progress(self) -> RenderableType:
        standing = self._info.standing
        elapsed_s = time.monotonic() - self._trial_started_t if self._trial else 0.0
        left_s = standing.seconds_left(elapsed_s)
        words = Text(standing.place)
        if left_s is not None:
            words.append(f" · {format_duration(left_s)} left", style="cyan")
        for outcome, count in list(standing.outcomes.items()):  # the loop may add one meanwhile
            if outcome is not Outcome.COMPLETED:
                words.append(f" · {count} {outcome.replace('_', ' ')}", style="yellow")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "     ",
            ProgressBar(total=1.0, completed=standing.share_done, width=min(30, self._console.width // 4)),
            words,
        )
        return bar

    def _add_current(self, rows: Table) -> None:
        status = Text(f"{self._status}, {format_duration(time.monotonic() - self._since)}", style="dim")
        if self._rates:
            status.append(f"   {' · '.join(self._rates)}")
        if self._is_stopping:
            status = Text(STOPPING, style="yellow")
        if self._trial is not None:
            number, point, origin = self._trial
            words = f"{ORIGINS.get(origin, '')}{describe_point(point.parameters)}"
            rows.add_row(Text(str(number), style="bold"), Text(words))
        rows.add_row("", status)

    def _add_incumbent(self, rows: Table) -> None:
        if self._best is None:
            rows.add_row("", Text("no best yet", style="dim"))
            return
        metric = self._info.spec.objective.metric
        value = show_value(metric, value_of(self._best.measurements, metric))
        words = Text.assemble(
            (value, "bold green"), f"  trial {self._best.trial}: {describe_point(self._best.parameters)}"
        )
        rows.add_row(Text("best", style="green"), words)


def _style(record: TrialRecord) -> str:
    return "" if record.outcome is Outcome.COMPLETED else "yellow"
