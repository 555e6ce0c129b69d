"""The lines of the live view: from how a run stands to styled text. Nothing is printed here, and nothing kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from vbench.cli.live_trial import LiveTrial
from vbench.cli.wording import (
    ORIGINS,
    PHASES,
    STOPPING,
    describe_failures,
    describe_pass,
    describe_point,
    mark_word,
    show_value,
)
from vbench.metrics import value_of
from vbench.progress import RunInfo
from vbench.records.record import TrialRecord
from vbench.report.text import printable, show_ratio
from vbench.units import format_bytes, format_duration

RATE = "output_throughput_tok_s"
"""What a pass says of itself. The objective may be another metric; the ratio to the best is of this one."""
_MOST_ROWS = 2  # of one trial's settings
_LABEL = 7  # columns before what a line says
_BAR_FROM = 52  # columns that the words need; what is left is a bar's


@dataclass(slots=True, kw_only=True)
class LiveState:
    """What there is to be shown."""

    info: RunInfo
    best: TrialRecord | None
    started_t: float
    running: dict[int, LiveTrial] = field(default_factory=dict)
    """By number. Replaced, never changed: another thread reads it."""
    status: str = ""
    """What is done while no trial runs."""
    since_t: float = 0.0
    is_stopping: bool = False


def memory_budget(info: RunInfo) -> float | None:
    """Bytes that a peak is held against: the machine's or the card's, or a bound among the constraints."""
    bounds = [one.bound for one in info.spec.constraints if one.quantity == "peak_memory_bytes" and "<" in one.operator]
    return min([*([info.memory_bytes] if info.memory_bytes else []), *bounds], default=None)


def live_lines(state: LiveState, width: int, now: float) -> list[Text]:
    """All of them, for a terminal of that width; each is cut where it is too long."""
    running = list(state.running.values())
    lines = [Text(), _progress(state, running, width, now)]
    counts = describe_failures(state.info.standing)
    if counts:
        lines += _wrapped("", "", counts, width, style="yellow")
    if state.is_stopping:
        lines.append(_line("", Text(STOPPING, style="yellow")))
    elif not running:
        lines.append(_line("", Text(f"{state.status}, {format_duration(now - state.since_t)}", style="dim")))
    best_rate = value_of(state.best.measurements, RATE) if state.best is not None else None
    if len(running) == 1:
        lines += _one(running[0], state, best_rate, width, now)
    else:
        lines += [_beside(trial, best_rate, now) for trial in running]
    return [*lines, *_best(state, width)]


def _progress(state: LiveState, running: Sequence[LiveTrial], width: int, now: float) -> Text:
    standing = state.info.standing
    line = _line("", _bar(standing.share_done, min(30, width // 6)))
    line.append(f" {standing.place}", style="bold")
    elapsed_s = max((now - trial.started_t for trial in running), default=0.0)
    left_s = standing.seconds_left(elapsed_s)
    if left_s is not None:
        line.append(f" · about {format_duration(left_s)} left", style="cyan")
    line.append(f" · {format_duration(int(now - state.started_t))} so far", style="dim")
    return line


def _one(trial: LiveTrial, state: LiveState, best_rate: float | None, width: int, now: float) -> Iterator[Text]:
    """The one trial that runs, told in full."""
    yield from _wrapped(str(trial.number), "bold", _settings(trial), width)
    expected = "" if trial.expected_s is None else f" of about {format_duration(trial.expected_s)}"
    yield _line("", Text(f"{_phase(trial, state)}, {format_duration(now - trial.since_t)}{expected}", style="dim"))
    bar_width = min(24, width - _BAR_FROM)
    rate = trial.rate or trial.rate_so_far or trial.warmup_rate
    if rate is not None:
        parts = [Text(_rate_words(trial, best_rate)), _of_this_pass(trial, best_rate, now)]
        if best_rate:
            top, room = max(rate, best_rate), width - _LABEL - 1 - sum(part.cell_len for part in parts)
            parts[:0] = [_bar(rate / top, min(bar_width, room), tick=best_rate / top), Text(" ")]
        yield _line("speed", *parts)
    if trial.used_bytes is not None:
        budget = memory_budget(state.info)
        now_, peak = format_bytes(trial.used_bytes), format_bytes(trial.peak_bytes)
        if budget:
            share = (trial.peak_bytes or 0) / budget
            bar = _bar(trial.used_bytes / budget, bar_width, tick=share, style="yellow" if share > 0.9 else "blue")
            words = f" {now_} · peak {peak} of {format_bytes(budget)} ({_percent(share)})"
            yield _line("memory", bar, Text(words))
        else:
            yield _line("memory", Text(f"{now_} · peak {peak}"))


def _beside(trial: LiveTrial, best_rate: float | None, now: float) -> Text:
    """One of several that run side by side, on one line: what changes comes before its settings."""
    parts = [f"{_short_phase(trial)} {format_duration(now - trial.since_t)}"]
    if trial.rate is not None or trial.rate_so_far is not None:
        parts.append(_rate_words(trial, best_rate, is_short=True))
    if trial.used_bytes is not None:
        parts.append(format_bytes(trial.used_bytes))
    line = _line(str(trial.number), Text(" · ".join(parts)))
    line.append(f"  {_settings(trial)}", style="dim")
    return line


def _best(state: LiveState, width: int) -> Iterator[Text]:
    if state.best is None:
        yield _line("best", Text("none yet", style="dim"))
        return
    metric = state.info.spec.objective.metric
    value = show_value(metric, value_of(state.best.measurements, metric))
    mark = mark_word(state.info)
    words = f"{value} ({mark})" if mark else value
    words += f"  trial {state.best.trial}: {describe_point(state.best.parameters)}"
    yield from _wrapped("best", "green", words, width, styled=len(value))


def _settings(trial: LiveTrial) -> str:
    return f"{ORIGINS.get(trial.origin, '')}{describe_point(trial.point.parameters)}"


def _phase(trial: LiveTrial, state: LiveState) -> str:
    name = str(trial.phase["name"])
    words = PHASES.get(name, printable(name))
    return f"{words} ({describe_pass(trial.phase, state.info.spec.measure.passes)})" if name == "pass" else words


def _short_phase(trial: LiveTrial) -> str:
    name = str(trial.phase["name"])
    return f"pass {trial.phase['index'] + 1}" if name == "pass" else PHASES.get(name, printable(name))


def _rate_words(trial: LiveTrial, best_rate: float | None, *, is_short: bool = False) -> str:
    """`812 tok/s, ×1.12 the best's (2 passes)`, while the first pass runs `790 tok/s so far, ×1.09 the best's`; of a
    warm-up pass no ratio, which would mislead."""
    rate = trial.rate or trial.rate_so_far
    if rate is None or (trial.rate is None and trial.phase["name"] == "warmup"):
        so_far = "" if rate is None else "so far "
        return f"{show_value(RATE, rate or trial.warmup_rate)} {so_far}in warm-up"
    words = show_value(RATE, rate) + ("" if trial.rate else " so far")
    if best_rate:
        ratio = show_ratio(rate / best_rate)
        words += f" {ratio}" if is_short else f", {ratio} the best's"
    count = len(trial.rates)
    return words if is_short or not count else f"{words} ({count} pass{'es' if count > 1 else ''})"


def _of_this_pass(trial: LiveTrial, best_rate: float | None, now: float) -> Text:
    """How the pass that runs compares with those before it: its rate so far, or, where nothing is known of that and it
    is slower than what it is held against, what it can reach at most."""
    if trial.rate_so_far is not None:
        return Text(f"; this pass {show_value(RATE, trial.rate_so_far)} so far" if trial.rate else "", style="dim")
    bound, usual = trial.bound(now), trial.rate or trial.warmup_rate or best_rate
    if bound is None or usual is None or bound >= 0.98 * usual:
        return Text()
    return Text(f"; this pass at most {show_value(RATE, bound)}", style="yellow")


def _line(label: str, *parts: Text) -> Text:
    line = Text(f"{label:>{_LABEL - 1}} ", style="")
    line.stylize("bold" if label.isdigit() else "dim", 0, _LABEL)
    for part in parts:
        line.append_text(part)
    return line


def _wrapped(label: str, label_style: str, words: str, width: int, styled: int = 0, style: str = "") -> Iterator[Text]:
    """On at most two rows, cut with an ellipsis; the first `styled` characters stand out."""
    room = max(10, width - _LABEL)
    rows = _rows(words, room)
    shown = rows[:_MOST_ROWS]
    if len(rows) > _MOST_ROWS:
        shown[-1] = f"{shown[-1][: room - 2]} …"
    for index, row in enumerate(shown):
        text = Text(row, style=style)
        if index == 0 and styled:
            text.stylize("bold green", 0, styled)
        line = _line(label if index == 0 else "", text)
        line.stylize(label_style, 0, _LABEL)
        yield line


def _rows(words: str, room: int) -> list[str]:
    rows = [""]
    for word in words.split(" "):
        if rows[-1] and len(rows[-1]) + 1 + len(word) > room:
            rows.append(word)
        else:
            rows[-1] = f"{rows[-1]} {word}" if rows[-1] else word
    return rows


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "below 1%"


def _bar(share: float, width: int, tick: float | None = None, style: str = "green") -> Text:
    """Filled to that share; `tick` marks another one on it."""
    filled = round(min(1.0, max(0.0, share)) * width)
    if width < 5:
        return Text()
    bar = Text().append("━" * filled, style=style)
    bar.append("─" * (width - filled), style="dim")
    if tick is not None:
        place = min(width - 1, max(0, round(min(1.0, tick) * width) - 1))
        bar = bar[:place] + Text("┃", style="bold") + bar[place + 1 :]
    return bar
