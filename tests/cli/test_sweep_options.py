"""The options of `vbench sweep`: what each stands for, and the command that goes on with the run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, SMALL, Vbench, records_of, run_facts
from vbench.cli.sweep import Asked, command_to_go_on, limits_asked, overrides_of
from vbench.errors import UsageError
from vbench.spec.loader import parse_spec
from vbench.spec.types import SearchSpec, SweepSpec
from vbench.sweep.limits import Limits

HOUR = 3600.0
NOTHING: Asked = dict.fromkeys(
    ("--trials", "--timeout", "--gpu-hours", "--session", "--session-margin", "--method", "--prune", "--finalists",
     "--random-arm", "--parallel")
)  # fmt: skip


def asked(**options: Any) -> Asked:
    return {**NOTHING, **{f"--{name.replace('_', '-')}": value for name, value in options.items()}}


def search(**options: Any) -> SearchSpec:
    return parse_spec(BASE, Path("small.yaml"), overrides_of(asked(**options))).search


@pytest.fixture
def spec() -> SweepSpec:
    return parse_spec(f"{BASE}search: {{timeout: 1h, gpu_hours: 2}}\n", Path("small.yaml"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"trials": 7}, {"trials": 7}),
        ({"timeout": "1h30m"}, {"timeout_s": 5400.0}),
        ({"gpu_hours": 0.25}, {"gpu_hours": 0.25}),
        ({"gpu_hours": 1e-05}, {"gpu_hours": 0.00001}),
        ({"method": "tpe"}, {"method": "tpe"}),
        ({"prune": True}, {"prune": True}),
        ({"prune": False}, {"prune": False}),
        ({"finalists": 0}, {"finalists": 0}),
        ({"random_arm": True}, {"random_arm": True}),
        ({"parallel": 2}, {"parallel_trials": 2}),
        ({"session": "12h", "session_margin": "15m"}, {}),
    ],
)
def test_an_option_is_a_key_of_the_file(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert search(**options) == SearchSpec(**expected)


def test_a_wrong_time_is_told_by_its_option() -> None:
    with pytest.raises(UsageError, match=r"^--timeout: '6x' is not a duration"):
        overrides_of(asked(timeout="6x"))


class TestSession:
    def test_without_one_the_limits_are_the_files(self, spec: SweepSpec) -> None:
        assert limits_asked(spec, NOTHING) == Limits(timeout_s=HOUR, gpu_hours=2)

    def test_has_a_margin_of_15_minutes(self, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
        limits = limits_asked(spec, asked(session="12h"))
        assert (limits.session_s, limits.session_margin_s) == (12 * HOUR, 900)
        assert limits.session_started is not None
        assert limits_asked(spec, asked(session="1h", session_margin="90s")).session_margin_s == 90

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"session": "soon"}, "--session: 'soon' is not a duration"),
            ({"session": "12h", "session_margin": "-1"}, "--session-margin: '-1' is not a duration"),
            ({"session": "10m"}, "--session: 10m is no longer than its margin, 15m 00s: give a shorter"),
            ({"session": "1h", "session_margin": "1h"}, "--session: 1h is no longer than its margin"),
            ({"session_margin": "5m"}, "--session-margin: goes with --session"),
        ],
    )
    def test_that_makes_no_sense_is_refused(self, spec: SweepSpec, options: dict[str, Any], says: str) -> None:
        with pytest.raises(UsageError) as caught:
            limits_asked(spec, asked(**options))
        assert str(caught.value).startswith(says)


class TestGoingOn:
    def command(self, *changes: str, from_runs: tuple[str, ...] = (), results: str = "results", **options: Any) -> str:
        return command_to_go_on(Path("a b.yaml"), changes, asked(**options), from_runs, Path(results))

    def test_repeats_what_was_asked_for(self) -> None:
        again = self.command(
            "dtype=float16", from_runs=("t4-small", "runs/x"), results="elsewhere", trials=40, timeout="6h",
            gpu_hours=8.0, session="12h", session_margin="5m", method="tpe", prune=False, finalists=0, random_arm=True,
            parallel=2,
        )  # fmt: skip
        assert shlex.split(again) == [
            "vbench", "sweep", "a b.yaml", "--set", "dtype=float16", "--trials", "40", "--timeout", "6h",
            "--gpu-hours", "8", "--session", "12h", "--session-margin", "5m", "--method", "tpe", "--no-prune",
            "--finalists", "0", "--random-arm", "--parallel", "2", "--from", "t4-small", "--from", "runs/x",
            "--results", "elsewhere",
        ]  # fmt: skip

    def test_says_no_more_than_that(self) -> None:
        assert self.command() == "vbench sweep 'a b.yaml'"
        assert self.command(prune=True) == "vbench sweep 'a b.yaml' --prune"


class TestTheCommand:
    def test_gpu_hours_end_it_and_more_of_them_go_on(self, vbench: Vbench) -> None:
        file = vbench.write(SMALL)
        vbench("sweep", file, "--gpu-hours", "0.000001", "--method", "random", check=0)
        run = vbench.run()
        assert (len(records_of(run)), run_facts(run)["status"]) == (1, "gpu_hours")
        vbench("sweep", file, "--gpu-hours", "1", "--method", "random", check=0)
        assert len(records_of(run)) >= 5
        lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
        assert [(line["session"], line["status"]) for line in lines] == [(1, "gpu_hours"), (2, "finished")]
        assert sum(line["gpu_s"] for line in lines) == pytest.approx(
            sum(record["duration_s"] for record in records_of(run))
        )

    def test_a_session_that_is_over_starts_nothing(self, vbench: Vbench) -> None:
        vbench("sweep", vbench.write(SMALL), "--session", "1ms", "--session-margin", "0.5ms", check=1)
        assert records_of(vbench.run()) == []
        assert run_facts(vbench.run())["status"] == "session_end"

    def test_the_best_so_far_is_on_disk_ready_to_paste(self, small_run: Vbench) -> None:
        text = (small_run.run() / "best.md").read_text()
        assert "fake engine: not a measurement" in text
        assert "vllm serve org/name" in text
        assert "llm = LLM(" in text

    def test_it_begins_with_what_another_run_has_shown(self, vbench: Vbench) -> None:
        vbench("sweep", vbench.write(SMALL), check=0)
        other = vbench.write(SMALL.replace("name: small", "name: other"), "other.yaml")
        done = vbench("sweep", other, "--from", "small", check=0)
        assert "trials are taken over as hints" in " ".join(done.stdout.split())
        assert len(records_of(vbench.run("other"))) >= 5

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("--from", "nowhere"), "there are no runs in results/"),
            (("--gpu-hours", "0"), "search.gpu_hours: must be more than 0, got 0"),
            (("--method", "gird"), "did you mean grid?"),
            (("--session", "5m"), "--session: 5m is no longer than its margin"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anything_is_made(
        self, vbench: Vbench, words: tuple[str, ...], says: str
    ) -> None:
        done = vbench("sweep", vbench.write(SMALL), *words, check=2)
        assert says in " ".join(done.stderr.split())
        assert not (vbench.folder / "results").exists()

    def test_nor_does_a_method_that_cannot_search_this_leave_a_run(self, vbench: Vbench) -> None:
        choices = BASE + "parameters: {max_num_seqs: [1, 2], block_size: [16, 32]}\n"
        done = vbench("sweep", vbench.write(choices), "--method", "cmaes", check=2)
        assert "cmaes searches ranges" in done.stderr
        assert not (vbench.folder / "results").exists()
