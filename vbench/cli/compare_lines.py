"""What a comparison that is being measured prints: plain lines, calm in a log and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from vbench.analysis.paired import ratio_of_pairs
from vbench.cli.wording import describe_point, describe_result
from vbench.units import format_duration

if TYPE_CHECKING:
    from vbench.records.record import TrialRecord
    from vbench.records.runs import RunFolder
    from vbench.sweep.comparing_match import Match
    from vbench.sweep.comparing_session import ComparisonResult, Progress, Until


class Lines:
    """One line for each turn and its result, with the ratio so far and the time left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def begins(self, match: Match, run: RunFolder, until: Until, num_pairs: int, notes: Sequence[str]) -> None:
        """What will be done, and where it goes."""
        prepared = match.prepared
        self._match, self._objective = match, prepared.spec.objective
        for side, one in match.sides.items():
            self._say(f"{side}: {one.title}")
        engine = f"{prepared.spec.engine} {prepared.interpreter.engine_version} on {prepared.hardware}"
        self._say(
            f"in turns on {engine}, {prepared.prompt_set.num_prompts} prompts, until a change of "
            f"{until.detect * 100:g} % would be seen, at most {until.most} pairs"
        )
        self._say(f"results in {run.path}")
        for note in notes:
            self._say(f"note: {note}")
        if num_pairs:
            self._say(f"going on: {num_pairs} pairs are there")

    def engine_starting(self) -> None:
        """This may take a while."""
        self._say("starting the engine (importing it may take a while)")

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """How trials will be started."""
        way = "trials fork from it" if fork_blocker is None else f"each trial starts cold: {fork_blocker}"
        self._say(f"engine process ready after {format_duration(seconds)}; {way}")

    def trial_begins(self, number: int, progress: Progress) -> None:
        """Whose turn it is."""
        left = "" if progress.left_s is None else f", about {format_duration(progress.left_s)} left"
        own = self._match.points[progress.side].parameters
        words = f"  {describe_point(own)}" if own else ""
        self._say(f"[pair {progress.pair + 1}/{progress.most}{left}] {progress.side}, trial {number}{words}")

    def trial_event(self, message: dict[str, Any]) -> None:
        """Not said: a log needs no phases."""

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        """Its result, and after each pair how the two stand."""
        ratio = progress.ratio
        standing = ""
        if ratio is not None and ratio.num_pairs == progress.pair + 1:
            standing = f"  B ÷ A {ratio.ratio:.3f}"
            standing += "" if ratio.method == "single" else f" (95 %: {ratio.low:.3f} to {ratio.high:.3f})"
        self._say(f"    {describe_result(record, self._objective)}{standing}")
        for warning in record.warnings:
            self._say(f"    warning: {warning}")

    def ends(self, result: ComparisonResult, until: Until) -> None:
        """What is left to be wished."""
        seen = ratio_of_pairs(result.pairs).detectable
        if result.status == "out_of_time":
            self._say(f"the time is over after {len(result.pairs)} pairs; the same command goes on")
        elif seen is None or seen > until.detect:
            more = "" if seen is None else f": {seen * 100:.1f} % or more could be seen"
            self._say(f"{len(result.pairs)} pairs, the most that were asked for, are too few for this noise{more}")
        self._say("")

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
