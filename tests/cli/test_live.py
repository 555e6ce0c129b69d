"""What the live view says of a running sweep, and that it follows several trials at once."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cli.process import BASE
from tests.cli.run_info import info_of
from tests.records.builders import MIB, make_failure, make_record
from tests.report.search_builders import make_stopped
from vbench.cli import live_region
from vbench.cli.live import LiveListener
from vbench.cli.live_lines import LiveState, live_lines
from vbench.cli.live_trial import LiveTrial
from vbench.cli.wording import describe_failures
from vbench.outcome import Outcome
from vbench.progress import RunSummary, Standing
from vbench.spec.space import Point

GIB = 1024 * MIB
HOSTILE = "a\x1b[2J=[bold]x[/]"


def point_of(**parameters: Any) -> Point:
    return Point(parameters=parameters, settings=parameters)


def phase(name: str, index: int = 0, **plan: Any) -> dict[str, Any]:
    return {"event": "phase", "name": name, "index": index, "t": 0.0, **plan}


def ended(kind: str, rate: float, tokens: int = 1000) -> dict[str, Any]:
    """A pass at that rate."""
    requests = {"output_tokens": [tokens // 2, tokens // 2]}
    return {"event": "pass", "kind": kind, "index": 0, "duration_s": tokens / rate, "requests": requests}


def so_far(rate: float, seconds: float = 0.5) -> dict[str, Any]:
    return {"event": "tokens", "count": int(rate * seconds), "elapsed_s": seconds}


def memory(used: int, peak: int) -> dict[str, Any]:
    return {"event": "memory", "used_bytes": used * MIB, "peak_bytes": peak * MIB}


def trial_of(number: int, *messages: Mapping[str, Any], origin: str = "search", **parameters: Any) -> LiveTrial:
    trial = LiveTrial(number=number, point=point_of(**parameters), origin=origin, started_t=100.0, since_t=100.0)
    for message in messages:
        trial.take(dict(message), 101.0)
    return trial


def state_of(tmp_path: Path, *trials: LiveTrial, best: float | None = None, **changes: Any) -> LiveState:
    leader = None if best is None else make_record(9, best, parameters={"max_num_seqs": 32})
    running = {trial.number: trial for trial in trials}
    return LiveState(info=info_of(tmp_path, **changes), best=leader, started_t=40.0, running=running)


def shown(state: LiveState, width: int = 100, now: float = 103.1) -> list[str]:
    return [" ".join(line.plain.split()) for line in live_lines(state, width, now)]


def test_one_trial_is_told_in_full(tmp_path: Path) -> None:
    trial = trial_of(
        14, ended("warmup", 500.0), phase("pass", 2, of=3), ended("timed", 800.0), ended("timed", 824.0),
        memory(6144, 6400), quantization="awq", max_num_seqs=64,
    )  # fmt: skip
    standing = Standing(planned=30, done=12, trials_s=100.0, num_timed=10)
    lines = shown(state_of(tmp_path, trial, best=725.0, standing=standing), now=102.0)
    assert lines[0] == ""
    assert lines[1].endswith("search 12/30 · about 2m 58s left · 1m 02s so far")
    assert lines[2:4] == ["14 quantization=awq max_num_seqs=64", "measuring (pass 3 of 3), 1.0s of about 1.2s"]
    assert lines[4].startswith("speed ━━")
    assert lines[4].endswith("812 tok/s, ×1.12 the best's (2 passes)")
    assert lines[5].endswith("6.00 GiB · peak 6.25 GiB of 16.00 GiB (39%)")
    assert lines[6:] == ["best 725 tok/s (fake) trial 9: max_num_seqs=32"]


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    lines = shown(state_of(tmp_path, trial_of(0, origin="baseline")))
    assert lines[1].endswith("search 12/30 · 1m 03s so far")
    assert lines[2:] == ["0 baseline: the file's own arguments", "starting, 3.1s", "best none yet"]


def test_a_first_rate_stands_alone_and_one_of_a_warm_up_says_so(tmp_path: Path) -> None:
    trial = trial_of(0, ended("warmup", 500.0))
    assert "speed 500 tok/s in warm-up" in shown(state_of(tmp_path, trial))
    assert any(line.endswith("500 tok/s in warm-up") for line in shown(state_of(tmp_path, trial, best=725.0)))
    trial.take(ended("timed", 600.0), 101.0)
    assert "speed 600 tok/s (1 pass)" in shown(state_of(tmp_path, trial))


def test_a_pass_that_runs_is_told_of_while_its_tokens_come(tmp_path: Path) -> None:
    trial = trial_of(1, phase("warmup"), so_far(400.0))
    state = state_of(tmp_path, trial, best=500.0)

    def speed() -> str:
        line = next(line for line in shown(state, width=120) if line.startswith("speed"))
        return re.sub("^speed ([━─┃]+ )?", "", line)

    assert speed() == "400 tok/s so far in warm-up"
    trial.take(ended("warmup", 410.0), 101.0)
    trial.take(phase("pass"), 101.0)
    assert speed() == "410 tok/s in warm-up"
    trial.take(so_far(99.0, 1.0), 101.5)  # of 1,000 that are to come: prompts were read meanwhile
    assert speed() == "410 tok/s in warm-up"
    trial.take(so_far(550.0), 101.5)
    assert speed() == "550 tok/s so far, ×1.10 the best's"
    trial.take(ended("timed", 600.0), 102.0)
    trial.take(phase("pass", 1), 102.0)
    assert speed() == "600 tok/s, ×1.20 the best's (1 pass)"
    trial.take(so_far(250.0), 102.5)
    assert speed() == "600 tok/s, ×1.20 the best's (1 pass); this pass 250 tok/s so far"  # "at most" would say less
    trial.take(phase("quality"), 103.0)
    trial.take(so_far(100.0), 103.5)
    assert speed() == "600 tok/s, ×1.20 the best's (1 pass)"


def test_a_pass_that_runs_is_told_of_where_several_run(tmp_path: Path) -> None:
    trials = [trial_of(1, phase("pass"), so_far(250.0)), trial_of(2, phase("pass"), so_far(0.0))]
    lines = shown(state_of(tmp_path, *trials, best=500.0))
    assert lines[2].startswith("1 pass 1 2.1s · 250 tok/s so far ×0.50")
    assert lines[3].startswith("2 pass 1 2.1s the file's own")


@pytest.mark.parametrize("width", [20, 45, 59, 79, 99, 159])
def test_what_is_told_of_a_pass_fits(tmp_path: Path, width: int) -> None:
    trial = trial_of(1, ended("timed", 600.0), phase("pass", 1), so_far(250.0), memory(6144, 6400))
    lines = live_lines(state_of(tmp_path, trial, best=500.0), width, 103.0)
    speed = next(line.plain for line in lines if "speed" in line.plain)
    assert len(speed) <= max(width, 75)  # cut by who draws, but a bar takes no room from words
    assert ("━" in speed) == (width >= 79)


def test_many_classes_of_failures_are_wrapped(tmp_path: Path) -> None:
    standing = Standing(planned=30, done=12)
    standing.outcomes.update({Outcome.CRASHED: 5})
    standing.failures.update({"kv_cache_too_small": 2, "max_model_len_beyond_model": 2, "gpu_out_of_memory": 1})
    lines = shown(state_of(tmp_path, trial_of(1), standing=standing), width=61)
    assert lines[2:4] == ["2 kv_cache_too_small · 2 max_model_len_beyond_model ·", "1 gpu_out_of_memory"]


def test_a_slow_pass_says_what_it_can_still_reach(tmp_path: Path) -> None:
    trial = trial_of(1, ended("timed", 800.0), phase("pass", 1))
    state = state_of(tmp_path, trial, best=725.0)
    assert not any("at most" in line for line in shown(state, now=101.0 + 1000 / 810))
    assert any(line.endswith("; this pass at most 500 tok/s") for line in shown(state, now=103.0))
    trial.take(phase("close"), 103.0)
    assert not any("at most" in line or "of about" in line for line in shown(state, now=109.0))


def test_a_second_attempt_begins_from_the_start() -> None:
    for message in (phase("import"), {"event": "again", "why": "disturbed"}):
        trial = trial_of(1, ended("warmup", 500.0), ended("timed", 800.0), memory(10, 20), message)
        assert (trial.rate, trial.warmup_rate, trial.pass_tokens, trial.used_bytes) == (None, None, None, None)


def test_messages_that_say_little_are_lived_with() -> None:
    odd: list[dict[str, Any]] = [
        {"event": "pass", "kind": "timed"},
        {"event": "pass", "kind": "probe"},
        {"event": "engine", "facts": {}},
    ]
    assert trial_of(1, *odd, {"event": "of another version"}).rate is None


def test_memory_is_held_against_the_least_that_bounds_it(tmp_path: Path) -> None:
    trial = trial_of(1, memory(500, 1000))
    bounded = f"{BASE}constraints: [peak_memory_mib <= 2000]\n"
    lines = shown(state_of(tmp_path, trial, text=bounded))
    assert any(line.endswith("peak 1,000 MiB of 1.95 GiB (50%)") for line in lines)
    assert "memory 500 MiB · peak 1,000 MiB" in shown(state_of(tmp_path, trial, memory_bytes=None))


def test_words_come_before_bars_where_there_is_little_room(tmp_path: Path) -> None:
    trial = trial_of(1, ended("timed", 800.0), memory(6144, 6400))
    state = state_of(tmp_path, trial, best=725.0)
    for width, has_bars in ((52, False), (59, True), (159, True)):
        lines = [line.plain for line in live_lines(state, width, 101.5)]
        assert max(map(len, lines)) <= width
        speed, memory_line = (next(line for line in lines if name in line) for name in ("speed", "memory"))
        assert memory_line.endswith("6.00 GiB · peak 6.25 GiB of 16.00 GiB (39%)")
        assert (("━" in speed), ("━" in memory_line)) == (has_bars, has_bars)


def test_trials_side_by_side_have_a_line_each(tmp_path: Path) -> None:
    trials = [
        trial_of(3, phase("pass", 1), ended("timed", 800.0), memory(500, 600), max_num_seqs=4),
        trial_of(4, phase("load"), max_num_seqs=8),
    ]
    lines = shown(state_of(tmp_path, *trials, best=400.0))
    assert lines[2:4] == [
        "3 pass 2 2.1s · 800 tok/s ×2.00 · 500 MiB max_num_seqs=4", "4 loading the model 2.1s max_num_seqs=8"
    ]  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 59, 99, 159])
def test_settings_take_two_rows_at_most(tmp_path: Path, width: int) -> None:
    many: dict[str, Any] = {f"a_parameter_with_a_long_name_{index}": index for index in range(40)}
    lines = live_lines(state_of(tmp_path, trial_of(3, **many), best=400.0), width, 103.0)
    rows = [line.plain for line in lines if "a_parameter" in line.plain]
    assert len(rows) == 2
    assert rows[1].endswith("…")


def test_foreign_text_is_only_text(tmp_path: Path) -> None:
    trial = trial_of(1, phase(HOSTILE), **{HOSTILE: HOSTILE})
    text = "\n".join(line.plain for line in live_lines(state_of(tmp_path, trial), 100, 103.0))
    assert "\x1b" not in text
    assert "[bold]x[/]" in text


def test_failures_are_counted_by_class_and_add_up(tmp_path: Path) -> None:
    standing = Standing(planned=30)
    assert describe_failures(standing) == ""
    standing.outcomes = Counter({Outcome.COMPLETED: 5, Outcome.PRUNED: 2, Outcome.CRASHED: 3, Outcome.TIMED_OUT: 2})
    standing.failures = Counter({"died": 1, "deadline": 2, "exception": 1})
    assert describe_failures(standing) == "2 stopped early · 2 deadline · 1 died · 1 exception · 1 without a class"
    assert describe_failures(standing) in shown(state_of(tmp_path, standing=standing))


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> LiveListener:
    monkeypatch.setattr(live_region, "_INTERVAL_S", 3600.0)
    monkeypatch.setenv("COLUMNS", "100")
    return LiveListener(io.StringIO())


def drawn(listener: LiveListener) -> str:
    return "\n".join(line.plain for line in listener._draw(100))


def written(listener: LiveListener) -> str:
    return cast(io.StringIO, listener._console.file).getvalue()


def test_events_reach_the_trial_that_they_are_of(listener: LiveListener, tmp_path: Path) -> None:
    listener.run_started(info_of(tmp_path))
    assert "fake engine: not a measurement" in written(listener)
    listener.trial_started(0, point_of(max_num_seqs=4), "search")
    listener.trial_event(phase("load"))  # of one trial at a time, no number is said
    listener.trial_started(1, point_of(max_num_seqs=8), "search")
    listener.trial_event({**phase("warmup"), "trial": 1})
    listener.trial_event({**phase("pass"), "trial": 7})  # of one that has gone
    assert "loading the model" in drawn(listener)
    assert "warming up" in drawn(listener)
    listener.trial_event({"event": "again", "why": "other processes", "trial": 1})
    assert "     1  again: disturbed, as other processes" in written(listener)
    listener.trial_finished(make_record(0, 300.0), make_record(0, 300.0))
    assert "0* 300 tok/s" in written(listener)
    assert "loading the model" not in drawn(listener)
    assert "max_num_seqs=8" in drawn(listener)
    listener.trial_event(phase("pass"))
    listener.trial_finished(make_record(1, None, outcome=Outcome.CRASHED, failure=make_failure()), None)
    assert "crashed (kv_cache_too_small)" in written(listener)
    assert "choosing the next trial" in drawn(listener)
    listener.stopping()
    assert "stopping (Ctrl-C again ends at once)" in drawn(listener)


def test_a_stop_is_told_in_few_words(listener: LiveListener, tmp_path: Path) -> None:
    listener.run_started(info_of(tmp_path))
    listener.trial_finished(make_stopped(3), make_record(0, 300.0))
    assert re.search(r"3  stopped early: ≤ [\d.,]+ tok/s  \w", written(listener))


def test_a_run_that_ends_before_it_draws_leaves_no_codes(listener: LiveListener, tmp_path: Path) -> None:
    info = info_of(tmp_path)
    summary = RunSummary(num_trials=0, outcomes={}, best=None, notes=(), standing=info.standing, read=list)
    listener.run_started(info)
    listener.run_finished(info.run, summary, "interrupted")
    assert "\x1b" not in written(listener)
