"""A runner in a fresh run folder whose trials may keep their engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import pid_of, temp_folders
from tests.execution.test_trials import RUN_UID, Trials, trials
from vbench.execution import trial_process
from vbench.execution.runner import OnEvent
from vbench.execution.stopping import Stopper
from vbench.records.record import TrialRecord
from vbench.spec.space import Point

SLOW = "engine_args: {sleep_scale: 4.0}\n"


class Live:
    """A runner whose trials may keep their engines; remembers the pid that each trial said."""

    def __init__(self, t: Trials) -> None:
        self.t = t
        self.pids: dict[int, int] = {}

    def run(
        self, number: int, *, keep: bool = True, on_event: OnEvent = lambda _: None, stopper: Stopper | None = None,
        **settings: Any,
    ) -> TrialRecord:  # fmt: skip
        def heard(message: dict[str, Any]) -> None:
            if message["event"] == "hello":
                self.pids[number] = pid_of(message)
            on_event(message)

        point = Point(parameters={}, settings={name.replace("__", "."): value for name, value in settings.items()})
        return self.t.runner.run(number, point, "search", heard, stopper, keep=keep)

    def log(self, number: int) -> str:
        return self.t.run_folder.log(number).read_text()

    def is_reused(self, record: TrialRecord) -> bool:
        return bool(record.environment["worker_start"] == "reused")


Make = Callable[..., Live]


@contextmanager
def making(tmp_path: Path) -> Iterator[Make]:
    """What makes one, with further lines of the sweep file; at the end nothing of it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_process, "_TERM_GRACE_S", 0.3)
        opened: list[Any] = []

        def make(extra: str = "") -> Live:
            opened.append(trials(tmp_path, extra))
            return Live(opened[0].__enter__())

        yield make
        for one in opened:
            one.__exit__(None, None, None)
    assert temp_folders(RUN_UID) == []
