"""The live view of a sweep in a terminal: what runs, in which phase, how fast against the best so far, time left."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vbench.cli.listeners import _PHASES, Eta, describe_point, describe_result, pass_rate, print_ending, show_value
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.progress import RunInfo
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.units import format_duration

_RECENT = 8


class LiveListener:
    """Redraws itself four times a second; finished trials stay in the scrollback above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream)
        self._recent: deque[TrialRecord] = deque(maxlen=_RECENT)
        self._outcomes: Counter[Outcome] = Counter()
        self._best: TrialRecord | None = None
        self._status = "checking"
        self._since = time.monotonic()
        self._trial: tuple[int, Point, str] | None = None
        self._rates: list[str] = []
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def run_started(self, info: RunInfo) -> None:
        """Begin to draw."""
        self._info = info
        self._eta = Eta(info.planned_trials, info.records)
        self._outcomes.update(record.outcome for record in info.records)
        for note in info.notes:
            self._console.print(Text(f"note: {note}", style="yellow"))
        if info.records:
            done = f"going on: {len(info.records)} of {info.planned_trials} trials are done"
            self._console.print(Text(done, style="dim"))
        self._set_status(f"starting {info.engine}: importing it may take a while")
        if len(info.records) < info.planned_trials:
            self._live.start()

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """Say once if trials start cold, because that costs time."""
        if fork_blocker is not None:
            self._console.print(Text(f"each trial starts cold: {fork_blocker}", style="dim"))
        self._set_status(f"engine process ready after {format_duration(seconds)}")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Show the new trial."""
        self._trial, self._rates = (number, point, origin), []
        self._set_status(_PHASES["start"])

    def trial_event(self, message: dict[str, Any]) -> None:
        """Follow its phases and passes."""
        if message["event"] == "phase":
            count = f" (pass {message['index'] + 1})" if message["name"] == "pass" else ""
            self._set_status(f"{_PHASES.get(message['name'], message['name'])}{count}")
        elif message["event"] == "pass" and message["kind"] == "timed":
            self._rates.append(pass_rate(message))

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Leave one line in the scrollback."""
        self._eta.add(record)
        self._outcomes[record.outcome] += 1
        is_best = best is not None and best.trial == record.trial
        self._best = best
        self._trial = None
        line = Text.assemble(
            (f"{record.trial:>4} ", "dim"),
            (describe_result(record, self._info.spec.objective), "bold green" if is_best else _style(record)),
            ("  " + describe_point(record.parameters), "dim"),
        )
        self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
        """Stop drawing and give the answer."""
        self._live.stop()
        print_ending(self._stream, self._info, run, records, status)

    def _set_status(self, text: str) -> None:
        self._status, self._since = text, time.monotonic()

    def _draw(self) -> RenderableType:
        info = self._info
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(info.spec.name, style="bold"),
            ProgressBar(total=info.planned_trials, completed=self._eta.done, width=30),
            Text(f"{self._eta.done}/{info.planned_trials} trials"),
            Text(f"{format_duration(self._eta.seconds)} left" if self._eta.seconds is not None else "", style="cyan"),
            Text(self._failures(), style="yellow"),
        )
        return Group(Text(), bar, *self._current(), self._incumbent())

    def _current(self) -> list[RenderableType]:
        elapsed = format_duration(time.monotonic() - self._since)
        rates = f"  {' · '.join(self._rates)}" if self._rates else ""
        status = Text(f"     {self._status}, {elapsed}{rates}", style="dim")
        if self._trial is None:
            return [status]
        number, point, origin = self._trial
        name = "baseline  " if origin == "baseline" else ""
        return [Text(f"{number:>4} {name}{describe_point(point.parameters)}", style="bold"), status]

    def _incumbent(self) -> Text:
        if self._best is None:
            return Text("     no best yet", style="dim")
        metric = self._info.spec.objective.metric
        value = show_value(metric, value_of(self._best.measurements, metric))
        return Text(f"best {value}  trial {self._best.trial}: {describe_point(self._best.parameters)}", style="green")

    def _failures(self) -> str:
        failed = {str(outcome).replace("_", " "): n for outcome, n in self._outcomes.items() if outcome != "completed"}
        return " · ".join(f"{count} {name}" for name, count in failed.items())


def _style(record: TrialRecord) -> str:
    return "" if record.outcome is Outcome.COMPLETED else "yellow"
