"""The words of a sweep in the terminal, shared by its listeners and by the commands that read: settings, results, time
left, and the ending with the next commands."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from vbench.analysis.wording import bound_text, explain_stop
from vbench.cli.options import DEFAULT_RESULTS
from vbench.errors import StoreError
from vbench.metrics import metric_of, value_of
from vbench.outcome import Outcome
from vbench.progress import RunInfo, RunSummary, Standing
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, read_json
from vbench.report.text import EMULATED_MARK, FAKE_MARK, printable
from vbench.report.text import show_value as show_setting
from vbench.spec.config import displayed_path
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_duration, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

STOPPING = "stopping (Ctrl-C again ends at once)"
_BLANKS = re.compile(" +$", re.MULTILINE)
PIPE_WIDTH = 100
"""Columns where there is no terminal to ask."""
PHASES = {
    "start": "starting",
    "import": "importing the engine",
    "load": "loading the model",
    "probe": "trying a few prompts",
    "warmup": "warming up",
    "pass": "measuring",
    "quality": "checking answers",
    "close": "closing",
}


ORIGINS = {
    "baseline": "baseline: ",
    "final": "measured again: ",
    "random": "random: ",
    "interference": "side by side: ",
    "reference": "reference, measured again: ",
}
"""What stands before the settings of a trial that the search didn't ask for."""
_REASONS = {
    "out_of_time": "the time budget is spent; go on with a larger `--timeout`",
    "gpu_hours": "the GPU-hours are spent; go on with larger `--gpu-hours`",
    "session_end": "the session ends soon; go on in the next with the same command",
    "exhausted": "every allowed configuration was tried",
}


def describe_point(parameters: dict[str, Any] | Any) -> str:
    """`max_num_seqs=8 quantization=awq`, by the last part of each dotted name; `engine defaults` for none."""
    words = [f"{printable(name).rpartition('.')[2]}={show_setting(value)}" for name, value in parameters.items()]
    return " ".join(words) or "the file's own arguments"


def show_value(name: str, value: float | None) -> str:
    """A measurement with its unit; `–` when there is none."""
    metric = metric_of(name)
    if value is None or not metric.unit:
        return format_number(value)
    return format_bytes(value) if metric.unit == "B" else f"{format_number(value)} {metric.unit}"


def describe_result(record: TrialRecord, objective: Objective, *, has_evidence: bool = True) -> str:
    """One line: the objective and what it cost, or how the trial failed, with the engine's own words or without; a stop
    likewise with its reason or without."""
    value = show_value(objective.metric, value_of(record.measurements, objective.metric))
    if record.outcome is Outcome.COMPLETED:
        broken = [text for text, violation in record.constraint_violations.items() if violation > 0]
        suffix = f"  violates {', '.join(broken)}" if broken else ""
        peak = format_bytes(value_of(record.measurements, "peak_memory_bytes"))
        return f"{value}  peak {peak}  in {format_duration(record.duration_s)}{suffix}"
    if record.stopped is not None:
        short = f"stopped early: {bound_text(record, objective)}"
        return explain_stop(record.stopped, objective) if has_evidence else short
    failure = record.failure
    reason = f" ({failure.failure_class})" if failure else ""
    if failure and has_evidence:
        reason += f": {printable(failure.evidence)}"
    return f"{record.outcome.replace('_', ' ')}{reason}"


def describe_failures(standing: Standing) -> str:
    """`2 stopped early · 3 kv_cache_too_small · 1 deadline`: what didn't complete, most frequent first; of failures the
    class, and nothing where all completed."""
    outcomes, classes = standing.outcomes.copy(), standing.failures.copy()  # the loop may add to them meanwhile
    words = [f"{outcomes[Outcome.PRUNED]} stopped early"] if outcomes[Outcome.PRUNED] else []
    words += [f"{count} {printable(name)}" for name, count in classes.most_common()]
    others = sum(outcomes.values()) - outcomes[Outcome.COMPLETED] - outcomes[Outcome.PRUNED] - classes.total()
    return " · ".join([*words, f"{others} without a class"] if others > 0 else words)


def again_text(message: dict[str, Any]) -> str:
    """Of a trial that is run once more, why: `again: disturbed, as other processes took 1.9 of 2 cores`."""
    return f"again: disturbed, as {printable(str(message['why']))}"


def pass_rate(message: dict[str, Any]) -> str:
    """`812 tok/s` of a pass message; `–` when it can't be computed."""
    requests = message.get("requests") or {}
    tokens = sum(requests.get("output_tokens") or [0])
    duration_s = message.get("duration_s") or 0.0
    return show_value("output_throughput_tok_s", tokens / duration_s if duration_s > 0 else None)


def describe_pass(phase: dict[str, Any], usual: int) -> str:
    """`pass 3 of 5`, or `pass 7 of at most 12` where the trial ends when it knows enough; `usual`: how many passes
    there are where the phase's message doesn't say."""
    most = "at most " if phase.get("is_most") else ""
    return f"pass {phase['index'] + 1} of {most}{phase.get('of', usual)}"


def describe_work(info: RunInfo) -> str:
    """`vllm 0.32.0 on cpu, model org/name, 16 prompts × 48 tokens`."""
    prompts = info.spec.prompts
    tokens = f"{prompts.output_tokens}" if prompts.output_tokens is not None else f"up to {prompts.max_tokens}"
    model = displayed_path(info.spec.model)
    return f"{info.engine} on {info.hardware}, model {model}, {info.num_prompts} prompts × {tokens} tokens"


def describe_earlier(info: RunInfo) -> str:
    """What earlier sessions did, and what that means for this one."""
    standing = info.standing
    if info.is_complete:
        return (
            f"nothing left to do: {standing.done} trials are done. --trials with a larger number adds to them, --new "
            "starts over"
        )
    return f"going on: {standing.done} of {standing.planned} trials are done"


def is_in_notebook() -> bool:
    """Whether a notebook's kernel started this process (`!vbench sweep …`). It gives its commands a terminal, of which
    it shows the colours at best; what moves the cursor ends up in the page."""
    return "JPY_PARENT_PID" in os.environ


def can_redraw(stream: TextIO) -> bool:
    """Whether what was written there can be taken back: a terminal that knows the codes, and none of a notebook's."""
    return stream.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown") and not is_in_notebook()


def make_console(stream: TextIO, *, pipe_width: int = PIPE_WIDTH) -> Console:
    """A console for the stream; where it is no terminal, or a notebook's, as wide as `pipe_width`, without control
    codes, and without the blanks that rich fills lines with."""
    from rich.console import Console

    class PipeAwareConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process with exit code 1

    console = PipeAwareConsole(
        file=stream, force_terminal=False if is_in_notebook() else None, force_jupyter=False, force_interactive=False
    )
    if not console.is_terminal:
        console.file = cast("IO[str]", _Trimmed(stream))
        console.width = pipe_width
    return console


class _Trimmed:
    """A stream that gets no blanks at the ends of lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Each text must hold whole lines, or a part without blanks at its end."""
        self._stream.write(_BLANKS.sub("", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def mark_of_run(info: RunInfo) -> str | None:
    """What its numbers are, where they aren't plain measurements of the hardware that it is about."""
    if info.spec.engine == "fake":
        return FAKE_MARK
    return None if info.spec.emulate is None else EMULATED_MARK.format(info.hardware)


def mark_word(info: RunInfo) -> str | None:
    """The same in a word, as file names and other `--json` have it: `fake`, `emulated`."""
    mark = mark_of_run(info)
    return None if mark is None else mark.partition(" ")[0]


def print_summary(
    console: Console, records: Sequence[TrialRecord], objective: Objective, mark: str | None, machine: Mapping[str, Any]
) -> None:
    """The answer in a box, and below it the line to paste, left to the terminal to wrap. `machine`: of the run."""
    from vbench.report.terminal import summary

    found = summary(records, objective, mark, str(machine.get("engine_distribution") or "vllm"))
    console.print(found.panel)
    if found.command is not None:
        console.print(found.command, soft_wrap=True)


def _machine_of(run: RunFolder) -> dict[str, Any]:
    try:
        return read_json(run.machine_json)
    except StoreError:
        return {}


def print_ending(console: Console, info: RunInfo, run: RunFolder, summary: RunSummary, status: str) -> None:
    """The answer in a box, then the next commands."""
    if status == "interrupted":
        return
    if summary.num_trials:
        print_summary(console, summary.read(), info.spec.objective, mark_of_run(info), _machine_of(run))
    for note in summary.notes:
        console.print(f"note: {note}", highlight=False, markup=False, style="yellow", soft_wrap=True)
    if status in _REASONS:
        standing = summary.standing
        console.print(f"{standing.done} of {standing.planned} trials: {_REASONS[status]}", highlight=False)
    if not summary.num_trials:
        return
    name = f"{run.sweep}/{run.run_id}"
    root = run.path.parent.parent
    option = "" if root == DEFAULT_RESULTS else f" --results {shlex.quote(str(root))}"
    next_steps = [f"vbench report {name}{option}", f"vbench show {name}{option}"]
    if summary.best is not None:
        next_steps.insert(1, f"vbench best {name} --as serve{option}")
    console.print("\n".join(next_steps), highlight=False, markup=False, style="dim", soft_wrap=True)
