"""The best so far as a file, `best.md` in the run's folder: what it is worth, and ready to paste.

Replaced whenever the best changes and when a session ends, so that whatever ends the machine, the answer is on disk.
Only what records hold is written: configurations as recorded, paths shortened, secrets hidden.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.ranking import gain_over_baseline, objective_value
from vbench.analysis.remeasure import finals_of
from vbench.analysis.statistics import interval_of
from vbench.errors import StoreError
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, read_json, write_bytes_atomic
from vbench.spec.config import displayed_path
from vbench.spec.quality_section import quality_bounds
from vbench.spec.types import SweepSpec
from vbench.units import format_bytes

if TYPE_CHECKING:
    from vbench.report.recipe_parts import Provenance

_DEFAULT_RESULTS = "results"
_WRITTEN = "Written "
"""Begins the line that is left out when two versions are compared."""
_STATUS = {
    "running": "the search is running",
    "finished": "the search is finished",
    "exhausted": "every allowed configuration was tried",
    "out_of_time": "the time budget is spent: go on with a larger `--timeout`",
    "gpu_hours": "the GPU-hours are spent: go on with larger `--gpu-hours`",
    "session_end": "the session's end came near: go on in the next",
    "interrupted": "the search was interrupted",
}


def write(
    run: RunFolder, spec: SweepSpec, best: TrialRecord | None, baseline: TrialRecord | None, *, status: str,
    trials_done: int, trials_planned: int | None = None, now: datetime, command: str | None = None,
) -> str | None:  # fmt: skip
    """Bring the file up to date; nothing is written where only the time of writing would differ.

    `best` None: nothing can be ranked yet, and the file says so. `trials_planned` None: not known. `command` goes on
    with the run; None makes it from what the run was begun with. Returns a warning where the file can't be written,
    which must not end a sweep; the records have all of it.
    """
    if command is None:
        command = command_to_go_on(run, spec)
    planned = max(trials_planned or 0, trials_done)
    done = f"{trials_done} of {planned} trials" if trials_planned is not None else f"{trials_done} trials"
    body = () if best is None else _body(run, spec, best, baseline)
    lines = [*_head(run, spec, best, status), "", *body, *_going_on(status, done, command)]
    text = "\n".join([*lines, "", f"{_WRITTEN}{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.", ""])
    try:
        if not _is_same(run.best_md, text):
            write_bytes_atomic(run.best_md, text.encode("utf-8", "replace"))
    except StoreError as error:
        return f"the best so far is only in the records: {error}"
    return None


def command_to_go_on(run: RunFolder, spec: SweepSpec) -> str:
    """`vbench sweep FILE` as the run was begun, from the folder that vbench runs in. A secret's value is left as `***`,
    as stored."""
    words = ["vbench", "sweep", displayed_path(str(spec.source))]
    try:
        overrides = read_json(run.run_json).get("overrides")
    except StoreError:
        overrides = None
    for override in overrides if isinstance(overrides, list) else ():
        words += ["--set", str(override)]
    root = displayed_path(str(run.path.parent.parent.absolute()))
    return shlex.join(words if root == _DEFAULT_RESULTS else [*words, "--results", root])


def _head(run: RunFolder, spec: SweepSpec, best: TrialRecord | None, status: str) -> Iterator[str]:
    from vbench.analysis.answer import FAKE_ENGINE
    from vbench.report.text import FAKE_MARK, escape_markdown

    is_final = status in ("finished", "exhausted")
    name = escape_markdown(run.sweep)
    if best is None:
        yield f"# {name}: nothing to name the best yet"
        yield ""
        yield "No trial has completed with a value and within its constraints."
    else:
        yield f"# {name}: the best{'' if is_final else ' so far'} is trial {best.trial}"
    if spec.engine == FAKE_ENGINE:
        yield ""
        yield f"**{FAKE_MARK}**"


def _body(run: RunFolder, spec: SweepSpec, best: TrialRecord, baseline: TrialRecord | None) -> Iterator[str]:
    from vbench.report.recipe_parts import hidden_names
    from vbench.report.recipes import as_serve
    from vbench.report.recipes_python import as_python
    from vbench.report.text import escape_markdown, fence_markdown, show_value

    origin = _origin(run, best)
    yield "| | |"
    yield "|---|---|"
    for label, value in _facts(run, spec, best, baseline):
        yield f"| {escape_markdown(label)} | {escape_markdown(value)} |"
    yield ""
    if best.parameters:
        yield from ("| Setting | Value |", "|---|---|")
        for name, value in best.parameters.items():
            yield f"| {escape_markdown(name)} | {escape_markdown(show_value(value))} |"
        yield ""
    yield from ("## As a server", "", fence_markdown(as_serve(best.config, origin), "sh"), "")
    yield from ("## In Python", "", fence_markdown(as_python(best.config, origin), "python"), "")
    if best.warnings:
        yield from ("## Mind", "", *(f"- {escape_markdown(warning)}" for warning in best.warnings), "")
    hidden = hidden_names(best.config)
    if hidden:
        yield from (f"Set beside it, and not shown: {escape_markdown(', '.join(hidden))}.", "")


def _origin(run: RunFolder, best: TrialRecord) -> Provenance:
    """Without comments: the table above has all of that."""
    from vbench.analysis.token_work import has_drawn_lengths
    from vbench.report.recipe_parts import Provenance, limits_of

    try:
        distribution = str(read_json(run.machine_json).get("engine_distribution") or "vllm")
    except StoreError:
        distribution = "vllm"
    return Provenance(
        output_tokens=best.prompt_set.output_tokens, is_exact=not has_drawn_lengths(best), distribution=distribution,
        limits=limits_of(best),
    )  # fmt: skip


def _facts(
    run: RunFolder, spec: SweepSpec, best: TrialRecord, baseline: TrialRecord | None
) -> Iterator[tuple[str, str]]:
    from vbench.report.text import metric_label, show_bounds, show_metric, show_trials

    metric = spec.objective.metric
    interval = interval_of(best, metric)
    value = show_metric(metric, objective_value(best, spec.objective))
    if interval is not None and interval.kind != "single":
        value += f" ({show_bounds(metric, interval)}: {interval.describe()})"
    elif interval is not None:
        value += f" ({interval.describe()})"
    yield metric_label(metric), value
    yield "Against the baseline", _gain(spec, best, baseline)
    for objective in spec.more_objectives:
        yield metric_label(objective.metric), show_metric(objective.metric, objective_value(best, objective))
    peak = value_of(best.measurements, "peak_memory_bytes")
    yield "Peak memory", "not measured" if peak is None else format_bytes(peak)
    finals = finals_of(best)
    again = f"yes, by trials {show_trials(finals)}, whose values these are" if finals else (
        "no: the first of many is likely a lucky one, expect a little less"
    )  # fmt: skip
    yield "Measured again", again
    # Of finalists only those that were checked are held to a bound of quality.
    bounds = quality_bounds(spec) if best.quality is not None else []
    if kept := [constraint.text for constraint in (*spec.constraints, *bounds)]:
        yield "Keeps", ", ".join(kept)
    prompts = best.prompt_set
    tokens = "until they stop" if prompts.output_tokens is None else f"{prompts.output_tokens} tokens each"
    yield "Measured with", f"{prompts.num_prompts} prompts of {prompts.source}, {tokens}"
    engine = f"{best.engine.name} {best.engine.version or ''}".strip()
    yield "On", f"{best.hardware.get('profile', 'unknown hardware')}, {engine}"
    yield "Trial", f"{best.trial} of {run.sweep}/{run.run_id}, {best.started_at}"


def _gain(spec: SweepSpec, best: TrialRecord, baseline: TrialRecord | None) -> str:
    from vbench.report.text import show_ratio

    if baseline is None:
        return "no baseline" if spec.baseline is None else "the baseline hasn't been measured"
    if baseline.trial == best.trial:
        return "the same: nothing tried was better"
    gain = gain_over_baseline(best, baseline, spec.objective)
    if gain is None:
        return f"not comparable: the baseline, trial {baseline.trial}, is {baseline.outcome.replace('_', ' ')}"
    text = show_ratio(gain.ratio)
    interval = gain.interval
    if interval is None or interval.kind == "single":
        return text
    doubt = "" if gain.is_clear else "; not told apart from no gain"
    kind = "95% bootstrap interval" if interval.is_confidence else "worst to best case of the passes"
    return f"{text} ({show_ratio(interval.low)} – {show_ratio(interval.high)}: {kind}{doubt})"


def _going_on(status: str, done: str, command: str) -> Iterator[str]:
    from vbench.report.text import escape_markdown, fence_markdown

    state = _STATUS.get(status)
    yield f"{done}; {state if state is not None else escape_markdown(status.replace('_', ' '))}."
    if status not in ("finished", "exhausted"):
        yield from ("", fence_markdown(command, "sh"))


def _is_same(path: Path, text: str) -> bool:
    try:
        old = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return _without_time(old) == _without_time(text)


def _without_time(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(_WRITTEN)]
